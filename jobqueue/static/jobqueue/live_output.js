// @ts-check
"use strict";

// The output of a run: grows while it runs, is loaded by parts however long it is, can be searched.
// Others hear of the run's state by the event "jobqueue-state", and by "jobqueue-current" whether the
// page still shows it.
document.addEventListener("DOMContentLoaded", () => {
    const EVERY = 1000; // milliseconds
    const SLOWEST = 30000; // between tries while the server is away
    const NEAR = 200; // pixels from an end of what is loaded
    const MOST = 20000; // lines in the page
    const BEHIND = 64 * 1024; // bytes: from so many on who follows jumps to the end
    const AROUND = 32 * 1024; // bytes behind what was found
    /** @type {Record<number, string>} */
    const WHY_NOT = { 403: "refused", 404: "gone" };
    const found = document.querySelector(".jobqueue-output-tools");
    const pre = document.querySelector(".jobqueue-log");
    if (!(found instanceof HTMLElement) || !(pre instanceof HTMLElement)) return;
    const [tools, log, url] = [found, pre, found.dataset.url ?? ""];
    const words = tools.querySelector("input");
    if (!words) return;

    /** @typedef {[number, [string, string][]]} Line */
    /**
     * @typedef {{state: string, is_open: boolean, tail?: Line[], start: number, end: number,
     *     size: number, goes_on: boolean, lines: Line[], is_cut?: boolean, found?: number | null,
     *     lines_before?: number}} Answer
     */

    let [start, end, size] = [0, 0, 0]; // bytes of the file: what is shown, and what there is
    let [tag, isFile, isOpen, isOver] = ["", true, true, false];
    let state = tools.dataset.state;
    /** @type {Promise<void> | null} */
    let going = null; // the request that goes on
    let isReaching = false; // a scroll came meanwhile
    let follows = true;
    let foundAt = -1;
    let numbered = -1; // the start of which the number is known
    let pause = EVERY;
    /** @type {number | undefined} */
    let timer;

    // Asking

    /** @param {Record<string, string | number>} query @returns {Promise<Answer | null>} */
    async function ask(query) {
        const address = `${url}?${new URLSearchParams(Object.entries(query).map(([k, v]) => [k, `${v}`]))}`;
        const answer = await fetch(address, {
            headers: { "If-None-Match": tag, Accept: "application/json" }, cache: "no-store", redirect: "manual",
        });
        if (answer.status === 304) return null;
        const why = answer.type === "opaqueredirect" ? "ended" : WHY_NOT[answer.status];
        if (why) {
            isOver = true;
            say(why);
            return null;
        }
        if (!answer.ok) throw new Error(`status ${answer.status}`);
        tag = answer.headers.get("ETag") ?? "";
        const said = await answer.json();
        [isOpen, state] = [said.is_open, said.state];
        document.dispatchEvent(new CustomEvent("jobqueue-state", { detail: said.state }));
        return said;
    }

    /** @param {boolean} isCurrent */
    function tellWhether(isCurrent) {
        document.dispatchEvent(new CustomEvent("jobqueue-current", { detail: isCurrent }));
    }

    /** @param {string} name */
    function say(name) {
        const place = tools.querySelector(".jobqueue-output-said");
        const text = tools.dataset[name] ?? "";
        if (place && place.textContent !== text) place.textContent = text;
    }

    // Showing

    /** @param {Line} line */
    function element([at, pieces]) {
        const shown = document.createElement("span");
        shown.className = "jobqueue-log-line";
        shown.dataset.at = String(at);
        fill(shown, pieces);
        return shown;
    }

    /** @param {HTMLElement} shown @param {[string, string][]} pieces */
    function fill(shown, pieces) {
        for (const [style, text] of pieces) {
            const piece = document.createElement("span");
            piece.className = style;
            piece.textContent = text;
            shown.append(style ? piece : text);
        }
    }

    const at = (/** @type {Element | null} */ line) => Number(line instanceof HTMLElement ? line.dataset.at : 0);

    /** @param {Line[]} lines */
    function replace(lines) {
        log.replaceChildren(...lines.map(element));
        log.hidden = !lines.length;
        document.querySelector(".jobqueue-no-output")?.toggleAttribute("hidden", Boolean(lines.length));
    }

    /** @param {Answer} part */
    function append(part) {
        const lines = [...part.lines];
        const last = log.lastElementChild;
        if (part.goes_on && last instanceof HTMLElement && lines.length) fill(last, lines.shift()?.[1] ?? []);
        log.append(...lines.map(element));
        [end, size] = [part.end, part.size];
        while (log.childElementCount > MOST) log.firstElementChild?.remove();
        start = at(log.firstElementChild);
        if (lines.length) replaceNothing();
    }

    function replaceNothing() {
        log.hidden = false;
        document.querySelector(".jobqueue-no-output")?.setAttribute("hidden", "");
    }

    /** @param {Answer} part */
    function prepend(part) {
        const below = log.scrollHeight - log.scrollTop;
        log.prepend(...part.lines.map(element));
        start = part.start;
        while (log.childElementCount > MOST) {
            end = at(log.lastElementChild);
            log.lastElementChild?.remove();
        }
        log.scrollTop = log.scrollHeight - below;
    }

    /** @param {Answer} part */
    function show(part) {
        isFile = !part.tail;
        replace(part.tail ?? part.lines);
        if (isFile) [start, end, size] = [part.start, part.end, part.size];
        document.querySelector(".jobqueue-only-end")?.toggleAttribute("hidden", isFile);
    }

    function toBottom() {
        log.scrollTop = log.scrollHeight;
    }

    // Moving on

    /** Unless another request goes on. @param {() => Promise<void>} step */
    async function alone(step) {
        if (going || isOver) return;
        going = attempt(step);
        await going;
        await number();
    }

    /** What a user asks for: after the request that goes on. @param {() => Promise<void>} step */
    async function next(step) {
        while (going) await going;
        await alone(step);
    }

    /** A failure is told, and what comes next comes later. @param {() => Promise<void>} step */
    async function attempt(step) {
        try {
            await step();
            if (pause > EVERY) say("");
            pause = EVERY;
            tellWhether(!isOver && state === tools.dataset.state);
        } catch {
            tellWhether(false);
            say("lost");
            pause = Math.min(2 * pause, SLOWEST);
        }
        going = null;
    }

    async function goToEnd() {
        tag = "";
        const part = await ask({});
        if (part) show(part);
        setFollow(true);
    }

    /** @param {Record<string, number>} query */
    async function goTo(query) {
        const part = await ask(query);
        if (part) show(part);
    }

    async function newer() {
        const part = await ask(isFile ? { after: end } : {});
        if (!part) return;
        if (part.tail || !isFile) show(part);
        else if (part.is_cut) {
            await goToEnd();
            say("cut");
        } else if (follows && part.size - part.end > BEHIND) {
            await goToEnd();
            say("skipped");
        } else append(part);
        // Only with news: who has just scrolled away would be taken back by an answer without any.
        if (follows && (part.tail ?? part.lines).length) toBottom();
    }

    async function older() {
        const part = await ask({ before: start });
        if (part && !part.tail) prepend(part);
    }

    /** @param {boolean} wanted */
    function setFollow(wanted) {
        if (follows !== wanted) say(wanted || !isOpen ? "" : "paused");
        follows = wanted;
        press("follow", wanted);
        if (wanted) toBottom();
    }

    log.addEventListener("scroll", () => {
        const below = log.scrollHeight - log.scrollTop - log.clientHeight;
        if (follows && below > NEAR) setFollow(false);
        if (!follows && below < 2 && end >= size) setFollow(true);
        reach();
    });

    /** Bring the lines beyond the edge that is near, after the request that goes on. */
    async function reach() {
        if (isReaching) return;
        isReaching = true;
        while (going) await going;
        isReaching = false;
        const below = log.scrollHeight - log.scrollTop - log.clientHeight;
        if (isFile && log.scrollTop < NEAR && start > 0) await alone(older);
        else if (isFile && below < NEAR && end < size) await alone(newer);
    }

    async function look() {
        clearTimeout(timer);
        if (document.hidden || isOver) return;
        // What is shown may be the beginning: then nothing is added at its end.
        if (!isFile || end >= size || follows) await alone(newer);
        else await alone(async () => { await ask({ lines: 0 }); });
        clearTimeout(timer);
        if (isOpen) timer = setTimeout(look, pause);
    }

    // Searching

    async function findNext() {
        const text = words?.value ?? "";
        if (!text) return;
        say("");
        if (!isFile) return findHere(text);
        let place = (await ask({ find: text, from: foundAt + 1 }))?.found;
        if (place === null && foundAt >= 0) {
            place = (await ask({ find: text, from: 0 }))?.found;
            if (place !== null) say("around");
        }
        if (place === null || place === undefined) return say("none");
        foundAt = place;
        setFollow(false);
        if (place < start || place >= end) await goTo({ before: place + AROUND });
        mark([...log.children].filter(line => at(line) <= foundAt).pop());
    }

    /** @param {string} text */
    function findHere(text) {
        const lines = [...log.children];
        const fits = (/** @type {Element} */ line) => line.textContent?.toLowerCase().includes(text.toLowerCase());
        const later = lines.findIndex((line, number) => number > foundAt && fits(line));
        foundAt = later >= 0 ? later : lines.findIndex(fits);
        setFollow(false);
        if (foundAt < 0) return say("none");
        if (later < 0) say("around");
        mark(lines[foundAt]);
    }

    /** @param {Element | undefined} line */
    function mark(line) {
        log.querySelector(".jobqueue-found")?.classList.remove("jobqueue-found");
        line?.classList.add("jobqueue-found");
        line?.scrollIntoView({ block: "nearest" });
    }

    // Buttons

    /** @param {string} name @param {boolean} isOn */
    function press(name, isOn) {
        tools.querySelector(`[data-do=${name}]`)?.setAttribute("aria-pressed", String(isOn));
        try {
            if (name !== "follow") localStorage.setItem(`jobqueue-output-${name}`, String(isOn));
        } catch {
            // It is for this page only, then.
        }
    }

    const isOn = (/** @type {string} */ name) =>
        tools.querySelector(`[data-do=${name}]`)?.getAttribute("aria-pressed") === "true";

    /** The number of the first line, if numbers are wanted. */
    async function number() {
        log.classList.toggle("jobqueue-numbered", isOn("numbers"));
        if (!isOn("numbers") || isOver || numbered === start) return;
        const first = start;
        try {
            const before = isFile && first > 0 ? (await ask({ lines: first }))?.lines_before : 0;
            if (first !== start) return; // older lines came meanwhile, and ask for theirs
            log.style.counterReset = `jobqueue-line ${before ?? 0}`;
            numbered = first;
        } catch {
            // The next part brings them.
        }
    }

    /** @type {Record<string, () => unknown>} */
    const doing = {
        follow: () => follows ? setFollow(false) : next(goToEnd),
        wrap: () => { press("wrap", !isOn("wrap")); wrap(); },
        numbers: () => { press("numbers", !isOn("numbers")); return number(); },
        begin: () => {
            setFollow(false);
            return next(async () => { if (isFile && start > 0) await goTo({ after: 0 }); log.scrollTop = 0; });
        },
        end: () => next(goToEnd),
        find: () => next(findNext),
    };

    function wrap() {
        log.classList.toggle("jobqueue-unwrapped", !isOn("wrap"));
    }

    tools.addEventListener("click", event => {
        const name = event.target instanceof HTMLElement ? event.target.dataset.do : undefined;
        if (name) doing[name]?.();
    });
    words.addEventListener("input", () => { foundAt = -1; });
    words.addEventListener("keydown", event => {
        if (event.key !== "Enter") return;
        event.preventDefault(); // the page's form
        next(findNext);
    });
    document.addEventListener("visibilitychange", look);

    for (const name of ["wrap", "numbers"]) {
        try {
            const kept = localStorage.getItem(`jobqueue-output-${name}`);
            if (kept) press(name, kept === "true");
        } catch {
            // Nothing is kept.
        }
    }
    wrap();
    alone(goToEnd).then(() => {
        tools.hidden = !isOpen && !log.childElementCount;
        if (isOpen) timer = setTimeout(look, EVERY);
    });
});
