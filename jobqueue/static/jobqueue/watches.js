// @ts-check
"use strict";

// Watches and bars go on by themselves: data-elapsed are the seconds when the page was drawn. Who draws
// such places anew says so by the event "jobqueue-drawn", and by "jobqueue-current" (detail: true or
// false) whether what is shown is so still; while it may be old, they stand still.
document.addEventListener("DOMContentLoaded", () => {
    let drawn = performance.now();
    let isCurrent = true;

    /** Seconds as a stop watch shows them. @param {number} total */
    function clock(total) {
        const [hours, minutes, seconds] = [total / 3600, (total / 60) % 60, total % 60].map(Math.floor);
        const two = (/** @type {number} */ part) => String(part).padStart(2, "0");
        return hours ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
    }

    function tick() {
        const since = (performance.now() - drawn) / 1000;
        for (const place of document.querySelectorAll("[data-elapsed]")) {
            if (!(place instanceof HTMLElement)) continue;
            const elapsed = Number(place.dataset.elapsed) + since;
            if (place instanceof HTMLProgressElement) place.value = Math.min(elapsed, place.max);
            else if (place.textContent !== clock(elapsed)) place.textContent = clock(elapsed);
        }
    }

    document.addEventListener("jobqueue-drawn", () => { drawn = performance.now(); });
    document.addEventListener("jobqueue-current", event => {
        if (event instanceof CustomEvent) isCurrent = event.detail;
    });
    setInterval(() => { if (isCurrent && !document.hidden) tick(); }, 1000);
});
