// @ts-check
"use strict";

// Copies the command that a page shows. Browsers let a page write to the clipboard over HTTPS only;
// without it the command is selected, and copied as by Ctrl+C, or left to whoever reads the page.
document.addEventListener("DOMContentLoaded", () => {
    /** @param {Element} command @returns {Promise<boolean>} whether it is in the clipboard */
    async function copy(command) {
        try {
            await navigator.clipboard.writeText(command.textContent ?? "");
            return true;
        } catch {
            getSelection()?.selectAllChildren(command);
            return document.execCommand("copy");
        }
    }

    for (const tools of document.querySelectorAll(".jobqueue-copy-tools")) {
        const command = tools.previousElementSibling;
        const said = tools.querySelector("[role=status]");
        if (!(tools instanceof HTMLElement && said instanceof HTMLElement && command)) continue;
        tools.querySelector("button")?.addEventListener("click", async () => {
            said.textContent = "";
            said.textContent = said.dataset[await copy(command) ? "copied" : "selected"] ?? "";
        });
        tools.hidden = false;
    }
});
