"""The fees of one account in words and numbers: what ``costs.fee`` computes."""

from decimal import Decimal

from brokers.decimals import plain
from brokers.paper import costs
from brokers.paper.models import CLASSES
from brokers.types import AssetClass, FeeRule


def fee_rules(preset: costs.Preset) -> list[FeeRule]:
    return [_crypto(preset) if each is AssetClass.CRYPTO else _shares(preset, each) for each in CLASSES]


def _shares(preset: costs.Preset, asset_class: AssetClass) -> FeeRule:
    words = (
        f"{plain(preset.per_share)} per share, at least {preset.order_minimum:.2f} per order, in the instrument's "
        "currency."
    )
    return FeeRule(
        asset_class=asset_class,
        basis="unit",
        rate=preset.per_share,
        minimum=preset.order_minimum,
        words=words if preset.per_share else "No fee.",
    )


def _crypto(preset: costs.Preset) -> FeeRule:
    taker, maker = (f"{plain(rate * 100)}%" for rate in (preset.taker, preset.maker))
    words = f"{taker} of price times quantity, rounded half up to the cent."
    if preset.maker != preset.taker:
        words += f" {maker} for a limit order that rested (maker)."
    return FeeRule(
        asset_class=AssetClass.CRYPTO,
        basis="notional",
        rate=preset.taker,
        minimum=Decimal(0),
        words=words if preset.taker else "No fee.",
    )
