"""What the tests of orders share."""

from decimal import Decimal

from brokers.base import Broker
from brokers.types import BrokerOrder, OrderRequest, OrderType, Side, TimeInForce
from console.connections import broker_access
from console.connections.models import Connection


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
