"""What a person does at the console in a browser, and how a page is judged."""

from importlib import resources
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser import proving
from tests.conftest import PASSWORD

# The package carries the file; its own wrapper is not used.
AXE = Path(str(resources.files("axe_playwright_python") / "axe.min.js")).read_text()
WCAG = "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']"
BEST = "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']"
_COLOURS = "{type: 'rule', values: ['color-contrast', 'link-in-text-block']}"
"""The rules that look at colours. Nothing else differs in the dark: tests/console/test_color_schemes.py holds it."""


def reads_well(page: Page, *widths: int, rules: str = BEST) -> None:
    """At each width the page does not scroll sideways, and axe finds nothing in it, light or dark."""
    for width in widths:
        resize(page, width)
        assert beyond(page) <= 0, (page.url, width)
        found = axe_finds(page, rules)
        assert found == [], (page.url, width, found)


def axe_finds(page: Page, rules: str = BEST) -> list[Any]:
    """At the present width, in light and in dark."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    found = [("light", *each) for each in _violations(page, rules)]
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    return found + [("dark", *each) for each in _violations(page, _COLOURS)]


def resize(page: Page, width: int) -> None:
    """Once the page is laid out for it: a busy computer paints the new size a moment later."""
    page.set_viewport_size({"width": width, "height": 844})
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def beyond(page: Page) -> int:
    """How many pixels the page is wider than its window."""
    pixels: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return pixels


def _violations(page: Page, rules: str) -> list[Any]:
    """Each rule with the elements that break it. To describe what keeps to the rules too is most of the work."""
    options = f"{{runOnly: {rules}, resultTypes: ['violations'], selectors: false}}"
    broken = "violations.map(each => [each.id, each.nodes.map(node => node.html)])"
    found: list[Any] = page.evaluate(f"axe.run({options}).then(({{violations}}) => {broken})")
    return found


def sign_in(page: Page, console: str, email: str) -> None:
    page.goto(f"{console}/sign-in/")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def add_passkey(page: Page, console: str, password: str = PASSWORD) -> None:
    page.goto(f"{console}/security/")
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("Name").fill("Laptop")
    page.get_by_role("button", name="Add passkey").click()
    proving.with_password(page, password)
    page.get_by_role("button", name="Create passkey").click()
    expect(page.get_by_role("heading", name="Keep your recovery codes")).to_be_visible()
    page.get_by_role("link", name="I have saved them").click()
    expect(page.get_by_text("Passkey Laptop", exact=True)).to_be_visible()


def sign_out(page: Page) -> None:
    page.get_by_role("button", name="Sign out").first.click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
