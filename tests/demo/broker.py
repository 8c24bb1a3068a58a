"""The demo's broker: Interactive Brokers' gateway on loopback, told over its address what to do next."""

import json
import socket
import threading
import urllib.request
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from tests.brokers.faults import Reply, _handler, _Server
from tests.brokers.ibkr.fake import FakeIbkr
from tests.patience import at_most
from tests.serving import until

REFUSED = "13"
"""An order of so many is refused."""


class DemoIbkr(FakeIbkr):
    def _place(self, tickets: list[dict[str, Any]]) -> Reply:
        if str(tickets[0]["quantity"]) == REFUSED:
            return 200, {"error": "No trading permissions for this product."}
        return super()._place(tickets)

    def control(self, what: str, told: Any) -> Any:
        if what == "leave":
            threading.Thread(target=self._leave, args=[float(told)], daemon=True).start()
            return None
        if what == "questions":
            self.questions = list(told)
            return None
        return super().control(what, told)

    def _leave(self, seconds: float) -> None:
        """Nobody listens for so long, as where a gateway was stopped and started again."""
        port = self.port
        self.stop()
        threading.Event().wait(seconds)
        self.server = _Server(("127.0.0.1", port), _handler(self))
        self._thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self._thread.start()


def control(address: str, what: str, told: Any) -> None:
    request = urllib.request.Request(
        f"{address}/-/{what}",
        data=json.dumps(told).encode(),
        method="POST",
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=at_most(10)):
        pass


def wait_until(address: str, *, listens: bool) -> None:
    until(lambda: _listens(address) is listens, seconds=30, what=f"the gateway listens: {listens}")


def _listens(address: str) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", urlsplit(address).port or 0), timeout=at_most(2)):
        return True
    return False
