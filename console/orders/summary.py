"""What people see of an order or a plan, as text and as terms: what the digest binds."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.utils import timezone

from brokers.decimals import grouped, money, plain
from brokers.types import Instrument, OrderRequest, Preview, Side
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.errors import Refusal
from console.orders.checks import market_standing
from console.orders.execution import cancel as cancelling
from console.orders.models import Action, Order
from console.orders.terms import Terms, describe, shown_terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One order that passed every check and is about to be shown."""

    terms: Terms
    request: OrderRequest
    client_order_id: str
    instrument: Instrument
    preview: Preview
    position: Decimal | None = None
    with_fee: bool = True
    """False: the broker gave no estimate, so that of ``preview`` is ours and leaves the fee out."""
    repeats: timedelta | None = None
    """How long ago the same order was confirmed; None: it was not, lately."""
    worst: Decimal | None = None
    """The most it can come to, in the connection's currency, as limits count it; None: not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What holds for every order of one confirmation."""

    app: ConnectedApp
    account_id: str
    action: Action = Action.PLACE
    all_or_none: bool = True
    opening: str = ""
    """What the summary begins with, before the orders."""
    stays: tuple[str, ...] = ()
    """Symbols of positions that are not closed, and keep their orders."""
    only_closed: bool = False
    """Orders in symbols that are not closed stay, as not every position is known."""
    plan_id: str = ""
    """The trading plan whose order it is, and which alone releases it."""
    cancels: str = ""
    """Of one that closes everything: whose orders it takes back first; see ``order_access.flatten_scope``."""


def _cancel_terms(plan: Plan) -> dict[str, Any]:
    """Which orders a plan that closes everything takes back first."""
    made: dict[str, Any] = {"stays": list(plan.stays)}
    if plan.cancels:
        made["cancels"] = plan.cancels
    if plan.only_closed:
        made["only_closed"] = True
    return made


def plan_terms(connection: Connection, plan: Plan, drafts: Sequence[Draft]) -> dict[str, Any]:
    """Everything a person decides by, as text: what the digest binds."""
    each = [order_terms(connection, plan.account_id, draft) for draft in drafts]
    if len(each) == 1:
        return each[0] | {"summary": f"{plan.opening}{each[0]['summary']}"} | _cancel_terms(plan)
    steps = " ".join(
        f"{number}. {describe(draft.request, draft.instrument.currency)}.{_market_text(draft)}{_repeat_text(draft)}"
        for number, draft in enumerate(drafts, start=1)
    )
    together = (
        "All must pass every check, or none is sent." if plan.all_or_none else "Orders that fail a check are left out."
    )
    return {
        "connection": connection.name,
        "connection_id": connection.pk,
        "environment": connection.environment,
        "account_id": plan.account_id,
        "summary": (
            f"{plan.opening}{len(each)} orders on {connection.name} ({connection.environment}), sent one after "
            f"another. {together} {steps} {_totals(drafts)}"
        ),
        **_cancel_terms(plan),
        "orders": each,
    }


def _totals(drafts: Sequence[Draft]) -> str:
    """What the orders cost and bring in together, by currency."""
    said = []
    for currency in dict.fromkeys(draft.instrument.currency for draft in drafts):
        effects = [draft.preview.cash_effect for draft in drafts if draft.instrument.currency == currency]
        costs = -sum((each for each in effects if each < 0), Decimal(0))
        brings = sum((each for each in effects if each > 0), Decimal(0))
        parts = [f"cost {_money(costs)} {currency}"] if costs else []
        parts += [f"proceeds {_money(brings)} {currency}"] if brings else []
        said.append(f"Estimated total: {', '.join(parts) or 'no cash moves'}.")
    return " ".join(said)


def order_terms(connection: Connection, account_id: str, draft: Draft) -> dict[str, Any]:
    preview, currency = draft.preview, draft.instrument.currency
    buys = draft.request.side is Side.BUY
    fee = f"{'including' if buys else 'after'} a fee of {_money(preview.fee)} {currency}"
    summary = (
        f"{describe(draft.request, currency)}, on {connection.name} ({connection.environment}). Estimated "
        f"{'cost' if buys else 'proceeds'}: {_money(abs(preview.cash_effect))} {currency} "
        f"{fee if draft.with_fee else 'before fees'}, at {money(preview.price)} {currency} each."
    )
    summary += _most_text(draft) + _market_text(draft) + _loss_text(draft)
    if draft.position is not None:
        summary += f" {_position_change(draft)}"
    summary += _repeat_text(draft)
    return {
        "connection": connection.name,
        "connection_id": connection.pk,
        "environment": connection.environment,
        "account_id": account_id,
        "position": None if draft.position is None else plain(draft.position),
        **shown_terms(draft.request),
        "currency": currency,
        "price": plain(preview.price),
        "last": plain(preview.quote.last),
        "at_once": draft.terms.at_once,
        "already_met": market_standing.is_met(draft.request, draft.preview.quote),
        "value": plain(preview.notional),
        "fee": plain(preview.fee) if draft.with_fee else None,
        "cash_effect": plain(preview.cash_effect),
        "buying_power": plain(preview.buying_power),
        "priced_by": preview.quote.source,
        "summary": summary,
    }


def _market_text(draft: Draft) -> str:
    """Where its prices stand against the market; see ``market_standing.describe``."""
    text = market_standing.describe(draft.request, draft.preview.quote, draft.instrument.currency, timezone.now())
    return f" {text}" if text else ""


def _most_text(draft: Draft) -> str:
    """What a buyer pays at the limit, where the estimate is below that."""
    request, preview = draft.request, draft.preview
    limit, units = request.limit_price, request.quantity
    if request.side is not Side.BUY or limit is None or units is None or limit <= preview.price:
        return ""
    worth = limit * units * draft.instrument.multiplier
    most = with_fee(worth, preview) if draft.with_fee else worth
    return f" At most {_money(most)} {draft.instrument.currency} {'with the' if draft.with_fee else 'before the'} fee."


def _loss_text(draft: Draft) -> str:
    """What several options in one order can lose, if they open a position."""
    spread, request = draft.instrument.spread, draft.request
    each = None if spread is None else spread.lost(draft.preview.price, buys=request.side is Side.BUY)
    if each is None:
        return ""
    lost = each * request.units * draft.instrument.multiplier
    said = f"{_money(lost)} {draft.instrument.currency}, fees not counted"
    if request.limit_price is None:
        return f" At that price it can lose at most {said}; it may fill at a worse one."
    return f" It can lose at most {said}."


def with_fee(worth: Decimal, preview: Preview) -> Decimal:
    """``worth`` and the most that its fee comes to: as estimated, and in proportion where it is worth more."""
    share = worth / preview.notional if preview.notional > 0 else Decimal(1)
    return worth + preview.fee * max(share, Decimal(1))


def _position_change(draft: Draft) -> str:
    """What the order does to the position it was sized by."""
    assert draft.position is not None
    signed = draft.request.units if draft.request.side is Side.BUY else -draft.request.units
    after = draft.position + signed
    if not after:
        return f"This closes the whole position of {grouped(draft.position)}."
    return f"Position: {grouped(draft.position)} before, {grouped(after)} after."


def _repeat_text(draft: Draft) -> str:
    if draft.repeats is None:
        return ""
    seconds = max(1, round(draft.repeats.total_seconds()))
    ago = f"{seconds} second{'' if seconds == 1 else 's'}" if seconds < 100 else f"{round(seconds / 60)} minutes"
    return f" The same order was confirmed {ago} ago."


def _money(value: Any) -> str:
    return f"{value:,.2f}"


def approval_url(order: Order) -> str:
    """Where its owner sees the order and can release it."""
    return f"{settings.PUBLIC_URL}/orders/{order.public_id}/"


# -- positions -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Unclosable:
    """A position that cannot be closed now, and why."""

    symbol: str
    refusal: Refusal


def opening_text(
    connection: Connection,
    account_id: str,
    left_out: Sequence[Unclosable],
    whose: ConnectedApp | None,
    *,
    closing: Collection[str],
    only_closed: bool,
) -> str:
    """``closing``: symbols of the positions that are closed; ``only_closed``: orders in no other are cancelled."""
    rows = list(cancelling.open_root_orders(connection, whose).filter(account_id=account_id))
    stays = [each.symbol for each in left_out]
    going = cancelling.going_with(rows, closing=closing, stays=stays, only_closed=only_closed)
    staying = [order for order in rows if order not in going]
    kept = [(each, sum(order.trades(each.symbol) for order in staying)) for each in left_out]
    what = f"all positions except {', '.join(each.symbol for each in left_out)}" if left_out else "all positions"
    text = f"Close {what} in account {account_id}. "
    if count := len(going):
        text += f"{_count_of_orders(count).capitalize()} will be cancelled first. "
    for each, count in kept:
        and_orders = f" with {_count_of_orders(count)}" if count else ""
        text += f"{each.symbol} stays open{and_orders}: {each.refusal} "
    return text


def _count_of_orders(count: int) -> str:
    return f"{count} working order{'' if count == 1 else 's'}"
