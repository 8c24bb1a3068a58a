"""However fills came, late, corrected, split, reset or killed half way: every door tells what plain sums over all of
them tell.

The sums here are exact fractions, worked out fill by fill, and share no code with what is tested.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from django.db import transaction
from django.test import Client as Browser
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from brokers.paper.adapter import PaperBroker
from brokers.types import Fill, Instrument, Side, Transaction
from console.accounts.models import User
from console.authority import call_quota
from console.connections import equity
from console.connections.models import Connection
from console.journal import matching, profit_rollups, realized_profit, sync
from console.journal.models import ProfitRollup
from console.journal.sync import SyncBudget
from console.keys import minting
from console.onboarding import connection_lifecycle
from console.practice import services as practice
from console.scopes import Scope
from mcpserver import pipeline
from tests.mcpserver.steps import call

START = datetime(2023, 12, 20, tzinfo=UTC)
SLOT = timedelta(hours=6)
OPTION = "AAPL  260117C00200000"
SYMBOLS = {"AAPL": "USD", "aapl": "USD", "SAP": "EUR", OPTION: "USD"}
UNITS = {OPTION: 100}
ALL = SyncBudget(pages=100, symbols=100, measured=0, seconds=60)
CENT, NEAR = Fraction(1, 150), Fraction(1, 10**14)
"""How far a figure of ``get_pnl``, in cents, and an exact one may be from the fraction."""

# Most of it of one position, so that one act meets another.
ACCOUNT, SYMBOL = st.sampled_from([0, 0, 0, 0, 1, 2]), st.sampled_from(["AAPL"] * 4 + list(SYMBOLS))
AT = st.builds(
    lambda slot, early: START + SLOT * slot - timedelta(microseconds=early), st.integers(0, 170), st.integers(0, 1)
)
SIZE = st.sampled_from([Decimal(1), Decimal(2), Decimal(3), Decimal("0.5"), Decimal("0.333")])
PRICE = st.integers(1, 10**6).map(lambda thousandths: Decimal(thousandths) / 1000)
FEE = st.integers(0, 300).map(lambda cents: Decimal(cents) / 100)
SIDE = st.sampled_from(list(Side))
MOVED = st.sampled_from([Decimal(5), Decimal(1), Decimal(-1), Decimal("-0.5"), Decimal(-20)])
FILL = st.tuples(st.just("fill"), ACCOUNT, SYMBOL, AT, SIDE, SIZE, PRICE, FEE)
ACT = st.one_of(
    FILL,
    FILL,
    FILL,
    st.tuples(st.just("correct"), ACCOUNT, st.integers(0, 30), SIDE, SIZE, PRICE, FEE),
    st.tuples(st.just("split"), ACCOUNT, SYMBOL, AT, MOVED),
    st.tuples(st.just("exchange"), ACCOUNT, SYMBOL, AT, SIZE, SIZE),
    st.tuples(st.just("transfer"), ACCOUNT, SYMBOL, AT, MOVED, PRICE),
    st.tuples(st.just("reset"), ACCOUNT, AT),
    st.tuples(st.just("copy"), st.integers(1, 3), st.integers(0, 2)),
    st.just(("killed",)),
)
Script = list[tuple[Any, ...]]


# -- what the broker tells -----------------------------------------------------------------------------------


@dataclass
class Book:
    fills: list[Fill] = field(default_factory=list)
    moves: list[Transaction] = field(default_factory=list)

    def fill(self, symbol: str, at: datetime, side: Side, size: Decimal, price: Decimal, fee: Decimal) -> None:
        if any((row.symbol, row.filled_at) == (symbol, at) for row in self.fills):
            return  # which of two of one moment was first is another matter
        self.fills.append(
            Fill(
                fill_id=f"F-{len(self.fills)}",
                client_order_id="",
                symbol=symbol,
                side=side,
                quantity=size,
                price=price,
                fee=fee,
                currency=SYMBOLS[symbol],
                filled_at=at,
                source="",
            )
        )

    def correct(self, number: int, side: Side, size: Decimal, price: Decimal, fee: Decimal) -> None:
        if self.fills:
            place = number % len(self.fills)
            self.fills[place] = replace(self.fills[place], side=side, quantity=size, price=price, fee=fee)

    def move(self, kind: str, symbol: str, at: datetime, *sizes: Decimal, price: Decimal | None = None) -> None:
        if any((row.symbol, row.at) == (symbol, at) for row in self.moves):
            return
        for size in sizes:
            self.moves.append(
                Transaction(
                    transaction_id=f"T-{len(self.moves)}",
                    at=at,
                    kind=kind,
                    currency=SYMBOLS[symbol],
                    amount=Decimal(0),
                    symbol=symbol,
                    quantity=size,
                    price=price,
                )
            )

    def reset(self, at: datetime) -> None:
        if all(known < at for known in self.times()):
            for symbol in SYMBOLS:
                self.move("reset", symbol, at, Decimal(1))

    def times(self) -> list[datetime]:
        return [*(row.filled_at for row in self.fills), *(row.at for row in self.moves)]


def _page(rows: list[Any], name: str, when: str, start: Any, end: Any, limit: int, after: str) -> list[Any]:
    found = sorted(rows, key=lambda row: getattr(row, when))[::-1]
    if after:
        found = found[[getattr(row, name) for row in found].index(after) + 1 :]
    in_time = (row for row in found if start is None or getattr(row, when) >= start)
    return [row for row in in_time if end is None or getattr(row, when) < end][:limit]


@pytest.fixture
def books(monkeypatch: pytest.MonkeyPatch) -> dict[str, Book]:
    told: dict[str, Book] = {}
    instrument = PaperBroker.instrument

    def fills(
        broker: PaperBroker, account_id: str, *, start: Any = None, end: Any = None, limit: int, after: str = ""
    ) -> list[Fill]:
        return _page(told[account_id].fills, "fill_id", "filled_at", start, end, limit, after)

    def transactions(
        broker: PaperBroker,
        account_id: str,
        *,
        start: Any,
        end: Any,
        limit: int,
        kinds: Collection[str] = (),
        after: str = "",
    ) -> list[Transaction]:
        rows = [row for row in told[account_id].moves if not kinds or row.kind in kinds]
        return _page(rows, "transaction_id", "at", start, end, limit, after)

    def found(broker: PaperBroker, symbol: str) -> Instrument:
        return replace(instrument(broker, "AAPL"), symbol=symbol, multiplier=Decimal(UNITS.get(symbol, 1)))

    monkeypatch.setattr(PaperBroker, "fills", fills)
    monkeypatch.setattr(PaperBroker, "transactions", transactions)
    monkeypatch.setattr(PaperBroker, "instrument", found)
    monkeypatch.setattr(sync, "_PAGE", 7)
    monkeypatch.setattr(matching, "BLOCK", 3)
    monkeypatch.setattr(pipeline, "close_old_connections", lambda: None)
    for name in ("check", "check_person"):
        monkeypatch.setattr(call_quota, name, lambda *about, **own: None)
    return told


# -- the plain sums ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Earned:
    symbol: str
    at: datetime
    realized: Fraction
    fee: Fraction


@dataclass(frozen=True)
class Closed:
    symbol: str
    net: Fraction


def worked_out(book: Book) -> tuple[list[Earned], list[Closed]]:
    """What each fill earned, and each round trip that was closed."""
    earned: list[Earned] = []
    closed: list[Closed] = []
    for symbol in SYMBOLS:
        steps: list[tuple[datetime, int, str, Any]] = [
            (row.filled_at, 1, "fill", row) for row in book.fills if row.symbol == symbol
        ]
        splits: dict[datetime, Fraction] = defaultdict(Fraction)
        for move in book.moves:
            if move.symbol == symbol and move.kind == "split":
                splits[move.at] += Fraction(move.quantity or 0)
            elif move.symbol == symbol:
                steps.append((move.at, 2 if move.kind == "reset" else 0, move.kind, move))
        steps += [(at, 0, "split", units) for at, units in splits.items()]
        held = paid = net = Fraction(0)
        for at, _, kind, row in sorted(steps, key=lambda step: step[:2]):
            before, realized = held, Fraction(0)
            if kind == "split":
                held = held + row if held * (held + row) > 0 else Fraction(0)
                paid = paid if held else Fraction(0)
            elif kind == "reset":
                held = paid = Fraction(0)
            else:
                price, fee = Fraction(row.price or 0), Fraction(row.fee if kind == "fill" else 0)
                moved = Fraction(row.quantity) * (-1 if kind == "fill" and row.side is Side.SELL else 1)
                if held * moved < 0:
                    out = min(abs(held), abs(moved))
                    part = out / abs(held)
                    if kind == "fill":
                        up = 1 if held > 0 else -1
                        realized = (price * out * up - paid * part) * UNITS.get(symbol, 1)
                    net += realized - fee * out / abs(moved)
                    fee -= fee * out / abs(moved)
                    paid -= paid * part
                    rest = abs(moved) - out
                    held += out if moved > 0 else -out
                    if rest and not held:
                        closed.append(Closed(symbol, net))
                        net, before = Fraction(0), Fraction(0)
                    moved = rest if moved > 0 else -rest
                held, paid, net = held + moved, paid + moved * price, net - fee
                if kind == "fill":
                    earned.append(Earned(symbol, at, realized, Fraction(row.fee)))
            if before and not held:
                closed.append(Closed(symbol, net))
            if not held:
                net = Fraction(0)
    return earned, closed


Sums = dict[tuple[str, str], list[Fraction]]
"""Currency and name → realized, fees, fills."""


def summed(book: Book, by: str, start: datetime | None, end: datetime | None) -> Sums:
    resets = [row.at for row in book.moves if row.kind == "reset"]
    found: Sums = {}
    for each in worked_out(book)[0]:
        if (resets and each.at <= max(resets)) or (start and each.at < start) or (end and each.at >= end):
            continue
        name = {"": "", "symbol": each.symbol, "day": f"{each.at:%Y-%m-%d}", "month": f"{each.at:%Y-%m}"}[by]
        _add(found, (SYMBOLS[each.symbol], name), each.realized, each.fee)
    return found


def _add(sums: Sums, key: tuple[str, str], realized: Fraction, fee: Fraction) -> None:
    so_far = sums.setdefault(key, [Fraction(0)] * 3)
    sums[key] = [so_far[0] + realized, so_far[1] + fee, so_far[2] + 1]


def same(told: Mapping[tuple[str, str], Collection[Any]], right: Sums, within: Fraction) -> None:
    assert set(told) == set(right)
    for key, values in told.items():
        pairs = zip(values, right[key], strict=True)
        assert all(abs(Fraction(value) - exact) <= within for value, exact in pairs), (key, values, right[key])


# -- every door ----------------------------------------------------------------------------------------------


@dataclass
class Doors:
    browser: Browser
    key: str
    connection: Connection
    account: str
    book: Book

    def get_pnl(self, by: str, span: dict[str, str]) -> dict[tuple[str, str], list[Any]]:
        answer = call(self.key, "get_pnl", account_id=self.account, **span, **({"group_by": by} if by else {}))
        rows = answer["groups"] if by else [row for row in answer["totals"] if row["fills"]]
        for row in rows:
            net = Fraction(row["realized_pnl"]) - Fraction(row["fees"])
            assert abs(Fraction(row["net_realized_pnl"]) - net) <= 2 * CENT
        return {(row["currency"], row.get(by, "")): [row["realized_pnl"], row["fees"], row["fills"]] for row in rows}

    def profit(self, by: str, span: dict[str, str]) -> dict[tuple[str, str], list[Any]]:
        asked = {"account_id": self.account, "by": by, **span}
        answer = self.browser.get(f"/api/v1/connections/{self.connection.pk}/profit", asked).json()
        assert answer["complete"] and not answer["truncated"]
        return {
            (row["currency"], row["name"]): [row["realized_pnl"], row["fees"], row["fills"]] for row in answer["rows"]
        }

    def check(self, monkeypatch: pytest.MonkeyPatch, spans: list[tuple[datetime, datetime]]) -> None:
        for start, end in ((None, None), *spans):
            times = {"start": start, "end": end}
            span = {name: f"{at:%Y-%m-%dT%H:%M:%S.%fZ}" for name, at in times.items() if at}
            for by in ("", "symbol", "day", "month"):
                right = summed(self.book, by, start, end)
                same(self.get_pnl(by, span), right, CENT)
                with monkeypatch.context() as patch:
                    patch.setattr(realized_profit, "_bring_up", lambda *about: False)
                    same(self.get_pnl(by, span), right, CENT)
                if by:
                    same(self.profit(by, span), right, NEAR)
        page = self.browser.get(f"/connections/{self.connection.pk}/performance/", {"account": self.account})
        for (*_, rows), by in zip(page.context["tables"], ("symbol", "month"), strict=True):
            told = {(row.currency, row.name): [row.realized, row.fees, row.fills] for row in rows}
            same(told, summed(self.book, by, None, None), NEAR)
        self._check_exports()

    def _check_exports(self) -> None:
        earned, closed = worked_out(self.book)
        asked = f"/connections/{self.connection.pk}/performance/executions.csv"
        told: Sums = {}
        for row in self._rows(asked, account=self.account):
            _add(told, (row["currency"], row["symbol"]), Fraction(row["realized_pnl"]), Fraction(row["fee"]))
        right: Sums = {}
        for each in earned:
            _add(right, (SYMBOLS[each.symbol], each.symbol), each.realized, each.fee)
        same(told, right, NEAR)
        trips = [row for row in self._rows("/journal/trades.csv") if row["account_id"] == self.account]
        nets = sorted((row["symbol"], Fraction(row["net_pnl"])) for row in trips if row["closed_at"])
        assert [symbol for symbol, _ in nets] == sorted(each.symbol for each in closed)
        exact = sorted((each.symbol, each.net) for each in closed)
        assert all(abs(one[1] - other[1]) <= NEAR for one, other in zip(nets, exact, strict=True)), (nets, exact)

    def _rows(self, path: str, **asked: str) -> Iterator[dict[str, str]]:
        answer = self.browser.get(path, asked)
        return csv.DictReader(io.StringIO(b"".join(answer).decode()))


def check_journal(browser: Browser, books: Collection[Book]) -> None:
    """The totals above the list of round trips, of all accounts together."""
    for symbol in ("", *{name.casefold() for name in SYMBOLS}):
        right: dict[str, list[Fraction]] = defaultdict(lambda: [Fraction(0)] * 2)
        for book in books:
            for each in worked_out(book)[1]:
                if symbol in ("", each.symbol.casefold()):
                    cell = right[SYMBOLS[each.symbol]]
                    cell[0], cell[1] = cell[0] + 1, cell[1] + each.net
        totals = browser.get("/journal/", {"symbol": symbol}).context["totals"]
        assert {total.currency: total.trips for total in totals} == {
            currency: trips for currency, (trips, _) in right.items()
        }
        assert all(abs(Fraction(total.net) - right[total.currency][1]) <= NEAR for total in totals)


# -- the walk ------------------------------------------------------------------------------------------------


class Killed(Exception):
    pass


def walk(script: Script, books: list[Book], linked: list[Connection], monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*about: Any) -> bool:
        raise Killed

    for kind, *told in script:
        if kind == "copy":
            for each in linked:
                # As the first walk of a day would: what is told of long ago is found.
                each.journal_progress.filter(began_at=None).update(whole_at=None)
                sync.sync_connection(each, SyncBudget(pages=told[0], symbols=told[1], measured=0, seconds=60))
        elif kind == "killed":
            with monkeypatch.context() as patch:
                patch.setattr(matching, "match_account", killed)
                for each in linked:
                    each.journal_progress.update(whole_at=None, began_at=None)
                    with pytest.raises(Killed):
                        sync.sync_connection(each, ALL)
        else:
            book = books[told[0]]
            match kind:
                case "fill":
                    book.fill(*told[1:])
                case "correct":
                    book.correct(*told[1:])
                case "reset":
                    book.reset(*told[1:])
                case "exchange":
                    symbol, at, gone, came = told[1:]
                    book.move("split", symbol, at, -gone, came)
                case "split":
                    book.move("split", *told[1:])
                case "transfer":
                    symbol, at, size, price = told[1:]
                    book.move("transfer", symbol, at, size, price=price)
    for each in linked:
        each.journal_progress.update(whole_at=None, began_at=None)
        while not sync.sync_connection(each, ALL):
            pass


@settings(
    max_examples=12,
    # Making a script that fails shorter would take minutes.
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    script=st.lists(ACT, min_size=20, max_size=50),
    spans=st.lists(st.tuples(AT, AT).map(sorted).filter(lambda ends: ends[0] < ends[1]), min_size=1, max_size=2),
)
def test_every_door_tells_what_plain_sums_tell(
    script: Script,
    spans: list[Any],
    owner: User,
    paper: Connection,
    read_key: str,
    books: dict[str, Book],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    browser = Browser()
    browser.force_login(owner)
    books.clear()
    with transaction.atomic():
        other, _ = connection_lifecycle.open_paper(owner, name="Other", starting_cash=Decimal(1000))
        _, others_key = minting.mint(owner, other, frozenset({Scope.READ}), name="Other")
        books[paper.default_account] = books[other.default_account] = Book()
        second = practice.open_account(paper, name="Second", by=owner, cash=Decimal(1000)).terms.account_id
        places = [(paper, paper.default_account), (paper, second), (other, other.default_account)]
        for connection, account in places:
            books[account] = Book()
            equity.record(
                connection, account, currency="USD", equity=Decimal(1), cash=Decimal(1), now=datetime.now(UTC)
            )
        mine = [books[account] for _, account in places]
        for half in (script[: len(script) // 2], script[len(script) // 2 :]):
            walk(half, mine, [paper, other], monkeypatch)
        stored = ProfitRollup.objects.count()
        for connection, account in places:
            key = read_key if connection == paper else others_key
            Doors(browser, key, connection, account, books[account]).check(monkeypatch, spans)
            assert profit_rollups.rebuild(connection.pk, account) == 0
        assert ProfitRollup.objects.count() == stored
        check_journal(browser, mine)
        transaction.set_rollback(True)
