// @ts-check
"use strict";

// Keeps the desk as it is now. The server draws it; what changed is taken over into the page, node
// by node, so that nothing flickers and whoever is on a button, or has selected text, stays there.
document.addEventListener("DOMContentLoaded", () => {
    const EVERY = 3000; // milliseconds
    const SLOWEST = 30000; // between tries while the server is away
    const desk = document.getElementById("jobqueue-desk");
    const state = document.getElementById("jobqueue-desk-state");
    const url = desk?.dataset.live;
    if (!desk || !state || !url) return;

    let tag = "";
    let pause = EVERY;
    let isOver = false;
    /** @type {number | undefined} */
    let timer;

    /** What tells a node from its neighbours. @param {Node} node */
    const nameOf = node => node instanceof Element ? `${node.tagName}#${node.id}` : node.nodeName;

    /** Make one element's attributes those of another, but for what the reader has opened.
     * @param {Element} old @param {Element} wanted */
    function copyAttributes(old, wanted) {
        for (const { name } of [...old.attributes]) {
            if (!wanted.hasAttribute(name) && name !== "open") old.removeAttribute(name);
        }
        for (const { name, value } of wanted.attributes) {
            if (old.getAttribute(name) !== value) old.setAttribute(name, value);
        }
    }

    /** Make the children of one node those of another; what is the same stays. @param {Node} old @param {Element} wanted */
    function take(old, wanted) {
        const kept = new Set([...wanted.children].filter(child => child.id).map(nameOf));
        let here = old.firstChild;
        for (const node of [...wanted.childNodes]) {
            let same = here;
            while (same && nameOf(same) !== nameOf(node)) same = same.nextSibling;
            // Only one with a name of its own is looked for further down.
            if (same !== here && !(node instanceof Element && node.id)) same = null;
            if (!same) {
                old.insertBefore(node, here);
                continue;
            }
            bring(same, dropUpTo(same, here, kept));
            if (same instanceof Element && node instanceof Element) {
                copyAttributes(same, node);
                take(same, node);
            } else if (same.nodeValue !== node.nodeValue && !isSelected(same)) {
                same.nodeValue = node.nodeValue;
            }
            here = same.nextSibling;
        }
        while (here) here = drop(here);
    }

    /** Drop what is before a node, but for what is wanted further down: that is the answer.
     * @param {ChildNode} node @param {ChildNode | null} here @param {Set<string>} kept */
    function dropUpTo(node, here, kept) {
        const others = [];
        while (here && here !== node) {
            if (kept.has(nameOf(here))) others.push(here);
            here = kept.has(nameOf(here)) ? here.nextSibling : drop(here);
        }
        return others;
    }

    /** Put a node before others. The reader's place isn't moved, which would lose focus and selection.
     * @param {ChildNode} node @param {ChildNode[]} others */
    function bring(node, others) {
        if (isSelected(node) || node.contains(document.activeElement)) node.after(...others);
        else others[0]?.before(node);
    }

    /** Whether somebody has selected a piece of it. @param {Node} node */
    function isSelected(node) {
        const selection = getSelection();
        return Boolean(selection && !selection.isCollapsed && selection.containsNode(node, true));
    }

    /** Remove a node; the one after it. @param {ChildNode} node */
    function drop(node) {
        const following = node.nextSibling;
        node.remove();
        return following;
    }

    const outputs = () => [.../** @type {HTMLElement} */ (desk).querySelectorAll(".jobqueue-last-lines")];

    /** Show the ends of all outputs but those that somebody reads, and where. @param {Map<Element, number>} read */
    function toEnds(read) {
        for (const lines of outputs()) lines.scrollTop = read.get(lines) ?? lines.scrollHeight;
    }

    /** @param {string} html */
    function draw(html) {
        const wanted = document.createElement("div");
        wanted.innerHTML = html;
        const scrolled = outputs().filter(lines => lines.scrollTop + lines.clientHeight < lines.scrollHeight - 2);
        const read = new Map(scrolled.map(lines => [lines, lines.scrollTop]));
        take(/** @type {HTMLElement} */ (desk), wanted);
        document.dispatchEvent(new Event("jobqueue-drawn"));
        toEnds(read);
    }

    /** Say what is wrong with what is shown; "" for nothing. @param {string} name */
    function tell(name) {
        const place = /** @type {HTMLElement} */ (state);
        const text = place.dataset[name] ?? "";
        if (place.textContent !== text) place.textContent = text;
        document.dispatchEvent(new CustomEvent("jobqueue-current", { detail: !name }));
    }

    /** What is shown is the last that will be. @param {string} why */
    function end(why) {
        isOver = true;
        tell(why);
    }

    async function ask() {
        const answer = await fetch(/** @type {string} */ (url), {
            headers: { "If-None-Match": tag, Accept: "application/json" },
            cache: "no-store",
            redirect: "manual",
        });
        if (answer.type === "opaqueredirect") return end("ended"); // to the login
        if (answer.status === 403) return end("refused");
        if (answer.status !== 304) {
            if (!answer.ok) throw new Error(`status ${answer.status}`);
            draw((await answer.json()).html);
            tag = answer.headers.get("ETag") ?? "";
        }
        tell("");
    }

    async function look() {
        clearTimeout(timer);
        if (document.hidden || isOver) return;
        try {
            await ask();
            pause = EVERY;
        } catch {
            tell("lost");
            pause = Math.min(2 * pause, SLOWEST);
        }
        clearTimeout(timer);
        timer = setTimeout(look, pause);
    }

    document.addEventListener("visibilitychange", look);
    addEventListener("pageshow", event => { if (event.persisted) location.reload(); });
    timer = setTimeout(look, EVERY);
    toEnds(new Map());
});
