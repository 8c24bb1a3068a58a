"""What the tests of the paper broker share: a clock that is set by hand, orders in a line, hand-written bars."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

from brokers.paper import accounts
from brokers.paper.adapter import PaperBroker
from brokers.paper.bar_imports import import_bars
from brokers.paper.models import PaperAccount
from brokers.types import AssetClass, OrderRequest, OrderType, Side, TimeInForce

# A Friday on which New York trades; BTC/USD replays 6 April 2018, 15:33.
NOON = datetime(2026, 11, 20, 15, 33, 20, tzinfo=UTC)
_ids = count(1)


class Clock:
    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: int) -> datetime:
        self.now += timedelta(**by)
        return self.now


def new_id() -> str:
    return f"{next(_ids):032x}"


def order(
    side: str,
    quantity: str,
    symbol: str = "AAPL",
    *,
    limit: str | None = None,
    stop: str | None = None,
    tif: str = "GTC",
    client_order_id: str | None = None,
) -> OrderRequest:
    kind = {
        (False, False): OrderType.MARKET,
        (True, False): OrderType.LIMIT,
        (False, True): OrderType.STOP,
        (True, True): OrderType.STOP_LIMIT,
    }[limit is not None, stop is not None]
    return OrderRequest(
        client_order_id=client_order_id or new_id(),
        symbol=symbol,
        side=Side(side),
        order_type=kind,
        quantity=Decimal(quantity),
        tif=TimeInForce(tif),
        limit_price=None if limit is None else Decimal(limit),
        stop_price=None if stop is None else Decimal(stop),
    )


def open_broker(
    clock: Clock, cash: str = "100000", *, hours: str = "always", seed: int = 1
) -> tuple[PaperBroker, PaperAccount]:
    account = accounts.open_account("Practice", Decimal(cash), hours=hours, seed=seed, now=clock.now)
    return PaperBroker.open({"account": account.key}, clock=clock), account


def script(
    *bars: str, symbol: str = "TEST/USD", asset_class: AssetClass = AssetClass.CRYPTO, volume: str = "1"
) -> datetime:
    """Import hand-written minute bars, each "open high low close"; returns a minute at which the first one starts."""
    start = datetime(2020, 1, 1, tzinfo=UTC)
    lines = ["ts,open,high,low,close,volume"]
    for place, bar in enumerate(bars):
        lines.append(f"{(start + timedelta(minutes=place)).isoformat()},{','.join(bar.split())},{volume}")
    import_bars(lines, symbol=symbol, name="Test", asset_class=asset_class, minimum=None)
    whole = NOON.replace(second=0)
    minutes = (whole - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(minutes=1)
    return whole + timedelta(minutes=-minutes % len(bars))
