"""What an order would cost and whether it would pass. Sends nothing and keeps nothing."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from brokers.decimals import plain
from brokers.types import AssetClass, MarginEffect, OrderRequest, OrderType, Preview, Side
from console.connections import broker_access
from console.errors import Refusal
from console.halts import services as halts
from console.orders import prepare as preparing
from console.orders import summary
from console.orders.checks import check_rows, market_standing, permission, pipeline, standing_rules
from console.orders.checks.check_subject import Facts, Subject
from console.orders.checks.limit_rules import MAX_DRIFT
from console.orders.checks.pipeline import About, Stage
from console.orders.models import Action, Order
from console.orders.prepare import PlanItem
from console.orders.terms import Terms, check_client_order_id
from console.principal import Principal

_NAMES = {"release": "release by the assistant"}
"""Here it is the assistant's own yes that is looked at."""

# -- preview -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewCheck:
    """One thing that must hold before an order goes, and whether it holds now."""

    name: str
    refusal: Refusal | None = None
    """Why the order would be refused; None: it would pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewResult:
    account_id: str
    shown: dict[str, Any]
    """What ``prepare.prepare`` would show for the same order."""
    buying_power_after: Decimal | None
    """None where the order frees money only when it fills, or costs another currency than the one it is told in."""
    margin: MarginEffect | None
    """None for a cash account, for coins, and where the broker does not report it."""
    reports_margin: bool
    """False: what it does to the margin is not known."""
    worst: Decimal | None
    """The most it can come to, in the connection's currency, as limits count it; None: not known."""
    checks: tuple[PreviewCheck, ...]
    warnings: tuple[str, ...]


def preview(
    principal: Principal, terms: Terms, *, account_id: str | None = None, client_order_id: str | None = None
) -> PreviewResult:
    """What an order would cost and whether it would pass. Sends nothing and keeps nothing.

    Raises Refusal for an order that no permission could save: bad terms, unknown symbol, broken rule, no funds.
    """
    terms.check()
    asking = check_rows.app_rows(principal.app_id)
    connection = asking.connection
    warnings: list[str] = []
    if client_order_id is not None:
        check_client_order_id(client_order_id)
        if Order.objects.filter(connection=connection, client_order_id=client_order_id).exists():
            warnings.append(f"client_order_id {client_order_id} is already used by an order. Use a new one.")
    with broker_access.broker_for(principal) as broker:
        account = broker_access.choose_account(broker, account_id, principal.account_id)
        request, instrument = preparing.order_request(broker, terms)
        order = Subject(
            asking=asking,
            action=halts.GatedAction.PREPARE,
            account_id=account.account_id,
            wanted=request,
            at_once=terms.at_once,
            authorize=permission.check_policy,
        )
        facts = Facts(order, broker, instrument=instrument)
        draft = preparing.draft_of(PlanItem(terms=terms, client_order_id=client_order_id), facts)
        results = pipeline.collect(order, facts, {Stage.SHOWN})
        is_paid_whole = instrument.asset_class is AssetClass.CRYPTO
        reports_margin = broker.capabilities.margin_in_preview or is_paid_whole
    wanted = standing_rules.Wanted(request=request, worst=facts.worst, at_once=terms.at_once)
    rule = standing_rules.covering(asking.app, connection, Action.PLACE, [wanted])
    (draft,) = preparing.with_repeats(asking.app, account.account_id, [draft])
    estimate = draft.preview
    return PreviewResult(
        account_id=account.account_id,
        shown=summary.order_terms(connection, account.account_id, draft),
        buying_power_after=_buying_power_after(estimate) if terms.side is Side.BUY else None,
        margin=estimate.margin,
        reports_margin=reports_margin,
        worst=facts.worst,
        checks=tuple(
            PreviewCheck(
                name=_NAMES.get(each.check.name, each.check.name),
                refusal=None if rule is not None and each.check.name == "release" else each.refusal,
            )
            for each in results
        ),
        warnings=(*warnings, *order_warnings(request, estimate), *estimate.notes),
    )


def _buying_power_after(estimate: Preview) -> Decimal | None:
    if estimate.buying_power_currency != estimate.quote.currency:
        return None
    return estimate.buying_power + estimate.cash_effect


def refusal_to_trade(principal: Principal) -> Refusal | None:
    """Why this app could prepare no order now, whatever the order; None: it could."""
    asker = Subject(asking=check_rows.app_rows(principal.app_id), action=halts.GatedAction.PREPARE)
    try:
        pipeline.require(asker, Stage.SHOWN, about={About.ASKER})
    except Refusal as refusal:
        return refusal
    return None


def order_warnings(request: OrderRequest, preview: Preview) -> list[str]:
    """What passes every check and may still surprise the person."""
    said = []
    at_once = any(each.at_once for each in market_standing.standings(request, preview.quote, ""))
    if request.order_type.needs_limit:
        if at_once and request.order_type is OrderType.LIMIT:
            buys = request.side is Side.BUY
            other = preview.quote.ask if buys else preview.quote.bid
            said.append(
                f"Its limit is through the {'ask' if buys else 'bid'} of {plain(other)}: it would fill immediately."
            )
    elif at_once or request.order_type is OrderType.MARKET:
        said.append(
            f"There is no limit price: it fills at the market. The price shown is {plain(preview.price)}; if it moves "
            f"more than {plain(MAX_DRIFT * 100)}%, the confirmation is refused."
        )
    else:
        said.append("There is no limit price: once its stop is met, it fills at whatever the market then is.")
    return said
