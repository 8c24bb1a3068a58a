"""Light and dark differ in colours and in nothing else; width is the business of styles alone.

So the tests in a browser look at a page once: by every rule in the light, by those about colours in the dark, and at
each width without loading it again.
"""

import re
from pathlib import Path

import pytest

CONSOLE = Path(__file__).resolve().parents[2] / "console"
STATIC = CONSOLE / "static" / "console"
TEMPLATES = CONSOLE.parent / "templates"
FILES = sorted([*STATIC.glob("*.css"), *STATIC.glob("*.js"), *TEMPLATES.rglob("*.html")])
SCHEME = re.compile(r"prefers-color-scheme|color-scheme:(?! light dark;)")
WIDTH = re.compile(
    r"matchMedia|innerWidth|outerWidth|offsetWidth|screen\.\w|ResizeObserver|onresize|'resize'|\"resize\""
)


def test_a_scheme_is_asked_for_by_light_dark_alone_which_takes_colours() -> None:
    assert [path.name for path in FILES if SCHEME.search(path.read_text())] == []


def test_no_script_asks_how_wide_the_window_is() -> None:
    assert [path.name for path in FILES if path.suffix != ".css" and WIDTH.search(path.read_text())] == []


def test_both_schemes_are_there() -> None:
    assert "light-dark(" in (STATIC / "app.css").read_text()


@pytest.mark.parametrize(
    ("pattern", "offence"),
    [
        (SCHEME, "@media (prefers-color-scheme: dark) { .menu { display: none; } }"),
        (SCHEME, ":root { color-scheme: dark; }"),
        (WIDTH, "if (matchMedia('(max-width: 760px)').matches) open();"),
        (WIDTH, "addEventListener('resize', open);"),
        (WIDTH, "if (screen.width < 760) open();"),
    ],
)
def test_an_offence_is_seen(pattern: re.Pattern[str], offence: str) -> None:
    assert pattern.search(offence)
