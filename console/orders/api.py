import logging
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from brokers import instrument_id
from brokers.errors import BrokerError
from brokers.types import LONGEST_SYMBOL, OrderClass, OrderType, Side, TimeInForce
from console.accounts.presence import PresenceAct as Presence
from console.api import parsing
from console.api.base import ApiView, Operation, PageQuery
from console.api.parsing import Amount, Choice, Flag, Strict, Text, Whole
from console.authority.drf import Need
from console.errors import Code, Refusal
from console.halts.services import Proof
from console.orders import actions as order_actions
from console.orders import max_order as sizing
from console.orders import prepare as preparing
from console.orders import queries as order_queries
from console.orders import summary
from console.orders.execution import cancel as cancelling
from console.orders.execution import sync
from console.orders.models import Order, OutsideOrder
from console.orders.owner import approvals
from console.orders.owner.approvals import Evidence
from console.orders.states import STATUS_LABELS, AmendmentStatus, Status
from console.orders.terms import MOST_LEGS, MOST_RATIO, LegAsked, Terms, no_leverage, spread_symbol
from console.principal import Principal, Redeemer
from console.toolsets import Toolset

log = logging.getLogger(__name__)


class SpreadLegOut(serializers.Serializer[Any]):
    symbol = serializers.CharField()
    side = serializers.ChoiceField(choices=[side.value for side in Side])
    ratio = serializers.IntegerField(help_text="Contracts for one unit of the order's quantity.")


class OrderOut(serializers.Serializer[Any]):
    id = serializers.CharField(source="public_id")
    client_order_id = serializers.CharField()
    connection_id = serializers.IntegerField()
    environment = serializers.CharField(source="connection.environment")
    account_id = serializers.CharField()
    app_id = serializers.IntegerField()
    app = serializers.CharField(source="app.name")
    status = serializers.ChoiceField(choices=[(status.value, STATUS_LABELS[status]) for status in Status])
    symbol = serializers.CharField()
    asset_class = serializers.CharField()
    side = serializers.ChoiceField(choices=[side.value for side in Side])
    order_type = serializers.ChoiceField(choices=[kind.value for kind in OrderType])
    tif = serializers.ChoiceField(choices=[tif.value for tif in TimeInForce])
    quantity = Amount(allow_null=True, help_text="Null for an order by notional.")
    notional = Amount(allow_null=True)
    limit_price = Amount(allow_null=True)
    stop_price = Amount(allow_null=True)
    trail_amount = Amount(allow_null=True)
    trail_percent = Amount(allow_null=True)
    outside_rth = serializers.BooleanField()
    reduce_only = serializers.BooleanField()
    post_only = serializers.BooleanField()
    order_class = serializers.ChoiceField(choices=[each.value for each in OrderClass])
    spread = SpreadLegOut(
        many=True,
        source="traded_options",
        help_text="Of several options in one order what it does with each, else empty. Its side BUY pays limit_price, "
        "SELL receives it.",
    )
    parent_id = serializers.CharField(
        source="parent.public_id", allow_null=True, default=None, help_text="Of an exit: the order it belongs to."
    )
    filled_quantity = Amount()
    average_price = Amount(allow_null=True)
    fees = Amount()
    currency = serializers.CharField()
    confirmed_after_ms = serializers.IntegerField(
        source="confirmation.confirmed_after_ms",
        allow_null=True,
        help_text="How long it had been shown when it was confirmed; null while it is not.",
    )
    rule = serializers.CharField(
        source="by_rule.rule.name",
        allow_null=True,
        default=None,
        help_text="The owner's standing rule that released it, instead of an approval.",
    )
    code = serializers.CharField(help_text="Why it was refused or rejected, if it was.")
    reason = serializers.CharField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField(source="moved_at")


class OutsideOrderOut(serializers.Serializer[Any]):
    connection_id = serializers.IntegerField()
    environment = serializers.CharField(source="connection.environment")
    account_id = serializers.CharField()
    broker_order_id = serializers.CharField()
    client_order_id = serializers.CharField(help_text="Set by whoever placed it; empty if there is none.")
    status = serializers.CharField()
    symbol = serializers.CharField(help_text="Empty, like any other term, if the broker does not report it.")
    side = serializers.CharField()
    order_type = serializers.CharField()
    tif = serializers.CharField()
    quantity = Amount(allow_null=True)
    limit_price = Amount(allow_null=True)
    stop_price = Amount(allow_null=True)
    trail_amount = Amount(allow_null=True)
    trail_percent = Amount(allow_null=True)
    filled_quantity = Amount()
    average_price = Amount(allow_null=True)
    currency = serializers.CharField()
    created_at = serializers.DateTimeField(source="made_at", allow_null=True)
    seen_at = serializers.DateTimeField(help_text="When the broker last reported it.")


class FillOut(serializers.Serializer[Any]):
    symbol = serializers.CharField(
        required=False, help_text="With side, of several options in one order: which of them it was."
    )
    side = serializers.CharField(required=False)
    filled_at = serializers.CharField()
    quantity = serializers.CharField()
    price = serializers.CharField()
    fee = serializers.CharField()
    currency = serializers.CharField()
    priced_by = serializers.CharField()


class EventOut(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    before = serializers.CharField()
    after = serializers.ChoiceField(choices=[(status.value, STATUS_LABELS[status]) for status in Status])
    what = serializers.CharField()
    by = serializers.CharField()
    request_id = serializers.CharField()


class OrderWithHistoryOut(OrderOut):
    fills = serializers.SerializerMethodField()
    history = EventOut(many=True, source="events")

    @extend_schema_field(FillOut(many=True))
    def get_fills(self, order: Order) -> list[dict[str, str]]:
        return order_queries.fills(order)


class ConfirmationOut(serializers.Serializer[Any]):
    id = serializers.CharField(source="public_id")
    expires_at = serializers.DateTimeField()
    summary = serializers.CharField(source="terms.summary")
    price = serializers.CharField(
        source="terms.price", help_text="Of one unit; of an order that waits, that of its limit or its stop."
    )
    last = serializers.CharField(source="terms.last", default=None, help_text="The market when it was shown.")
    notional = serializers.CharField(source="terms.value")
    fee = serializers.CharField(source="terms.fee")
    cash_effect = serializers.CharField(source="terms.cash_effect")
    buying_power = serializers.CharField(source="terms.buying_power")
    priced_by = serializers.CharField(source="terms.priced_by")


class PreparedOut(serializers.Serializer[Any]):
    order = OrderOut()
    confirmation = ConfirmationOut(
        allow_null=True,
        help_text="Null when this client_order_id was prepared before and needs no confirmation now, or when its user "
        "is being asked.",
    )
    approve_at = serializers.URLField(
        allow_null=True, help_text="The console page to release it on, where only the owner can."
    )
    rule = serializers.CharField(
        allow_null=True,
        help_text="The owner's standing rule that covers it: confirm it as if the owner did not have to approve.",
    )


class SpreadLegIn(Strict):
    symbol = Text(max_length=LONGEST_SYMBOL)
    side = Choice(choices=[side.value for side in Side])
    ratio = Whole(default=1, min_value=1, max_value=MOST_RATIO, help_text="Contracts for one of quantity.")


class OrderIn(Strict):
    symbol = Text(max_length=LONGEST_SYMBOL)
    side = Choice(choices=[side.value for side in Side])
    quantity = Amount(required=False, help_text="Units. Either this or notional.")
    notional = Amount(required=False, help_text="Money to spend or raise; MKT only.")
    order_type = Choice(choices=[kind.value for kind in OrderType], default=OrderType.MARKET.value)
    tif = Choice(
        choices=[tif.value for tif in TimeInForce],
        required=False,
        help_text="Default DAY; GTC or IOC where the broker has no DAY for it.",
    )
    limit_price = Amount(required=False)
    stop_price = Amount(required=False)
    trail_amount = Amount(required=False)
    trail_percent = Amount(required=False)
    outside_rth = Flag(default=False)
    reduce_only = Flag(default=False)
    post_only = Flag(default=False)
    at_once = Flag(default=False, help_text="The trigger is meant though the market has met it already.")
    order_class = Choice(choices=[each.value for each in OrderClass], default=OrderClass.SIMPLE.value)
    take_profit = Amount(required=False)
    stop_loss = Amount(required=False)
    stop_loss_trail_percent = Amount(required=False)
    legs = serializers.ListField(
        child=SpreadLegIn(),
        required=False,
        max_length=MOST_LEGS,
        help_text="2 to 4 options on symbol as one order: side BUY pays limit_price net, SELL receives it.",
    )
    leverage = Amount(required=False, help_text="Refused: no broker here takes it with an order.")
    client_order_id = Text(required=False, max_length=64, help_text="Yours; repeating it returns the same order.")
    account_id = Text(required=False, max_length=64)


_AMOUNTS = (
    *("quantity", "notional", "limit_price", "stop_price", "trail_amount", "trail_percent"),
    *("take_profit", "stop_loss", "stop_loss_trail_percent"),
)


class ConfirmIn(Strict):
    confirmation_id = Text(max_length=64)


class OrdersQuery(PageQuery):
    status = parsing.Choice(choices=[status.value for status in Status], required=False)
    symbol = Text(required=False, max_length=LONGEST_SYMBOL)
    connection_id = parsing.Id(required=False)


class _Orders(ApiView):
    tag = "Orders"

    def visible(self) -> QuerySet[Order]:
        """A key sees its connection's orders, as it does at ``/mcp``; a person those of all their connections."""
        orders = Order.objects.select_related("connection", "app", "confirmation", "parent", "by_rule__rule")
        if self.caller.principal is not None:
            return orders.filter(connection_id=self.caller.principal.connection_id)
        return orders.filter(connection__owner_id=self.caller.user_id)

    def one(self, order_id: str) -> Order:
        order = get_object_or_404(self.visible(), public_id=order_id)
        self.order_id = order.public_id
        return order

    @property
    def trader(self) -> Principal:
        """Set for every kind that may trade: an order belongs to an app."""
        assert self.caller.principal is not None
        return self.caller.principal


class Orders(_Orders):
    acts = {
        "GET": Operation(
            name="list_orders",
            needs=Need.READ,
            toolset=Toolset.TRADE_READ,
            about="Orders as last known, newest first.",
            answers=OrderOut,
            paged=True,
            asks=OrdersQuery,
        ),
        "POST": Operation(
            name="place_order",
            needs=Need.TRADE,
            toolset=Toolset.TRADE,
            about="Prepare an order. Nothing is sent: show the summary to the person who decides, then confirm.",
            answers=PreparedOut,
            status=201,
            also=(200,),
            takes=OrderIn,
        ),
    }

    def get(self, request: Request) -> Response:
        asked = {name: self.given[name] for name in ("status", "symbol", "connection_id") if name in self.given}
        if instrument_id.is_instrument_id(asked.get("symbol", "")):
            raise Refusal(
                Code.INVALID_ARGUMENT,
                "Filter orders by the symbol they show, not by instrument_id.",
                field="symbol",
            )
        if self.caller.principal is not None:
            return self.page(self.visible().filter(**asked))
        owner = self.caller.owner
        return self.page(
            self.visible().filter(**asked),
            narrow=lambda orders, count: order_queries.near_newest(orders, owner, count),
        )

    def post(self, request: Request) -> Response:
        given = self.given
        if "leverage" in given:
            raise no_leverage()
        side = Side(given["side"])
        legs = [LegAsked(each["symbol"], Side(each["side"]), each["ratio"]) for each in given.get("legs", ())]
        terms = Terms(
            symbol=spread_symbol(given["symbol"], side, legs) if legs else given["symbol"],
            side=side,
            order_type=OrderType(given["order_type"]),
            tif=TimeInForce(given["tif"]) if "tif" in given else None,
            order_class=OrderClass(given["order_class"]),
            outside_rth=given["outside_rth"],
            reduce_only=given["reduce_only"],
            post_only=given["post_only"],
            at_once=given["at_once"],
            **{name: given.get(name) for name in _AMOUNTS},
        )
        prepared = preparing.prepare(
            self.trader,
            terms,
            account_id=given.get("account_id"),
            client_order_id=given.get("client_order_id"),
            request_id=self.request_id,
        )
        order = prepared.order
        self.order_id = order.public_id
        waiting = order.state is Status.AWAITING
        decided_by = prepared.confirmation.decided_by(order.connection) if waiting else None
        rule = prepared.confirmation.rule if decided_by is Redeemer.OWNER else None
        return self.answer(
            {
                "order": order,
                "confirmation": prepared.confirmation if waiting and decided_by is not Redeemer.USER else None,
                "approve_at": summary.approval_url(order) if decided_by is Redeemer.OWNER and rule is None else None,
                "rule": rule and rule.name,
            },
            status=201 if prepared.preview is not None else 200,
        )


class SizeBoundOut(serializers.Serializer[Any]):
    bound = serializers.CharField(help_text="funds, margin, position, or the name of a limit.")
    of = serializers.CharField(help_text="Whose it is: the account, the connection or the app.")
    size = Amount(help_text="The largest order by this alone, in units; in money where by_value.")
    has = Amount(allow_null=True, help_text="Funds available, units that can be sold, or the limit's value; in unit.")
    unit = serializers.CharField()
    reserved = Amount(allow_null=True, help_text="Of a position: what other open orders hold, not in has.")
    is_checked = serializers.BooleanField(
        help_text="Whether one step more is refused before it is sent; else the broker refuses it then."
    )


class OrderEstimateOut(serializers.Serializer[Any]):
    price = Amount()
    notional = Amount()
    fee = Amount()
    cash_effect = Amount(help_text="Signed change of cash, the fee in it.")
    currency = serializers.CharField(source="quote.currency")


class RefusedOut(serializers.Serializer[Any]):
    check = serializers.CharField(source="check.name")
    code = serializers.CharField(source="refusal.code")
    message = serializers.CharField(source="refusal")


class MaxOrderOut(serializers.Serializer[Any]):
    summary = serializers.CharField()
    account_id = serializers.CharField()
    symbol = serializers.CharField(source="instrument.symbol")
    size = Amount(allow_null=True, help_text="Units, 0 where no size passes; null where nothing known bounds it.")
    by_value = serializers.BooleanField(help_text="size is money: the broker takes such an order by notional alone.")
    step = Amount()
    bound_by = SizeBoundOut(allow_null=True, source="bound")
    estimate = OrderEstimateOut(allow_null=True, source="preview", help_text="Of an order of that size.")
    bounds = SizeBoundOut(many=True)
    is_exact = serializers.BooleanField(help_text="False: one step more may pass, too.")
    refused = RefusedOut(many=True, help_text="Checks that refuse an order of any size now.")
    not_reported = serializers.CharField(
        source="unknown", help_text="What may bind and is not known; empty if nothing."
    )


class MaxOrderQuery(Strict):
    symbol = Text(max_length=LONGEST_SYMBOL)
    side = Choice(choices=[side.value for side in Side])
    order_type = Choice(choices=[kind.value for kind in OrderType], default=OrderType.MARKET.value)
    limit_price = Amount(required=False)
    stop_price = Amount(required=False)
    account_id = Text(required=False, max_length=64)


class Largest(_Orders):
    acts = {
        "GET": Operation(
            name="get_max_order",
            needs=Need.TRADE,
            toolset=Toolset.TRADE_READ,
            about="The largest order that would pass now, and what binds it: funds, margin, position or a limit. Sends "
            "nothing and keeps nothing.",
            answers=MaxOrderOut,
            asks=MaxOrderQuery,
        )
    }

    def get(self, request: Request) -> Response:
        given = self.given
        return self.answer(
            sizing.max_order(
                self.trader,
                given["symbol"],
                Side(given["side"]),
                order_type=OrderType(given["order_type"]),
                limit_price=given.get("limit_price"),
                stop_price=given.get("stop_price"),
                account_id=given.get("account_id"),
            )
        )


class OutsideQuery(PageQuery):
    symbol = Text(required=False, max_length=40)
    connection_id = parsing.Id(required=False)


class Outside(ApiView):
    tag = "Orders"
    acts = {
        "GET": Operation(
            name="list_external_orders",
            needs=Need.READ,
            toolset=Toolset.TRADE_READ,
            about="Open orders made elsewhere, as the broker reported them within about a minute. They can be neither "
            "confirmed "
            "nor changed here; their owner can cancel them in the console.",
            answers=OutsideOrderOut,
            paged=True,
            asks=OutsideQuery,
        )
    }

    def get(self, request: Request) -> Response:
        asked = {name: self.given[name] for name in ("symbol", "connection_id") if name in self.given}
        found = OutsideOrder.objects.select_related("connection").filter(connection__closed_at=None, **asked)
        who = self.caller.principal
        mine = {"connection__owner_id": self.caller.user_id} if who is None else {"connection_id": who.connection_id}
        return self.page(found.filter(**mine))


class Confirm(_Orders):
    acts = {
        "POST": Operation(
            name="confirm_order",
            needs=Need.TRADE,
            toolset=Toolset.TRADE,
            about=f"Send a prepared order, once, within {settings.CONFIRMATION_SECONDS} s. 202: the outcome is being "
            "looked up; do not place it again.",
            answers=OrderOut,
            also=(202,),
            takes=ConfirmIn,
        )
    }

    def post(self, request: Request) -> Response:
        released = order_actions.confirm_all(self.trader, self.given["confirmation_id"], request_id=self.request_id)
        orders, order = released.orders, released.orders[0]
        self.order_id, self.confirmed_after_ms = order.public_id, released.confirmation.confirmed_after_ms
        if released.confirmation.is_about_an_order:
            change = released.confirmation.modification
            if change.state in (AmendmentStatus.REJECTED, AmendmentStatus.NOT_SENT):
                raise Refusal(Code(change.code), change.reason, order_id=order.public_id)
            order.refresh_from_db()
            return self.answer(
                order, status=202 if change.state in (AmendmentStatus.UNKNOWN, AmendmentStatus.ASKED) else 200
            )
        if len(orders) == 1 and order.state in (Status.REJECTED, Status.NOT_SENT):
            raise Refusal(Code(order.code), order.reason, order_id=order.public_id)
        unknown = any(each.state in (Status.UNKNOWN, Status.ASKED) for each in orders)
        return self.answer(order, status=202 if unknown else 200)


class OneOrder(_Orders):
    acts = {
        "GET": Operation(
            name="get_order",
            needs=Need.READ,
            toolset=Toolset.TRADE_READ,
            about="One order with its fills and history, brought up to date with the broker first.",
            answers=OrderWithHistoryOut,
        )
    }

    def get(self, request: Request, order_id: str) -> Response:
        order = self.one(order_id)
        try:
            sync.refresh(order)
        except BrokerError as error:
            log.warning("Order %s could not be refreshed: %s", order.public_id, error)
        return self.answer(order)


class Cancel(_Orders):
    acts = {
        "POST": Operation(
            name="cancel_order",
            needs=Need.CANCEL,
            toolset=Toolset.TRADE,
            about="Cancel an open order. A key can cancel orders it made itself; where the owner approves orders, "
            "cancelling one that protects a position waits for the owner.",
            answers=OrderOut,
        )
    }

    def post(self, request: Request, order_id: str) -> Response:
        who, order = self.caller.principal, self.one(order_id)
        if who is not None:
            return self.answer(order_actions.cancel(who, order.public_id, request_id=self.request_id))
        return self.answer(cancelling.cancel_order(order, by=self.caller.owner.email, request_id=self.request_id))


class Approve(_Orders):
    acts = {
        "POST": Operation(
            name="approve_order",
            needs=Need.IN_PERSON,
            about="Release an order that waits for approval. Only a console session of its owner, with a proof of "
            "presence; on live with a passkey.",
            answers=OrderOut,
        )
    }

    def post(self, request: Request, order_id: str) -> Response:
        confirmation = self.one(order_id).confirmation
        live = confirmation.app.connection.is_live
        proved = self.prove(Presence.RELEASE_ORDER, live=live, shown=confirmation.terms_digest)
        passkey = None if proved is None else proved.factor
        evidence = Evidence(
            proof=Proof.PASSWORD if passkey is None else Proof.PASSKEY,
            label="the password" if passkey is None else f"passkey {passkey}",
            credential=None if passkey is None else passkey.pk,
            ip=request.META.get("REMOTE_ADDR", ""),
        )
        orders = approvals.approve(
            confirmation,
            by=self.caller.owner,
            evidence=evidence,
            seen=confirmation.terms_digest,
            request_id=self.request_id,
        )
        return self.answer(orders[0])
