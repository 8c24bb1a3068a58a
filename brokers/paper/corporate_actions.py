"""Dividends and splits ahead. Those of a file are brought into the paper market all together, or none of them."""

import csv
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from brokers import market_hours
from brokers.errors import InvalidSymbol
from brokers.paper import ledger, simulated_corporate_actions
from brokers.paper.bar_imports import ImportRefused, number
from brokers.paper.listings import market_for
from brokers.paper.models import CorporateAction
from brokers.paper.simulated_corporate_actions import SimulatedAction
from brokers.types import AssetClass

COLUMNS = ("symbol", "kind", "ex_date", "value")


def upcoming(key: str, now: datetime, until: datetime) -> list[CorporateAction | SimulatedAction]:
    """What an account's market has announced, in order of time. Raises InvalidAccount."""
    mine = ledger.account(key)
    if mine.venue:
        return []
    imported = CorporateAction.objects.filter(at__gt=now, at__lte=until)
    found: list[CorporateAction | SimulatedAction] = [
        *simulated_corporate_actions.between(mine.seed, now, until),
        *imported,
    ]
    return sorted(found, key=lambda each: (each.at, each.symbol))


def import_actions(lines: Iterable[str], *, now: datetime | None = None) -> int:
    """Add actions from CSV text with the columns symbol, kind, ex_date, value; returns how many. Raises ImportRefused.

    ``kind`` is "dividend" (``value`` is cash a share, in the currency of the stock) or "split" (``value`` is new
    shares for one old: 4, or 0.1 for a reverse split). The ex-date must be in the future: an account's history
    never changes.
    """
    now = now or timezone.now()
    reader = csv.DictReader(lines)
    if sorted(reader.fieldnames or ()) != sorted(COLUMNS):
        raise ImportRefused([f"Line 1: the header must be {','.join(COLUMNS)}."])
    market = market_for(0, market_hours.ALWAYS)
    actions: list[CorporateAction] = []
    problems: list[str] = []
    for row in reader:
        try:
            if None in row or None in row.values():
                raise ValueError("it does not have as many values as the header")
            tape = market.tape(row["symbol"])
            if tape.instrument.asset_class is AssetClass.CRYPTO:
                raise ValueError(f"{tape.instrument.symbol} is not a stock or ETF")
            action = CorporateAction(
                symbol=tape.instrument.symbol,
                kind=_kind(row["kind"]),
                at=_day(row["ex_date"], now),
                value=_value(row["value"]),
            )
            same = {"symbol": action.symbol, "kind": action.kind, "at": action.at}
            if CorporateAction.objects.filter(**same).exists() or any(
                (one.symbol, one.kind, one.at) == (action.symbol, action.kind, action.at) for one in actions
            ):
                raise ValueError(f"{action.symbol} has a {action.kind} already on that day")
            actions.append(action)
        except (ValueError, InvalidSymbol) as error:
            problems.append(f"Line {reader.line_num}: {str(error).rstrip('.')}.")
    if not actions and not problems:
        problems.append("The file has a header and no actions.")
    if problems:
        raise ImportRefused(problems)
    with transaction.atomic():
        CorporateAction.objects.bulk_create(actions)
    return len(actions)


def _kind(text: str) -> str:
    if text not in ("dividend", "split"):
        raise ValueError(f'kind {text!r} must be "dividend" or "split"')
    return text


def _day(text: str, now: datetime) -> datetime:
    try:
        on = date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"ex_date {text!r} is not a day such as 2027-05-03") from None
    at = datetime(on.year, on.month, on.day, tzinfo=UTC)
    if at <= now:
        raise ValueError(f"ex_date {text} must be in the future")
    return at


def _value(text: str) -> Decimal:
    value = number(text, "value")
    if value <= 0:
        raise ValueError("value must be greater than 0")
    return value
