"""The largest order that would pass now, and what does not let it be larger. Sends nothing and keeps nothing.

Each bound is found by what refuses an order: the broker's own preview, and the limits as ``checks`` has them. So an
order of the size that is returned passes, and one of a step more is refused by what is named.
"""

from decimal import Decimal

from brokers.types import Instrument, OrderType, Side
from console.connections import broker_access
from console.errors import Code, Refusal
from console.halts import services as halts
from console.orders import prepare as preparing
from console.orders.checks import check_rows, pipeline
from console.orders.checks.check_subject import Subject
from console.orders.checks.pipeline import CheckResult, Stage
from console.orders.largest.at_broker import SizesAtBroker
from console.orders.largest.at_limits import SizesAtLimits
from console.orders.largest.bounds import MaxOrder
from console.orders.terms import Terms
from console.principal import Principal

_NOT_REPORTED = "This broker does not report before the order is sent what it takes, so it may refuse a smaller one."


def max_order(
    principal: Principal,
    symbol: str,
    side: Side,
    *,
    order_type: OrderType = OrderType.MARKET,
    limit_price: Decimal | None = None,
    stop_price: Decimal | None = None,
    account_id: str | None = None,
) -> MaxOrder:
    """What is the largest order of these terms? Raises Refusal for terms that no size could save."""
    if order_type.needs_trail:
        raise Refusal(
            Code.INVALID_ARGUMENT,
            "Give MKT, LMT, STP or STP_LIMIT. For a trailing stop, give STP and the stop_price that it would begin at.",
            field="order_type",
        )
    terms = Terms(
        symbol=symbol,
        side=side,
        quantity=Decimal(1),
        order_type=order_type,
        limit_price=limit_price,
        stop_price=stop_price,
    )
    terms.check()
    asking = check_rows.app_rows(principal.app_id)
    with broker_access.broker_for(principal) as broker:
        account = broker_access.choose_account(broker, account_id, principal.account_id)
        request, instrument = preparing.order_request(broker, terms)
        subject = Subject(
            asking=asking,
            action=halts.GatedAction.PREPARE,
            account_id=account.account_id,
            wanted=request,
        )
        return _largest(SizesAtBroker(subject, broker, instrument), instrument)


def _largest(order: SizesAtBroker, instrument: Instrument) -> MaxOrder:
    facts, subject = order.facts, order.facts.subject
    results = pipeline.collect(subject, facts, {Stage.SHOWN})
    limits = SizesAtLimits(order)
    refused = tuple(each for each in results if each.refusal is not None and not _is_of_size(each))
    own = order.bound()
    bounds = (*(() if own is None else (own,)), *limits.bounds())
    binding = min(bounds, key=lambda each: (each.size, each.refusal is None), default=None)
    size = None if binding is None else binding.size
    if any(each.check.name == "limits" for each in refused):
        binding, size = None, Decimal(0)
    is_exact, preview = binding is None or binding.is_exact, None
    if (steps := int((size or 0) / order.step)) >= order.first:
        taken, preview = order.estimate(steps)
        if taken < steps:
            size, is_exact = taken * order.step, False
    return MaxOrder(
        account_id=subject.account_id or "",
        request=subject.request,
        instrument=instrument,
        size=size,
        by_value=order.by_value,
        step=order.step,
        preview=preview,
        bound=binding,
        bounds=bounds,
        is_exact=is_exact,
        refused=refused,
        unknown=_NOT_REPORTED if own is None else "",
    )


def _is_of_size(result: CheckResult) -> bool:
    """Whether a smaller order may pass that check."""
    assert result.refusal is not None
    return result.check.name == "broker rules and funds" or result.refusal.code is Code.LIMIT_EXCEEDED
