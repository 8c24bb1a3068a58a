"""From SQLite to PostgreSQL and back: every row the same, the record whole, numbers go on; bad files leave nothing."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import prepared, serving
from tests.mcpserver.wire import Wire

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tl-") as name:
        yield Path(name)


def test_data_goes_to_postgresql_and_back(folder: Path) -> None:
    with serving.serve(folder / "home") as server:
        keys = server.quickstart
        trade = Wire(server.mcp_url, keys["paper_key_trade"])
        placed = trade.result("place_order", {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.12345678"})
        order = trade.result("confirm_trade", {"confirmation_id": placed["confirmation_id"]})["order"]
    there, back = folder / "there.ndjson", folder / "back.ndjson"

    def manage(*arguments: str, home: Path = server.home, fails: bool = False, url: str = "") -> str:
        variables = {"TRADELATCH_DATABASE_URL": url} if url else {}
        ran = serving.manage(home, 8000, *arguments, **variables)
        assert (ran.returncode != 0) == fails, ran.stderr
        return ran.stderr if fails else ran.stdout

    with prepared.postgresql() as url:
        manage("export_data", str(there))
        assert there.stat().st_mode & 0o077 == 0, "password hashes and sessions are in it"
        cut = folder / "cut.ndjson"
        lines = there.read_text().splitlines(keepends=True)
        cut.write_text("".join(lines[:-1]))
        assert "its end is missing" in manage("import_data", str(cut), fails=True, url=url)
        changed = folder / "changed.ndjson"
        changed.write_text("".join(lines).replace("0.12345678", "0.12345679", 1))
        assert "is damaged" in manage("import_data", str(changed), fails=True, url=url)
        assert "Every row is the same" in manage("import_data", str(there), url=url)
        assert "is in use" in manage("import_data", str(there), fails=True, url=url)
        manage("audit_verify", url=url)
        # The same secrets, the same keys: it goes on where it was, with numbers that are free.
        with serving.fresh(server.home, supervised=False, TRADELATCH_DATABASE_URL=url) as moved:
            trade = Wire(moved.mcp_url, keys["paper_key_trade"])
            (found,) = trade.result("get_orders", {"status": "all"})["orders"]
            assert (found["order_id"], found["filled_quantity"]) == (order["order_id"], "0.12345678")
            again = trade.result("place_order", {"symbol": "BTC/USD", "side": "BUY", "quantity": "1"})
            trade.result("confirm_trade", {"confirmation_id": again["confirmation_id"]})
        manage("export_data", str(back), url=url)
    home = folder / "again"
    manage("import_data", str(back), home=home)
    manage("audit_verify", home=home)
    ends = [json.loads(line) for line in back.read_text().splitlines() if line.startswith('{"end": "orders.order"')]
    assert ends[0]["rows"] == 2
