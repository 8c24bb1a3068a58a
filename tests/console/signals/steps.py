"""An address of Olivia's on her paper connection, and a sender that posts to it."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

from django.test import Client as Browser
from django.utils import timezone

from console import ids
from console.accounts.models import User
from console.connections.models import Connection
from console.signals import addresses, preparing
from console.signals.addresses import AddressTerms, Made
from console.signals.mapping import Template
from console.signals.models import SenderProof, Signal, SignalAddress

INSTRUMENTS = {"AAPL": "AAPL", "NASDAQ:MSFT": "MSFT", "BTC/USD": "BTC/USD"}
TEMPLATE = Template(secret="secret", quantity="quantity", time="time", id="id", instruments=INSTRUMENTS)
WANTED = AddressTerms(name="My strategy", proof=SenderProof.BODY, template=TEMPLATE, most_value=Decimal(5000))


def address(owner: User, paper: Connection, *, template: Template = TEMPLATE, **changed: Any) -> Made:
    return addresses.make(owner, paper, replace(WANTED, template=template, **changed))


def signed_address(owner: User, paper: Connection, **changed: Any) -> Made:
    template = Template(quantity="quantity", instruments={"AAPL": "AAPL"})
    return address(owner, paper, template=template, proof=SenderProof.SIGNATURE, **changed)


def text(made: Made, **values: Any) -> str:
    """As its sender would write it."""
    told = {"secret": made.secret, "symbol": "AAPL", "side": "buy", "quantity": 3, **values}
    return json.dumps({name: value for name, value in told.items() if value is not None})


def post(made: Made, body: str | bytes, *, content_type: str = "application/json", **more: Any) -> Any:
    """``more``: as the test client has them, such as ``headers``."""
    return Browser().generic("POST", f"/signals/in/{made.part}", body, content_type, **more)


def send(made: Made, **values: Any) -> Any:
    return post(made, text(made, **values))


def refused(address: SignalAddress, **more: Any) -> Signal:
    """One that came too late."""
    told = {"outcome": "refused", "code": "signal_late", "message": "The signal was sent 90 s before it arrived."}
    signal: Signal = address.signals.create(
        **{"public_id": ids.new("sig"), "request_id": ids.new("req"), "at": timezone.now(), **told, **more}
    )
    return signal


def newest() -> Signal:
    """As it is after the sweep."""
    preparing.prepare_due()
    return Signal.objects.select_related("order__confirmation").order_by("-pk")[0]


FORM = {
    "name": "My strategy", "instruments": "AAPL\nNASDAQ:MSFT = MSFT", "sides": "both", "most_value": "5000",
    "proof": "body", "networks": "", "form": "json", "symbol": "symbol", "side": "side", "quantity": "quantity",
    "time": "time", "id": "", "price": "", "per_minute": "6", "oldest": "60", "same_after": "300",
}  # fmt: skip
"""What the page sends, but for the connection."""
