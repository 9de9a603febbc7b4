// @ts-check
"use strict";

// The menu works without this; Escape or a click elsewhere closes it.
{
    /** @returns {HTMLDetailsElement[]} */
    const openMenus = () => [...document.querySelectorAll("details.jobqueue-run-menu")]
        .filter(menu => menu instanceof HTMLDetailsElement)
        .filter(menu => menu.open);

    document.addEventListener("click", event => {
        for (const menu of openMenus()) {
            if (event.target instanceof Node && !menu.contains(event.target)) menu.open = false;
        }
    });

    document.addEventListener("keydown", event => {
        if (event.key !== "Escape") return;
        for (const menu of openMenus()) {
            menu.open = false;
            menu.querySelector("summary")?.focus();
        }
    });
}
