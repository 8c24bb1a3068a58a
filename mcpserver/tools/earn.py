"""What coins could earn at the broker, and what those that are placed there earn. Nothing here places any."""

from typing import Any, NotRequired

from typing_extensions import TypedDict

from console.connections import broker_access
from mcpserver.context import ToolCall
from mcpserver.result_schemas import Instant, Number, Rows
from mcpserver.tools.render import compact


class OfferOut(TypedDict):
    offer_id: str
    asset: str
    kind: str
    yearly_percent: NotRequired[Number]
    term_days: NotRequired[int]
    minimum: NotRequired[Number]


class HoldingOut(TypedDict):
    offer_id: str
    asset: str
    kind: str
    amount: Number
    earned: NotRequired[Number]
    yearly_percent: NotRequired[Number]
    ends: NotRequired[Instant]


class Earnings(TypedDict):
    offers: Rows[OfferOut]
    holdings: Rows[HoldingOut]
    note: NotRequired[str]


def get_earn_offers(call: ToolCall) -> dict[str, Any]:
    with broker_access.account_for(call.principal, call.args.get("account_id")) as (broker, account):
        call.account_id = account.account_id
        found = broker.earn(account.account_id, call.args.get("asset", ""))
    return compact(
        offers=[
            compact(
                offer_id=each.offer_id,
                asset=each.asset,
                kind=each.kind,
                yearly_percent=None if each.yearly_rate is None else each.yearly_rate * 100,
                term_days=each.term_days,
                minimum=each.minimum,
            )
            for each in found.offers
        ],
        holdings=[
            compact(
                offer_id=each.offer_id,
                asset=each.asset,
                kind=each.kind,
                amount=each.amount,
                earned=each.earned,
                yearly_percent=None if each.yearly_rate is None else each.yearly_rate * 100,
                ends=each.ends,
            )
            for each in found.holdings
        ],
        note=found.note,
    )
