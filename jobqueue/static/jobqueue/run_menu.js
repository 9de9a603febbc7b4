// @ts-check
"use strict";

// The menu works without this. With it there is a search, arrows lead from one Job to the next, and
// Escape or a click elsewhere closes it.
{
    /** @returns {HTMLDetailsElement[]} */
    const openMenus = () => [...document.querySelectorAll("details.jobqueue-run-menu")]
        .filter(menu => menu instanceof HTMLDetailsElement)
        .filter(menu => menu.open);

    /** Those that can be pressed now. @param {Element} menu @returns {HTMLButtonElement[]} */
    const entries = menu => [...menu.querySelectorAll("button")]
        .filter(button => button.closest("[hidden]") === null);

    /** @param {Element} menu */
    const searchField = menu => menu.querySelector("input[type=search]");

    /** Show what has each of the words in its name or that of its group. @param {Element} menu */
    const search = menu => {
        const field = searchField(menu);
        if (!(field instanceof HTMLInputElement)) return;
        const words = field.value.toLocaleLowerCase().split(/\s+/);
        for (const group of menu.querySelectorAll("form > div")) {
            if (!(group instanceof HTMLElement)) continue;
            const name = group.getAttribute("aria-label") ?? "";
            for (const item of group.querySelectorAll("li")) {
                const text = `${name}: ${item.textContent}`.toLocaleLowerCase();
                item.hidden = !words.every(word => text.includes(word));
            }
            group.hidden = group.querySelector("li:not([hidden])") === null;
        }
        const found = menu.querySelector("[role=status] span");
        if (found) found.textContent = `${entries(menu).length}`;
    };

    /** From one to the next, the search being the first. @param {Element} menu @param {number} by */
    const move = (menu, by) => {
        const field = searchField(menu);
        const stops = [...(field instanceof HTMLElement ? [field] : []), ...entries(menu)];
        const here = stops.findIndex(stop => stop === document.activeElement);
        stops[Math.min(Math.max(here + by, 0), stops.length - 1)]?.focus();
    };

    for (const menu of document.querySelectorAll("details.jobqueue-run-menu")) {
        const field = searchField(menu);
        if (!(menu instanceof HTMLDetailsElement && field instanceof HTMLInputElement)) continue;
        field.closest("[hidden]")?.removeAttribute("hidden");
        search(menu);
        field.addEventListener("input", () => search(menu));
        menu.addEventListener("toggle", () => {
            // Where one types on the screen, the keyboard would cover the menu.
            if (menu.open && matchMedia("(pointer: fine)").matches) field.focus();
        });
    }

    document.addEventListener("click", event => {
        for (const menu of openMenus()) {
            if (event.target instanceof Node && !menu.contains(event.target)) menu.open = false;
        }
    });

    document.addEventListener("keydown", event => {
        for (const menu of openMenus()) {
            if (event.key === "Escape") {
                menu.open = false;
                menu.querySelector("summary")?.focus();
            } else if (menu.contains(document.activeElement)) {
                const isInSearch = document.activeElement === searchField(menu);
                const by = { ArrowDown: 1, ArrowUp: -1 }[event.key] ?? 0;
                // Enter leads to the first one found, and runs nothing yet.
                if (by || (isInSearch && event.key === "Enter")) {
                    event.preventDefault();
                    move(menu, by || 1);
                }
            }
        }
    });
}
