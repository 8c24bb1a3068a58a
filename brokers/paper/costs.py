"""What a fill costs and how much of a bar it may take. Pure, in named presets that are stamped on every fill.

A preset never changes: a better one gets a higher version, and fills keep the name they were made under.

============  ==============  ============================  ========  ===============  ============  =======
preset        crypto fee      stock and ETF fee             slippage  most of a bar's  a year:       latency
              maker, taker                                            volume, all      stock lent,
                                                                      orders           cash lent
============  ==============  ============================  ========  ===============  ============  =======
standard      0.25 %, 0.25 %  0.005 a share, 1.00 an order  none      all there is     3 %, 8 %      none
frictionless  none            none                          none      all there is     none          none
realistic     0.16 %, 0.26 %  0.005 a share, 1.00 an order  0.02 %    10 %             3 %, 8 %      200 ms
thin          0.25 %, 0.40 %  0.010 a share, 1.00 an order  0.10 %    2 %              10 %, 12 %    none
============  ==============  ============================  ========  ===============  ============  =======

*Slippage* moves the price of a market order, and of a stop from its trigger on, against the trader, to the next
tick; a limit price is never passed. A *maker* is a limit order that fills in a bar, every other fill is a taker's.
Fees are in the currency of the instrument. Where volume is limited, the orders of an account in one symbol share
what a bar allows, the oldest first; with no such limit an order fills whole. *Latency* is how long a new order, a
change or a cancel is on its way; see ``engine``.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Any

from brokers.paper.fill_rules import CENT, RestingOrder
from brokers.types import AssetClass, Quote, Side

STOP_CUSHION = Decimal("1.02")
"""An order without a limit may fill beyond the price it was placed at: a buy reserves this multiple of it."""
INITIAL_MARGIN = Decimal("0.5")
"""Share of a stock position's value that a margin account must own to open it, long or short (Regulation T)."""
MAINTENANCE_LONG = Decimal("0.25")
MAINTENANCE_SHORT = Decimal("0.30")
"""Share it must own from then on (FINRA rule 4210)."""
FRACTION = Decimal("0.000001")
"""Smallest part of a share. Only market orders trade parts: by value, or out of a position that has one."""
_DAYS = 365


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    name: str
    version: int
    maker: Decimal
    taker: Decimal
    """Crypto: share of the notional."""
    per_share: Decimal
    order_minimum: Decimal
    slippage: Decimal
    """Share of the price."""
    participation: Decimal | None
    """Share of a bar's volume; None: no limit."""
    borrow: Decimal
    """Share of a short position's value a year."""
    interest: Decimal
    """Share of borrowed cash a year."""
    latency: Decimal
    """Milliseconds."""

    tuned: str = ""
    """Hash of what an account has different from the preset."""

    @property
    def stamp(self) -> str:
        return f"{self.name}/{self.version}" + (f"+{self.tuned}" if self.tuned else "")


def _preset(name: str, *rates: str | None, version: int = 1, latency: str = "0") -> Preset:
    maker, taker, share, minimum, slippage, participation, borrow, interest = (
        None if rate is None else Decimal(rate) for rate in rates
    )
    assert maker is not None and taker is not None and share is not None and minimum is not None
    assert slippage is not None and borrow is not None and interest is not None
    return Preset(
        name=name,
        version=version,
        maker=maker,
        taker=taker,
        per_share=share,
        order_minimum=minimum,
        slippage=slippage,
        participation=participation,
        borrow=borrow,
        interest=interest,
        latency=Decimal(latency),
    )


STANDARD = _preset("standard", "0.0025", "0.0025", "0.005", "1.00", "0", None, "0.03", "0.08")
PRESETS = {
    preset.name: preset
    for preset in (
        STANDARD,
        _preset("frictionless", "0", "0", "0", "0", "0", None, "0", "0"),
        _preset(
            "realistic", "0.0016", "0.0026", "0.005", "1.00", "0.0002", "0.10", "0.03", "0.08", version=2, latency="200"
        ),
        _preset("thin", "0.0025", "0.0040", "0.010", "1.00", "0.001", "0.02", "0.10", "0.12"),
    )
}


@dataclass(frozen=True, slots=True)
class Knob:
    """What of a preset can be set by itself."""

    field: str
    scale: Decimal
    """What the text is multiplied with: percent become shares."""
    most: Decimal
    """Of the text; the least is 0."""
    words: str


_PERCENT, _MONEY = Decimal("0.01"), Decimal(1)
TUNABLE = {
    "maker_fee_percent": Knob("maker", _PERCENT, Decimal(10), "Crypto maker fee, percent"),
    "taker_fee_percent": Knob("taker", _PERCENT, Decimal(10), "Crypto taker fee, percent"),
    "fee_per_share": Knob("per_share", _MONEY, Decimal(100), "Stock and ETF fee per share"),
    "minimum_fee": Knob("order_minimum", _MONEY, Decimal(1000), "Minimum stock and ETF fee per order"),
    "slippage_percent": Knob("slippage", _PERCENT, Decimal(10), "Slippage of market orders and stops, percent"),
    "volume_percent": Knob(
        "participation", _PERCENT, Decimal(100), "Maximum share of a bar's volume that fills, percent"
    ),
    "borrow_percent": Knob("borrow", _PERCENT, Decimal(100), "Stock borrow fee, percent per year"),
    "interest_percent": Knob("interest", _PERCENT, Decimal(100), "Interest on borrowed cash, percent per year"),
    "latency_ms": Knob("latency", Decimal(1), Decimal(60_000), "Time until an order or cancel arrives, milliseconds"),
}


@lru_cache(maxsize=256)
def _tuned(name: str, changes: tuple[tuple[str, str], ...]) -> Preset:
    preset = PRESETS[name]
    fields: dict[str, Any] = {TUNABLE[key].field: Decimal(value) * TUNABLE[key].scale for key, value in changes}
    if fields.get("participation") == 0:
        fields["participation"] = None
    named = ",".join(f"{key}={value}" for key, value in changes)
    return replace(preset, tuned=hashlib.sha256(named.encode()).hexdigest()[:6], **fields)


def model_of(name: str, overrides: Mapping[str, str]) -> Preset:
    """A preset with what an account has different. A fill made under it names the preset and a hash of the rest."""
    return _tuned(name, tuple(sorted(overrides.items()))) if overrides else PRESETS[name]


def notional_of(price: Decimal, quantity: Decimal) -> Decimal:
    """Price times quantity, rounded half up to the cent."""
    return (price * quantity).quantize(CENT, ROUND_HALF_UP)


def fee(
    preset: Preset,
    asset_class: AssetClass,
    price: Decimal,
    quantity: Decimal,
    *,
    filled: Decimal = Decimal(0),
    maker: bool = False,
) -> Decimal:
    """The one fee function: reservations, previews and fills all use it. ``filled`` is what of the order filled before.

    The minimum of a stock order is taken once, with its first fill.
    """
    if asset_class is AssetClass.CRYPTO:
        return (notional_of(price, quantity) * (preset.maker if maker else preset.taker)).quantize(CENT, ROUND_HALF_UP)
    return _share_fee(preset, filled + quantity) - (_share_fee(preset, filled) if filled else Decimal(0))


def cash_effect(
    preset: Preset,
    side: Side,
    asset_class: AssetClass,
    price: Decimal,
    quantity: Decimal,
    *,
    filled: Decimal = Decimal(0),
    maker: bool = False,
) -> Decimal:
    """Signed change of cash by a fill, fee included."""
    amount = notional_of(price, quantity)
    return (-amount if side is Side.BUY else amount) - fee(
        preset, asset_class, price, quantity, filled=filled, maker=maker
    )


def worst_price(terms: RestingOrder, quote: Quote) -> Decimal:
    """What a resting order holds money for: the most it may pay for a buy, the market or its price for a sell."""
    if terms.order_type.needs_limit:
        return terms.limit
    here = quote.ask
    if terms.order_type.needs_stop or (terms.order_type.needs_trail and terms.best is not None):
        here = max(here, terms.stop) if terms.side is Side.BUY else quote.bid
    return (here * STOP_CUSHION).quantize(CENT, ROUND_CEILING) if terms.side is Side.BUY else here


def with_slippage(preset: Preset, terms: RestingOrder, price: Decimal) -> Decimal:
    """The price a taker without a limit really gets: moved against it to the next tick, and never below one tick."""
    if terms.order_type.needs_limit or not preset.slippage:
        return price
    buying = terms.side is Side.BUY
    moved = price * (1 + preset.slippage if buying else 1 - preset.slippage)
    ticks = (moved / terms.tick).to_integral_value(ROUND_CEILING if buying else ROUND_FLOOR)
    return max(ticks * terms.tick, terms.tick)


def available_volume(preset: Preset, volume: Decimal, taken: Decimal, lot: Decimal) -> Decimal | None:
    """Units that may still be taken of a bar with this volume; None: any number."""
    if preset.participation is None:
        return None
    left = volume * preset.participation - taken
    return max(Decimal(0), (left / lot).to_integral_value(ROUND_DOWN) * lot)


def daily_share(rate: Decimal, value: Decimal) -> Decimal:
    """One day's share of a yearly rate, rounded half up to the cent."""
    return (value * rate / _DAYS).quantize(CENT, ROUND_HALF_UP)


def _share_fee(preset: Preset, quantity: Decimal) -> Decimal:
    return max(preset.order_minimum, (preset.per_share * quantity).quantize(CENT, ROUND_HALF_UP))
