// @ts-check
"use strict";

// Shows what a command line will become while it is typed. The server splits it, so that what is
// shown is what will be stored.
document.addEventListener("DOMContentLoaded", () => {
    const PAUSE = 250; // milliseconds without a key
    const line = document.getElementById("id_argv");
    const environment = document.getElementById("id_environment");
    const shown = document.querySelector(".field-argv_list .jobqueue-argv");
    const url = document.querySelector("[data-jobqueue-preview]")?.getAttribute("data-jobqueue-preview");
    if (!(line instanceof HTMLTextAreaElement) || !line.form || !shown || !url) return;

    const form = line.form;
    /** @type {number | undefined} */
    let timer;
    let request = new AbortController();

    /** @typedef {{prefix: string[], words: string[], error: string, note: string}} Preview */

    /** @param {string} word @param {string} className */
    function item(word, className) {
        const [li, code] = [document.createElement("li"), document.createElement("code")];
        li.className = className;
        code.textContent = word;
        li.append(code);
        return li;
    }

    /** @param {Preview} preview */
    function show(preview) {
        shown?.querySelector("ol")?.replaceChildren(
            ...preview.prefix.map(word => item(word, "jobqueue-prefix")),
            ...preview.words.map(word => item(word, "")),
        );
        for (const name of /** @type {const} */ (["error", "note"])) {
            const place = shown?.querySelector(`.jobqueue-${name}`);
            if (place) place.textContent = preview[name];
        }
    }

    async function ask() {
        request.abort();
        request = new AbortController();
        try {
            const answer = await fetch(/** @type {string} */ (url), {
                method: "POST", body: new FormData(form), signal: request.signal,
            });
            if (answer.ok) show(await answer.json());
        } catch {
            // Asked again meanwhile, or the server is away: saving will tell.
        }
    }

    function askSoon() {
        clearTimeout(timer);
        timer = setTimeout(ask, PAUSE);
    }

    line.addEventListener("input", askSoon);
    environment?.addEventListener("change", askSoon);
    if (line.value) ask();
});
