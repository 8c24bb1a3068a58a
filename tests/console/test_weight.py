"""What a page weighs on the wire: the first visit, a list of fifty rows, the documentation of the tools."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client as Browser

from console import static_files
from console.accounts.models import User
from console.audit.models import CallOutcome
from console.connected_apps.models import ConnectedApp
from tests.console.pages import log, text_of

FIRST_VISIT = 80_000
LIST = 20_000
TOOLS = 40_000
ZIPPED = {"accept-encoding": "gzip, deflate, br"}


@pytest.fixture
def browser(client: Browser, owner: User) -> Browser:
    client.force_login(owner)
    return client


def on_the_wire(browser: Browser, url: str) -> int:
    answer: Any = browser.get(url, headers=ZIPPED)
    assert answer.status_code == 200, url
    return len(b"".join(answer.streaming_content) if answer.streaming else answer.content)


def test_a_first_visit_stays_below_its_weight(browser: Browser, app: ConnectedApp) -> None:
    html = text_of(browser.get("/"))
    files = set(re.findall(r'<(?:link|script|use)[^>]+(?:href|src)="(/static/[^"#]+)', html))
    assert any("woff2" in file for file in files)
    weights = {file: on_the_wire(browser, file) for file in files} | {"/": on_the_wire(browser, "/")}
    assert sum(weights.values()) <= FIRST_VISIT, weights


def test_fifty_calls_stay_below_their_weight(browser: Browser, app: ConnectedApp) -> None:
    for number in range(60):
        log(app, tool="place_order", outcome=CallOutcome.REFUSED, code="insufficient_funds", message=f"Number {number}")
    for url in ("/timeline/", "/errors/"):
        assert on_the_wire(browser, url) <= LIST, url


def test_the_documentation_of_the_tools_stays_below_its_weight_even_unzipped(browser: Browser) -> None:
    assert len(browser.get("/docs/tools/").content) <= TOOLS
    assert on_the_wire(browser, "/docs/tools/place_order/") <= LIST


def test_a_static_file_has_its_hash_in_its_name_and_is_kept_for_good(browser: Browser) -> None:
    html = text_of(browser.get("/"))
    named = re.findall(r'(?:href|src)="(/static/[^"#]+)', html)
    assert named
    for file in named:
        assert re.search(r"\.[0-9a-f]{12}\.", file), file
        assert "immutable" in browser.get(file)["Cache-Control"], file


def test_a_page_with_secrets_in_it_does_not_tell_their_length(browser: Browser) -> None:
    """BREACH: the same page, zipped twice, has not the same length."""
    lengths = {on_the_wire(browser, "/security/") for _ in range(12)}
    assert len(lengths) > 1


def test_every_style_sheet_names_only_fonts_that_are_shipped_or_the_systems(settings: LazySettings) -> None:
    sheet = (Path(settings.BASE_DIR) / "console/static/console/app.css").read_text()
    named = re.findall(r"--(?:sans|mono): ([^;]+);", sheet)
    systems = {"system-ui", "sans-serif", "ui-monospace", "monospace", "SFMono-Regular", "Menlo", "Consolas"}
    others = {name.strip(' "\n') for fonts in named for name in fonts.split(",")} - systems - {"Liberation Mono"}
    assert others == {"Inter"}
    assert "@font-face" in sheet


def test_files_are_written_whole_by_whichever_server_is_first(tmp_path: Path) -> None:
    root = tmp_path / "static" / "0123"
    static_files.write_once(root)
    before = sorted(file.name for file in root.rglob("*"))
    static_files.write_once(root)
    assert sorted(file.name for file in root.rglob("*")) == before
    assert [folder.name for folder in root.parent.iterdir()] == ["0123"]
    for version in ("4567", "89ab", "cdef"):
        static_files.write_once(root.with_name(version))
    assert len(list(root.parent.iterdir())) == 3
