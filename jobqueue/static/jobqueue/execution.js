// @ts-check
"use strict";

// The page of an execution loads itself again when the run is in another state, unless somebody is
// at work on it: then it says so.
document.addEventListener("DOMContentLoaded", () => {
    const tools = document.querySelector(".jobqueue-output-tools");
    const log = document.querySelector(".jobqueue-log");
    if (!(tools instanceof HTMLElement) || !log) return;

    function isAtWork() {
        const reads = log && log.scrollTop + log.clientHeight < log.scrollHeight - 20;
        const selects = Boolean(document.getSelection()?.toString());
        const menu = document.querySelector("details.jobqueue-run-menu[open]");
        const focused = document.activeElement?.closest("form input, form select, .object-tools, details");
        return Boolean(reads || selects || menu || focused);
    }

    document.addEventListener("jobqueue-state", event => {
        if (!(event instanceof CustomEvent) || event.detail === tools.dataset.state) return;
        const said = tools.querySelector(".jobqueue-output-said");
        if (!isAtWork()) location.reload();
        else if (said) said.textContent = tools.dataset.news ?? "";
    });
});
