"""Limits as the REST API takes and tells them: for a connection and for an app alike."""

from collections.abc import Callable
from typing import Any

from rest_framework import serializers

from brokers.types import LONGEST_SYMBOL, AssetClass, OrderType
from console import limits
from console.accounts.presence import PresenceAct
from console.api.base import ApiView
from console.api.parsing import Amount, Choice, Flag, Strict, Text, Whole
from console.limits import MOST_PER_MINUTE, MOST_SYMBOLS, Limits
from console.orders.checks.limit_usage import LimitLine


def _amount(words: str) -> Amount:
    return Amount(required=False, allow_null=True, help_text=words)


class LimitsIn(Strict):
    """All limits at once: what is left out, or null, is no limit. Amounts in the connection's currency."""

    order_notional = _amount("Maximum value of one order.")
    daily_notional = _amount("Maximum total value of orders in a UTC day.")
    position_value = _amount("Maximum value of one position.")
    equity_share = _amount("Maximum size of one position, in percent of equity.")
    daily_loss = _amount("Once a UTC day's loss reaches this, no order can add to a position.")
    price_collar = _amount("How much worse than the last price an order's price can be, in percent.")
    orders_per_minute = Whole(required=False, allow_null=True, min_value=1, max_value=MOST_PER_MINUTE)
    symbols = serializers.ListField(
        child=Text(max_length=LONGEST_SYMBOL), required=False, allow_null=True, min_length=1, max_length=MOST_SYMBOLS
    )
    denied_symbols = serializers.ListField(
        child=Text(max_length=LONGEST_SYMBOL), required=False, max_length=MOST_SYMBOLS
    )
    asset_classes = serializers.ListField(
        child=Choice(choices=[each.value for each in AssetClass]), required=False, allow_null=True, min_length=1
    )
    order_types = serializers.ListField(
        child=Choice(choices=[each.value for each in OrderType]), required=False, allow_null=True, min_length=1
    )
    trading_hours_only = Flag(required=False)


class LimitsOut(serializers.Serializer[Any]):
    order_notional = Amount(allow_null=True)
    daily_notional = Amount(allow_null=True)
    position_value = Amount(allow_null=True)
    equity_share = Amount(allow_null=True)
    daily_loss = Amount(allow_null=True)
    price_collar = Amount(allow_null=True)
    orders_per_minute = serializers.IntegerField(allow_null=True)
    symbols = serializers.ListField(child=serializers.CharField(), allow_null=True)
    denied_symbols = serializers.ListField(child=serializers.CharField())
    asset_classes = serializers.ListField(child=serializers.CharField(), allow_null=True)
    order_types = serializers.ListField(child=serializers.CharField(), allow_null=True)
    trading_hours_only = serializers.BooleanField()


class LineOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    value = Amount()
    unit = serializers.CharField()
    used = Amount(allow_null=True, help_text="Null if it is not a single number or is unknown.")
    headroom = Amount(allow_null=True)


class StandingOut(serializers.Serializer[Any]):
    limits = LimitsOut()
    lines = LineOut(many=True, help_text="Each numeric limit, with how much of it is used.")


def limits_data(value: Limits, lines: list[LimitLine]) -> dict[str, Any]:
    sets = ("symbols", "denied_symbols", "asset_classes", "order_types")
    shown = {name: getattr(value, name) for name in limits.TITLES if name not in sets}
    shown |= {name: None if getattr(value, name) is None else sorted(getattr(value, name)) for name in sets}
    return {"limits": shown, "lines": lines}


def change_limits(endpoint: ApiView, verb: Callable[..., bool], *, live: bool) -> None:
    """Tighten for whoever manages; widen for the owner at the console, with a proof for it. Raises Refusal."""
    wanted, by = limits.parse(endpoint.given), endpoint.caller.owner
    endpoint.loosen(lambda may_widen: verb(wanted, by=by, may_widen=may_widen), PresenceAct.WIDEN_LIMITS, live=live)
