"""Backtests: whose they are, asking for one, ending it. What runs them is ``running``."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from brokers.base import Broker
from brokers.errors import BrokerError, NotSent, UnknownOutcome
from brokers.paper import costs
from brokers.types import Ability, AssetClass, Instrument
from console import ids
from console.accounts.models import User
from console.connected_apps.models import ConnectedApp
from console.connections import broker_access
from console.connections.models import Connection
from console.errors import Code, Refusal, refusal_of, refusal_of_read
from console.strategies.engine import rules as rule_book
from console.strategies.engine.backtest import SECONDS
from console.strategies.engine.located_json import RuleProblem
from console.strategies.engine.rules import NotRules, Rules
from console.strategies.models import UNFINISHED, Backtest, BacktestStatus

MOST_BARS = 200_000
"""Of one backtest: all its symbols together, counted as if they traded at all hours."""
USUAL_BARS = 1_000
MOST_UNFINISHED = 5
MOST_KEPT = 50
"""Backtests of one person; the oldest are forgotten."""
USUAL_CASH = Decimal(100_000)
LEAST_CASH, MOST_CASH = Decimal(100), Decimal(10) ** 9
PRESETS = tuple(costs.PRESETS)
_LIBRARY = Path(__file__).parent / "data" / "library.json"
_TRADED = (AssetClass.STOCK, AssetClass.ETF, AssetClass.CRYPTO)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a backtest is of. What is None is as usual."""

    rules: str
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    cash: Decimal | None = None
    preset: str | None = None


@cache
def library() -> dict[str, dict[str, Any]]:
    """Known strategies as rules, by name."""
    found: dict[str, dict[str, Any]] = json.loads(_LIBRARY.read_text(encoding="utf-8"))
    return found


def rules_of_library(name: str, *, symbols: Sequence[str] = (), timeframe: str = "") -> str:
    """Rules of the library as JSON, for other symbols or bars if asked. Raises Refusal."""
    found = library().get(name.strip().lower())
    if found is None:
        raise Refusal(
            Code.INVALID_ARGUMENT, f"The library has {', '.join(library())}; not {name[:40]!r}.", field="library"
        )
    changed: dict[str, Any] = {"universe": list(symbols)} if symbols else {}
    changed |= {"timeframe": timeframe} if timeframe else {}
    return json.dumps({**found, **changed}, indent=2)


def checked(text: str) -> Rules:
    """Raises Refusal with every problem by its line."""
    try:
        return rule_book.parse(text)
    except NotRules as error:
        raise Refusal(Code.INVALID_ARGUMENT, problems_text(error.problems), field="rules") from None


def problems_text(problems: Sequence[RuleProblem]) -> str:
    count = len(problems)
    return f"The rules have {count} problem{'s' if count > 1 else ''}. " + " ".join(map(str, problems))


# -- whose they are


def of_owner(owner_id: int) -> QuerySet[Backtest]:
    return Backtest.objects.filter(owner_id=owner_id).select_related("app", "connection")


def of_app(app: ConnectedApp) -> QuerySet[Backtest]:
    """Those it asked for on its connection, also before it signed in again."""
    same = ConnectedApp.objects.filter(app.same)
    return of_owner(app.owner_id).filter(connection_id=app.connection_id, app__in=same)


def find(backtests: QuerySet[Backtest], backtest_id: str) -> Backtest:
    """Raises Refusal for one that is not among them."""
    found = backtests.filter(public_id=backtest_id).first()
    if found is None:
        raise Refusal(
            Code.NOT_FOUND,
            "There is no such backtest here; get_backtest without an id lists them.",
            field="backtest_id",
        )
    return found


# -- asked for, ended


def create(connection: Connection, asked: Asked, *, app: ConnectedApp | None) -> Backtest:
    """Check all of it, with the broker too, and put it in line. Raises Refusal; nothing is kept then."""
    rules = checked(asked.rules)
    if Ability.BARS not in broker_access.abilities(connection.broker):
        raise Refusal(Code.NOT_OFFERED_BY_BROKER, "This broker has no past bars, so there is nothing to test on.")
    cash = USUAL_CASH if asked.cash is None else asked.cash
    if not LEAST_CASH <= cash <= MOST_CASH:
        raise Refusal(Code.INVALID_ARGUMENT, f"cash must be from {LEAST_CASH} to {MOST_CASH:,}.", field="cash")
    preset = asked.preset or costs.STANDARD.name
    starts_at, ends_at = _span(rules, asked)
    found = instruments(broker_access.broker_of(connection), rules)
    now = timezone.now()
    with transaction.atomic():
        User.objects.select_for_update().get(pk=connection.owner_id)
        mine = Backtest.objects.filter(owner_id=connection.owner_id)
        if mine.filter(status__in=UNFINISHED).count() >= MOST_UNFINISHED:
            raise Refusal(
                Code.RATE_LIMITED, f"{MOST_UNFINISHED} backtests are waiting or running. Wait for one, or cancel one."
            )
        old = mine.exclude(status__in=UNFINISHED).order_by("-pk").values_list("pk", flat=True)[MOST_KEPT - 1 :]
        Backtest.objects.filter(pk__in=list(old)).delete()
        return Backtest.objects.create(
            public_id=ids.new("btt"),
            owner_id=connection.owner_id,
            connection=connection,
            app=app,
            name=rules.name,
            rules=asked.rules,
            starts_at=starts_at,
            ends_at=ends_at,
            cash=cash,
            currency=next(iter(found.values())).currency,
            preset=preset,
            created_at=now,
        )


def cancel(backtest: Backtest) -> Backtest:
    """At once where it waits; its worker stops within a second or two. Raises Refusal for one that is over."""
    changed = Backtest.objects.filter(pk=backtest.pk, status__in=UNFINISHED).update(
        status=BacktestStatus.CANCELLED, ended_at=timezone.now()
    )
    backtest.refresh_from_db()
    if not changed:
        raise Refusal(Code.INVALID_REQUEST, f"This backtest is over: it is {backtest.status}.", field="backtest_id")
    return backtest


def instruments(broker: Broker, rules: Rules) -> dict[str, Instrument]:
    """Of every symbol of the rules, those only measured against too. Raises Refusal."""
    found: dict[str, Instrument] = {}
    for symbol in (*rules.universe, *sorted(rules.others)):
        try:
            found[symbol] = broker.instrument(symbol)
        except (NotSent, UnknownOutcome) as error:
            raise refusal_of_read(error) from error
        except BrokerError as error:
            raise refusal_of(error) from error
    _check_instruments(rules, found)
    return found


def traded(rules: Rules, found: Mapping[str, Instrument]) -> dict[str, Instrument]:
    """Of the universe, each called as the rules call it."""
    return {symbol: replace(found[symbol], symbol=symbol) for symbol in rules.universe}


def _check_instruments(rules: Rules, found: Mapping[str, Instrument]) -> None:
    named: dict[str, str] = {}
    for symbol, instrument in found.items():
        if instrument.symbol in named:
            raise _refused(f"{named[instrument.symbol]} and {symbol} are the same instrument.")
        named[instrument.symbol] = symbol
        if symbol in rules.universe and instrument.asset_class not in _TRADED:
            raise _refused(f"{symbol} is no stock, ETF or coin: backtests trade those alone.")
    currencies = {found[symbol].currency for symbol in rules.universe}
    if len(currencies) > 1:
        raise _refused(f"All symbols must trade in one currency; these trade in {', '.join(sorted(currencies))}.")


def _span(rules: Rules, asked: Asked) -> tuple[datetime, datetime]:
    step = timedelta(seconds=SECONDS[rules.timeframe])
    now = timezone.now()
    ends_at = min(asked.ends_at or now, now)
    symbols = len(rules.universe) + len(rules.others)
    most = MOST_BARS // symbols
    starts_at = asked.starts_at or ends_at - step * min(USUAL_BARS, most)
    if starts_at >= ends_at:
        raise Refusal(Code.INVALID_ARGUMENT, "start must be before end, and in the past.", field="start")
    if (ends_at - starts_at) / step > most:
        raise Refusal(
            Code.INVALID_ARGUMENT,
            f"At most {MOST_BARS:,} bars: with {symbols} symbol{'s' if symbols > 1 else ''} and bars of "
            f"{rules.timeframe} that is from {ends_at - step * most:%Y-%m-%d} on. Take a later start, longer bars or "
            "fewer symbols.",
            field="start",
        )
    return starts_at, ends_at


def _refused(message: str) -> Refusal:
    return Refusal(Code.INVALID_ARGUMENT, message, field="rules")
