"""What the tests of the journal share."""

from decimal import Decimal

from brokers.paper.adapter import PaperBroker
from console.connections.models import Connection
from tests.brokers.paper.support import order
from tests.clock import Clock


def deal(connection: Connection, side: str, quantity: str, symbol: str, clock: Clock) -> None:
    broker = PaperBroker.open(connection.settings, clock=clock)
    answer = broker.submit(connection.default_account, order(side, quantity, symbol))
    assert answer.filled_quantity == Decimal(quantity)
