// @ts-check
"use strict";

// Tells the site the browser's time zone when the page shows times in another one, and loads it again.
// The cookie is set only where that can be done: what is typed into a page is read in the zone of the
// cookie, and that must be the one that the page shows.
{
    const YEAR = 365 * 24 * 60 * 60; // seconds
    const shown = document.querySelector("[data-jobqueue-zone-cookie]");
    const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const cookie = `${shown?.getAttribute("data-jobqueue-zone-cookie")}=${here}`;

    // Not again and again where the site doesn't know the zone, or the browser takes no cookies.
    const isTold = () => document.cookie.split("; ").includes(cookie);

    const isTyped = () => [...document.querySelectorAll("input, textarea")].some(field =>
        (field instanceof HTMLInputElement || field instanceof HTMLTextAreaElement)
        && field.value !== field.defaultValue);

    const differs = shown && here && shown.getAttribute("data-jobqueue-zone") !== here;
    if (differs && !isTold() && !isTyped()) {
        const secure = location.protocol === "https:" ? "; Secure" : "";
        document.cookie = `${cookie}; Path=/; Max-Age=${YEAR}; SameSite=Lax${secure}`;
        if (isTold()) location.reload();
    }
}
