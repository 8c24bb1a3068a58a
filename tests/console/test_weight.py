"""What a page weighs on the wire: the first visit, a list of fifty rows, the documentation of the tools."""

import itertools
import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client as Browser
from django.utils import timezone

from console import static_files
from console.accounts.models import User
from console.audit.models import CallOutcome
from console.connected_apps.models import ConnectedApp
from console.connections.models import EquitySnapshot
from console.journal.models import RoundTrip
from console.orders.models import Confirmation
from console.orders.states import Status
from tests.console.pages import log, text_of
from tests.console.steps import prepared_order, trade

__all__ = ["trade"]

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


@pytest.fixture
def much(app: ConnectedApp, owner: User, trade: RoundTrip) -> None:
    """More of everything than a page shows, with names and numbers as long as real ones."""
    owner.is_operator = True
    owner.save()
    one, confirmation = prepared_order(app), Confirmation.objects.get()
    now = timezone.now()
    for number, status in zip(range(60), itertools.cycle((Status.FILLED, Status.WORKING, Status.REJECTED))):
        one.pk, one.public_id, one.wire_id = None, f"ord_{number:026d}", f"{number + 1000:032d}"
        one.client_order_id, one.status, one.limit_price = f"of-mine-{number}", status, Decimal("91234.56")
        one.filled_quantity, one.average_price = Decimal("0.5"), Decimal("90123.4567")
        one.confirmation = confirmation
        one.save()
        trade.pk, trade.public_id = None, f"trd_{number:026d}"
        trade.opened_at = now - timedelta(hours=number)
        trade.save()
        log(
            app,
            tool=f"tool_{'abcdefgh'[number % 8]}_{'stuvwxyz'[number // 8]}",
            outcome=CallOutcome.REFUSED,
            code="insufficient_funds",
            message="The account has 1,000.00 USD.",
            arguments={"symbol": "BTC/USD", "side": "BUY", "quantity": "0.5"},
            order_id=one.public_id,
        )
    slots = [now - timedelta(minutes=5 * number) for number in range(1, 400)]
    EquitySnapshot.objects.bulk_create(
        EquitySnapshot(
            connection=app.connection,
            account_id=app.connection.default_account,
            currency="USD",
            slot=slot,
            grain=300,
            opened_at=slot,
            at=slot,
            **dict.fromkeys(("opened", "equity", "high", "low", "cash"), Decimal(123456) + number % 17),
        )
        for number, slot in enumerate(slots)
    )


def test_every_list_of_fifty_rows_stays_below_its_weight_even_unzipped(
    browser: Browser, app: ConnectedApp, much: None
) -> None:
    pages = {
        "/": None,
        "/portfolio/": None,
        "/orders/": "<tr><td>",
        "/journal/": "<tr><td>",
        "/timeline/": "<li>",
        "/activity/": "<li>",
        "/errors/": "<li",
        f"/connections/{app.connection_id}/": None,
        f"/connections/{app.connection_id}/performance/": "<tr><td>",
    }
    weights = {}
    for url, row in pages.items():
        answer = browser.get(url, follow=True)
        html = text_of(answer)
        assert row is None or html.split("<main", 1)[1].count(row) >= (24 if "performance" in url else 50), url
        weights[url] = len(answer.content)
    assert {url: weight for url, weight in weights.items() if weight > LIST} == {}


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
