"""What the tests of orders share."""

from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count

from django.utils import timezone

from brokers.base import Broker
from brokers.types import BrokerOrder, OrderRequest, OrderType, Side, TimeInForce
from console.connected_apps.models import ConnectedApp
from console.connections import broker_access
from console.connections.models import Connection
from console.orders.models import Confirmation, Order, OrderEvent
from console.orders.states import Status
from console.principal import Redeemer

_numbers = count(1)


def at_the_broker(connection: Connection) -> BrokerOrder:
    """As its owner makes one at the broker, past Tradelatch."""
    broker = broker_access.broker_of(connection)
    request = OrderRequest(
        client_order_id="by-hand-1",
        symbol="BTC/USD",
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        quantity=Decimal("0.5"),
        tif=TimeInForce.GTC,
        limit_price=Decimal(1000),
    )
    return broker.submit(account_of(broker), request)


def account_of(broker: Broker) -> str:
    return broker.accounts()[0].account_id


def make(app: ConnectedApp, status: Status, *, symbol: str = "AAPL", at: datetime | None = None) -> Order:
    """A row as it would be after the broker's report, without any call."""
    number, at = next(_numbers), at or timezone.now()
    confirmation = Confirmation.objects.create(
        public_id=f"cnf_{number}",
        app=app,
        redeemer=Redeemer.APP,
        terms={"summary": f"Buy 10 {symbol}, about 1,815.00 USD.", "value": "1815", "fee": "1"},
        terms_digest="0" * 64,
        created_at=at,
        expires_at=at + timedelta(seconds=120),
    )
    order = Order.objects.create(
        public_id=f"ord_{number}",
        connection=app.connection,
        app=app,
        confirmation=confirmation,
        account_id="PAPER-1",
        client_order_id=f"mine-{number}",
        wire_id=f"{number:032d}",
        symbol=symbol,
        asset_class="stock",
        currency="USD",
        side="BUY",
        order_type="LMT",
        tif="DAY",
        quantity="10",
        limit_price="181.5",
        shown_price="181.5",
        status=status,
        created_at=at,
        moved_at=at,
    )
    OrderEvent.objects.create(order=order, at=at, after=status, what="Prepared and shown.", by=app.name)
    return order
