"""The paper market's fees in words and numbers: what ``exchange.fee`` computes."""

from brokers.paper import exchange
from brokers.types import AssetClass, FeeRule

_SHARES = "0.005 per share, at least 1.00 per fill, in the instrument's currency."
_CRYPTO = "0.25 % of price times quantity, rounded half up to the cent."


def rules() -> list[FeeRule]:
    return [_crypto() if each is AssetClass.CRYPTO else _shares(each) for each in AssetClass]


def _shares(asset_class: AssetClass) -> FeeRule:
    return FeeRule(
        asset_class=asset_class,
        basis="unit",
        rate=exchange.SHARE_FEE,
        minimum=exchange.SHARE_FEE_MINIMUM,
        words=_SHARES,
    )


def _crypto() -> FeeRule:
    return FeeRule(
        asset_class=AssetClass.CRYPTO,
        basis="notional",
        rate=exchange.CRYPTO_FEE_RATE,
        minimum=exchange.CENT * 0,
        words=_CRYPTO,
    )
