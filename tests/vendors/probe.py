"""One vendor's client, in an environment of its own: the calls it makes and what it read, a line of JSON each.

Nothing of ours is imported but this, and this imports nothing beside the standard library.
"""

import json
import queue
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

Row = Mapping[str, Any]

_FRAME_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Settings:
    """What the probe is given on standard input."""

    url: str
    key: str
    secret: str
    passphrase: str
    ids: Mapping[str, str]
    """Name of an order → our id of it."""
    venue: str = ""
    """Which of the venues, for a client that knows several."""


def settings() -> Settings:
    return Settings(**json.load(sys.stdin))


def number(value: Any) -> Decimal:
    return Decimal(str(value))


def plain(value: Any) -> str:
    """A number in its shortest form, whatever type the client made of it; empty for none, and for zero of a price."""
    if value in (None, ""):
        return ""
    text = format(number(value), "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("", "-0") else text


def price(value: Any) -> str:
    text = plain(value)
    return "" if text == "0" else text


def order(
    *, side: Any, status: str, quantity: Any, filled: Any, limit: Any, average: Any, **more: str
) -> dict[str, str]:
    """``status`` is open, filled, cancelled or expired; ``more`` what this client tells beside, in words of ours."""
    return {
        "side": str(side).lower(),
        "status": status,
        "quantity": plain(quantity),
        "filled": plain(filled),
        "limit": price(limit),
        "average": price(average),
        **more,
    }


def fill(*, quantity: Any, price: Any, fee: Any, coin: Any) -> dict[str, str]:
    return {"quantity": plain(quantity), "price": plain(price), "fee": plain(fee), "coin": str(coin)}


class Refused(Exception):
    """The venue said no, in its client's words."""


def streamed(
    begin: Callable[[Callable[[Any], None]], None],
    is_ready: Callable[[Any], bool],
    named: Callable[[Any], Any],
    place: Callable[[], Any],
    cancel: Callable[[], Any],
    wanted: str,
) -> dict[str, str]:
    """The first frame of the client's stream that names our order, which stands from when the stream is ready until
    then.

    ``begin`` runs in a thread and hands over every frame as the client gives it: as text, or read.
    """
    frames: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=begin, args=[frames.put], daemon=True).start()
    placed = False
    while True:
        frame = frames.get(True, _FRAME_SECONDS)
        read = json.loads(frame) if isinstance(frame, str) else frame
        if placed and named(read) == wanted:
            cancel()
            return {"frame": json.dumps(read), "named": wanted}
        if not placed and is_ready(read):
            placed = True
            place()


def run(calls: Iterable[tuple[str, Callable[[], Any]]]) -> None:
    """Makes each call and writes what it read; a refusal is an answer too, and any other error is told as one."""
    for name, call in calls:
        try:
            read: Row = {"read": call()}
        except Refused:
            read = {"read": "refused"}
        except Exception as error:
            read = {"error": f"{type(error).__name__}: {error}"[:300]}
        sys.stdout.write(json.dumps({"call": name, **read}) + "\n")
    sys.stdout.flush()


def refused(call: Callable[[], Any]) -> Any:
    """For a call that has to be refused: by whatever exception the client has for that."""
    try:
        answer = call()
    except Exception as error:
        raise Refused(str(error)) from error
    return {"taken": str(answer)[:200]}
