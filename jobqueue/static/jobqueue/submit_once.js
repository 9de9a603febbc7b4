// @ts-check
"use strict";

// A second click while the answer is under way is no second request: one of our forms is sent once,
// until its page is shown again. Without this a Job that asks for nothing would be queued twice.
{
    const OURS = "form[data-submit-once], body.app-jobqueue #changelist-form";
    const { dataset } = document.documentElement;

    const watch = () => {
        /** @type {WeakSet<HTMLFormElement>} */
        let sent = new WeakSet();
        document.addEventListener("submit", event => {
            const form = event.target;
            if (event.defaultPrevented || !(form instanceof HTMLFormElement) || !form.matches(OURS)) return;
            if (sent.has(form)) event.preventDefault();
            sent.add(form);
        });
        // By the button Back, with all as it was left.
        addEventListener("pageshow", event => { if (event.persisted) sent = new WeakSet(); });
    };

    // The Run menu brings this file, and the page may, too.
    if (!dataset.jobqueueSubmitOnce) watch();
    dataset.jobqueueSubmitOnce = "yes";
}
