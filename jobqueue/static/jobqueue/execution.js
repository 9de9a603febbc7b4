// @ts-check
"use strict";

// The page of an execution: shows the end of the output, and loads itself again while it is open,
// unless somebody is at work on it.
document.addEventListener("DOMContentLoaded", () => {
    const EVERY = 5000; // milliseconds
    const log = document.querySelector(".jobqueue-log");
    if (!document.body.classList.contains("model-execution")) return;
    if (log) log.scrollTop = log.scrollHeight;
    if (!document.body.classList.contains("jobqueue-refresh")) return;

    function isAtWork() {
        const focused = document.activeElement;
        const reads = log && log.scrollTop + log.clientHeight < log.scrollHeight - 20;
        const selects = Boolean(document.getSelection()?.toString());
        const menu = document.querySelector("details.jobqueue-run-menu[open]");
        return Boolean(reads || selects || menu || focused?.closest("form, .object-tools, details"));
    }

    setInterval(() => {
        if (!document.hidden && !isAtWork()) location.reload();
    }, EVERY);
});
