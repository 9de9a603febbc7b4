"""The site as people see it in a browser."""

from __future__ import annotations

import re
from typing import Any

from django.http import HttpRequest, HttpResponse
from playwright.sync_api import Browser, BrowserContext, Page

from tests.users import a_user

PASSWORD = "only for tests"
#: Milliseconds: what a crowded machine may need for anything here.
PATIENCE = 90_000
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


def strict_policy(get_response: Any) -> Any:
    """Middleware: allow nothing but files of this site, no inline script or style."""

    def answer(request: HttpRequest) -> HttpResponse:
        response: HttpResponse = get_response(request)
        response["Content-Security-Policy"] = "default-src 'self'; img-src 'self' data:"
        return response

    return answer


class Admin:
    """The site, and people who look at it."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.browser = browser
        self.url = url
        self.contexts: list[BrowserContext] = []
        #: What the browser complained about.
        self.complaints: list[str] = []
        #: Words of the complaints that the test provokes, however often they come.
        self.provoked = ["status of 404"]

    def visit(self, path: str = "", *permissions: str, **over: Any) -> Page:
        """A page as a new user with these permissions sees it; a superuser without any."""
        user = a_user(*permissions, is_superuser=not permissions)
        user.set_password(PASSWORD)
        user.save()
        context = self.browser.new_context(**{"viewport": WIDE, "locale": "en-GB", **over})
        context.set_default_timeout(PATIENCE)
        self.contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: self._complain(message.type, message.text))
        page.on("pageerror", lambda error: self._complain("error", str(error)))
        page.goto(f"{self.url}/admin/login/?next=/admin/{path}")
        page.fill("[name=username]", user.username)
        page.fill("[name=password]", PASSWORD)
        page.click("#login-form [type=submit]")
        # The load state may still be that of the form.
        page.wait_for_url(lambda url: "/admin/login/" not in url)
        return page

    def _complain(self, kind: str, text: str) -> None:
        if kind == "error" and not any(words in text for words in ["favicon", *self.provoked]):
            self.complaints.append(text)


def fits(page: Page) -> bool:
    """Whether nothing sticks out at the side, so that the page doesn't scroll there."""
    root = "document.documentElement"
    return bool(page.evaluate(f"{root}.scrollWidth <= {root}.clientWidth"))


def stands_still(page: Page) -> bool:
    """Whether the watches of a page show the same over some of their ticks."""
    watches = page.locator(".jobqueue-watch")
    shown = watches.all_inner_texts()
    assert shown
    page.evaluate("new Promise(done => setTimeout(done, 2500))")
    return watches.all_inner_texts() == shown


def contrast(first: str, second: str) -> float:
    """The ratio of two colours as browsers write them, ``rgb(1, 2, 3)``."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted(luminance(colour) for colour in (first, second))
    return (high + 0.05) / (low + 0.05)
