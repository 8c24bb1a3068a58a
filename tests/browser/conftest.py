"""A real browser that forgives nothing: an error on the console or a request that leaves the origin fails the test."""

import os
import shutil
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import LazySettings
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.servers.basehttp import WSGIRequestHandler
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

from console.oauth import resource_indicator
from tests.browser.steps import sign_in
from tests.patience import at_most

# Django sees the event loop that playwright runs in this thread and would refuse the ORM to the fixtures.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

# It would look for files by the names that they have in the checkout; our middleware serves the hashed ones.
StaticFilesHandler._should_handle = lambda self, path: False  # type: ignore[method-assign]

# Headers and body of an answer go out together: the second of two small writes would wait for a twenty-fifth of a
# second, until the first is acknowledged.
WSGIRequestHandler.wbufsize = -1
WSGIRequestHandler.disable_nagle_algorithm = True

FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """For one file of tests: playwright keeps an event loop in this thread for as long as it runs."""
    program = shutil.which("chromium")
    assert program is not None, "no chromium on this computer: make test installs it, or install it yourself"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context(viewport={"width": 1320, "height": 900})
    context.set_default_timeout(at_most(10) * 1000)
    expect.set_options(timeout=at_most(5) * 1000)
    yield context
    context.close()


@pytest.fixture
def elsewhere() -> set[str]:
    """Origins a test means to go to besides the console's own."""
    return set()


@pytest.fixture
def refused() -> set[int]:
    """Statuses a test means to be refused with: Chromium writes a line for each answer of 400 and above."""
    return set()


@pytest.fixture
def page(context: BrowserContext, elsewhere: set[str], refused: set[int]) -> Iterator[Page]:
    """A page of the first origin it opens. What went wrong on it fails the test when it ends."""
    page = context.new_page()
    wrong: list[str] = []
    origins: set[str] = set()

    def note_request(url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https"):
            origins.add(f"{parts.scheme}://{parts.netloc}")

    def note_failure(request: Request) -> None:
        # Leaving a page cuts off what it was still loading: that is no failure.
        if request.failure != "net::ERR_ABORTED":
            wrong.append(f"failed: {request.url} {request.failure}")

    def note_message(message: ConsoleMessage) -> None:
        meant = any(f"responded with a status of {status} " in message.text for status in refused)
        if message.type in ("error", "warning") and not meant:
            wrong.append(message.text)

    page.on("console", note_message)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("requestfailed", note_failure)
    page.on("request", lambda request: note_request(request.url))
    yield page
    assert wrong == []
    assert len(origins - elsewhere) <= 1, f"requests left the origin: {sorted(origins)}"


@pytest.fixture
def home(page: Page, owner: Any, live_server: Any) -> str:
    """The owner, signed in; the address of the console, without a slash at its end."""
    sign_in(page, live_server.url, owner.email)
    expect(page.get_by_role("heading", name="Home")).to_be_visible()
    return str(live_server.url)


@pytest.fixture
def console(live_server: Any, settings: LazySettings) -> Iterator[str]:
    """By name: passkeys refuse the address of a computer."""
    url = str(live_server.url).replace("127.0.0.1", "localhost")
    settings.PUBLIC_URL = url
    resource_indicator.origin_for.cache_clear()
    yield url
    resource_indicator.origin_for.cache_clear()


@pytest.fixture
def authenticator(page: Page) -> Iterator[Any]:
    """Chromium's virtual one, in place of a finger: its devtools session and its id."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    made = session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    yield session, made["authenticatorId"]
    session.detach()
