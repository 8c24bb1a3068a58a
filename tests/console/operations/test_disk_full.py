"""A full disk: no order is sent, a cancel reaches its broker and says that it is not on record, a halt says what it is.

SQLite: every file of the server is as large as it may be, so that it and its log cannot write a byte more. PostgreSQL:
the server refuses each row with the error that it has for it, 53100. Its disk cannot be filled without the rights of
root, and what still fits then would be another thing each time.
"""

import json
import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests import prepared, serving
from tests.chaos.venues import ask_fake
from tests.load.__main__ import broker_apart
from tests.load.exchange import key_of
from tests.mcpserver.wire import Wire
from tests.person import Person
from tests.serving import Server, manage

_LINK = """
from console import scopes
from console.accounts.models import User
from console.keys import minting
from tests.load import people
owner = User.objects.get()
connection = people.link(owner, people.key_of(0), {broker!r})
print(minting.mint(owner, connection, scopes.parse("mcp:trade"), name="At a broker")[1])
"""
RESTS = {"symbol": "AAPL", "side": "BUY", "quantity": "1", "order_type": "LMT", "limit_price": "100"}


@pytest.fixture
def broker() -> Iterator[str]:
    with broker_apart() as url:
        yield url


@contextmanager
def full_disk(server: Server) -> Iterator[None]:
    assert server.process is not None
    usual = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (1, usual[1]))
    try:
        yield
    finally:
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, usual)


_EACH_TABLE = """
DO $$ DECLARE name regclass; BEGIN
  FOR name IN SELECT oid FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition
      AND relnamespace = current_schema()::regnamespace LOOP
    EXECUTE format('CREATE TRIGGER on_a_full_disk BEFORE INSERT OR UPDATE ON %s'
      ' FOR EACH STATEMENT EXECUTE FUNCTION write_row()', name);
  END LOOP;
END $$
"""
_WRITES = "CREATE OR REPLACE FUNCTION write_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {} RETURN NULL; END $$"
_FULL = "RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';"


@contextmanager
def full_postgresql(url: str) -> Iterator[None]:
    with psycopg.connect(url, autocommit=True) as session:
        session.execute(_WRITES.format(_FULL))
        try:
            yield
        finally:
            session.execute(_WRITES.format(""))


Disk = tuple[Server, Callable[[], AbstractContextManager[None]]]


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def disk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    """A server, and what fills the disk of its database."""
    if request.param == "SQLite":
        server: Server = request.getfixturevalue("server")
        yield server, partial(full_disk, server)
        return
    home: Path = tmp_path_factory.mktemp("full") / "home"
    with prepared.postgres_server() as database:
        made = manage(home, 8000, "quickstart", "--json", TRADELATCH_DATABASE_URL=database.url)
        assert made.returncode == 0, made.stderr
        with psycopg.connect(database.url, autocommit=True) as session:
            session.execute(_WRITES.format(""))
            session.execute(_EACH_TABLE)
        with serving.fresh(home, supervised=False, TRADELATCH_DATABASE_URL=database.url) as started:
            started.quickstart = json.loads(made.stdout)
            yield started, partial(full_postgresql, database.url)


def at_the_broker(broker: str) -> list[str]:
    orders: list[dict[str, Any]] = ask_fake(broker, "state", key_of(0))["orders"]
    return [each["status"] for each in orders]


def test_a_cancel_goes_and_says_that_it_is_not_on_record_and_a_halt_says_that_it_is_none(
    disk: Disk, broker: str
) -> None:
    server, full = disk
    made = manage(server.home, server.port, "shell", "-v", "0", "-c", _LINK.format(broker=broker), **server.variables)
    assert made.returncode == 0, made.stderr
    wire = Wire(server.mcp_url, made.stdout.split()[-1])
    order = wire.result("place_order", RESTS)
    wire.result("confirm_trade", {"confirmation_id": order["confirmation_id"]})
    held = wire.result("place_order", RESTS)
    asked = {"order_id": order["order"]["order_id"]}
    with Person(server.url, server.quickstart["username"], server.quickstart["password"]) as person:
        halts = person.get("/halts/")
        with full():
            refused = wire.refusal("confirm_trade", {"confirmation_id": held["confirmation_id"]})
            assert refused["code"] in ("audit_unavailable", "database_unavailable")
            assert at_the_broker(broker) == ["new"]
            cancelled = wire.result("cancel_order", asked)
            assert cancelled["order"]["status"] == "cancelled" and cancelled["context"]["not_recorded"] is True
            assert at_the_broker(broker) == ["canceled"]
            halted = wire.refusal("halt_trading", {"reason": "The disk is full"})
            assert (halted["code"], halted["retry"]) == ("database_unavailable", "safe")
            assert "nothing is halted" in halted["message"]
            page = person.post("/halts/everything/", halts)
            assert page.status_code == 503 and "nothing is halted" in page.text
    assert wire.result("get_order_status", asked)["order"]["status"] == "cancelled"
    assert "error" not in wire.result("confirm_trade", {"confirmation_id": held["confirmation_id"]})
    assert wire.result("halt_trading", {"reason": "Enough"})["halt"]
