"""An approval and a broker's question wait for two minutes each; here they are made again whenever one has ended."""

import logging
import threading
from collections.abc import Mapping
from decimal import Decimal

from django.db import close_old_connections
from django.utils import timezone

from brokers.errors import BrokerError
from brokers.types import OrderType, Side, TimeInForce
from console.authority import bearer
from console.errors import Refusal
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders.owner import approvals, broker_questions
from console.orders.terms import Terms
from console.principal import Principal
from tests.brokers.ibkr.fake import QUESTION
from tests.demo.broker import DemoIbkr

log = logging.getLogger(__name__)

_LOOK_EVERY = 5.0


def keep_waiting(broker: DemoIbkr, keys: Mapping[str, str], stopping: threading.Event) -> None:
    while True:
        try:
            _renew(broker, keys)
        except (Refusal, BrokerError) as error:
            log.warning("Nothing new waits: %s", error)
        finally:
            close_old_connections()
        if stopping.wait(_LOOK_EVERY):
            return


def _renew(broker: DemoIbkr, keys: Mapping[str, str]) -> None:
    approving, asking = bearer.authenticate(keys["approving"]), bearer.authenticate(keys["asking"])
    if not approvals.undecided(timezone.now()).filter(app_id=approving.app_id).exists():
        _place(approving, _order("MSFT", "3", None))
    if not broker_questions.unanswered(timezone.now()).filter(order__app_id=asking.app_id).exists():
        broker.questions = [QUESTION]
        try:
            order_actions.confirm(asking, _place(asking, _order("AAPL", "650", "192.30")))
        finally:
            broker.questions = []


def _place(app: Principal, terms: Terms) -> str:
    return preparing.prepare(app, terms).confirmation.public_id


def _order(symbol: str, quantity: str, limit: str | None) -> Terms:
    return Terms(
        symbol=symbol,
        side=Side.BUY,
        quantity=Decimal(quantity),
        order_type=OrderType.MARKET if limit is None else OrderType.LIMIT,
        limit_price=None if limit is None else Decimal(limit),
        tif=TimeInForce.DAY if limit is None else TimeInForce.GTC,
    )
