"""Finds words that a reader cannot see whole: cut off by a box, or running out of one."""

from pathlib import Path

from playwright.sync_api import Page

_FIND = Path(__file__).with_suffix(".js").read_text()


def cut_off(page: Page) -> list[str]:
    """Each box with the words in it that cannot be read whole, at the page's present width."""
    found: list[str] = page.evaluate(_FIND)
    return found
