"""A browser for each module, and the site for each test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright
from pytest_django import Settings

from tests import servers
from tests.browser import chromium as options
from tests.browser import site
from tests.browser.site import Admin


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    servers.need("chromium")
    with (
        # Playwright's loop runs in this thread, and Django can't tell that we don't use it.
        pytest.MonkeyPatch.context() as environment,
        sync_playwright() as playwright,
        playwright.chromium.launch(
            executable_path=servers.find_browser(), args=options.OPTIONS, timeout=site.PATIENCE
        ) as found,
    ):
        environment.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        expect.set_options(timeout=site.PATIENCE)
        yield found


@pytest.fixture
def admin(browser: Browser, live_server: Any, settings: Settings) -> Iterator[Admin]:
    settings.MIDDLEWARE = [f"{site.__name__}.strict_policy", *settings.MIDDLEWARE]
    visited = Admin(browser, live_server.url)
    yield visited
    for context in visited.contexts:
        context.close()
    assert visited.complaints == [], "the browser complained"
