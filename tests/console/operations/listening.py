"""Driving a ``Listener`` by hand, step by step."""

import time
from collections.abc import Callable

from console.connections.models import OrderStreamStatus
from console.operations.order_listener import Listener
from tests.patience import at_most


def until(listener: Listener, so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + at_most(5)
    while not so():
        assert time.monotonic() < deadline, "it did not come to that"
        listener.step(0.02)


def heard_by(listener: Listener, connection_id: int) -> None:
    """It listens to the stream of this connection, and its first looks are over."""
    until(listener, lambda: OrderStreamStatus.objects.filter(connection_id=connection_id, is_up=True).exists())
    until(listener, lambda: not listener.is_looking)
