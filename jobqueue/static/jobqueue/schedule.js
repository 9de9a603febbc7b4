// @ts-check
"use strict";

// The form of a schedule: shows only what its kind needs, and what the times will be while they are
// typed. The server works them out, so that what is shown is what will happen.
document.addEventListener("DOMContentLoaded", () => {
    const PAUSE = 250; // milliseconds without a key
    /** @type {Record<string, string[]>} */
    const FIELDS = {
        cron: ["expression", "both_days"],
        interval: ["interval", "anchor_at"],
        once: ["once_at"],
    };
    const ALL = ["expression", "both_days", "interval", "once_at", "timezone", "first_at", "last_at", "anchor_at"];
    const form = document.getElementById("schedule_form");
    const shown = document.querySelector(".jobqueue-times");
    const url = document.querySelector("[data-jobqueue-preview]")?.getAttribute("data-jobqueue-preview");
    const kinds = document.querySelectorAll("[name=kind]");
    if (!(form instanceof HTMLFormElement) || !shown || !url || !kinds.length) return;

    const browserZone = Intl.DateTimeFormat().resolvedOptions().timeZone;

    /** @type {number | undefined} */
    let timer;
    let request = new AbortController();

    function showFields() {
        const kind = String(new FormData(/** @type {HTMLFormElement} */ (form)).get("kind"));
        for (const [owner, names] of Object.entries(FIELDS)) {
            for (const name of names) {
                document.querySelector(`.form-row.field-${name}`)?.classList.toggle("jobqueue-hidden", owner !== kind);
            }
        }
    }

    /** @param {string} name @param {string} text */
    function showError(name, text) {
        const input = document.getElementById(`id_${name}`);
        const place = document.getElementById(`jobqueue-error-${name}`);
        if (!input || !place) return;
        place.textContent = text;
        if (text) input.setAttribute("aria-invalid", "true");
        else input.removeAttribute("aria-invalid");
        // What the server said of the saved form is out of date once somebody types.
        input.closest(".form-row")?.querySelectorAll(":scope > .errorlist, .flex-container > .errorlist")
            .forEach(list => list.remove());
    }

    /** A place under each field for what is wrong with it, which screen readers watch. */
    function addErrorPlaces() {
        for (const name of ALL) {
            const input = document.getElementById(`id_${name}`);
            if (!input) continue;
            const place = document.createElement("div");
            place.id = `jobqueue-error-${name}`;
            place.className = "help jobqueue-error";
            place.setAttribute("aria-live", "polite");
            (input.closest(".form-row > div") ?? input.parentElement)?.append(place);
            const described = [input.getAttribute("aria-describedby"), place.id];
            input.setAttribute("aria-describedby", described.filter(Boolean).join(" "));
        }
    }

    /** @param {{html: string, errors: Record<string, string>}} preview */
    function show(preview) {
        const content = new DOMParser().parseFromString(preview.html, "text/html").body;
        shown?.replaceChildren(...content.childNodes);
        say([".jobqueue-words", ".jobqueue-next time", ".jobqueue-odd"]);
        for (const name of ALL) showError(name, preview.errors[name] ?? "");
        const zone = document.getElementById("id_timezone");
        if (!(zone instanceof HTMLInputElement)) return;
        document.querySelectorAll("[data-zone]").forEach(place => { place.textContent = zone.value; });
    }

    /** Has a screen reader say the first of each, but not all of the tables. @param {string[]} selectors */
    function say(selectors) {
        const texts = selectors.map(selector => shown?.querySelector(selector)?.textContent?.trim());
        const said = document.querySelector(".jobqueue-said");
        if (said) said.textContent = texts.filter(Boolean).join(". ");
    }

    async function ask() {
        request.abort();
        request = new AbortController();
        const body = new FormData(/** @type {HTMLFormElement} */ (form));
        body.set("browser_zone", browserZone);
        try {
            const answer = await fetch(/** @type {string} */ (url), { method: "POST", body, signal: request.signal });
            if (answer.ok) show(await answer.json());
        } catch {
            // Asked again meanwhile, or the server is away: saving will tell.
        }
    }

    function askSoon() {
        clearTimeout(timer);
        timer = setTimeout(ask, PAUSE);
    }

    addErrorPlaces();
    showFields();
    // The server, which drew the page, didn't know it.
    const isKnown = document.querySelector(`[data-jobqueue-zone="${browserZone}"]`);
    if (!isKnown && !form.querySelector(".errorlist")) ask();
    form.addEventListener("input", event => {
        const name = event.target instanceof HTMLInputElement ? event.target.name : "";
        if (name === "kind") showFields();
        if (name === "kind" || ALL.includes(name)) askSoon();
    });
});
