"""What two hundred apps do, and what each was answered. Plain HTTP, by a thread for each caller."""

import contextlib
import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.load.people import PASSWORD, App
from tests.mcpserver.wire import Wire
from tests.patience import at_most
from tests.person import Person

ORDERS = "tradelatch://orders"
LOST = "lost"
"""The connection ended before the answer: the process was killed, or was not there."""
_TRIES = 30
_PAUSE = 0.2
_RESTING = 4
"""Orders of one app that rest at once."""
_MARKET = {"symbol": "AAPL", "side": "BUY"}
_RESTS = {"symbol": "AAPL", "side": "BUY", "order_type": "LMT", "limit_price": "100"}
_READS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("get_quote", {"symbols": ["AAPL"]}),
    ("get_cash", {}),
    ("get_orders", {}),
    ("get_positions", {}),
)


@dataclass(slots=True)
class Answer:
    """One call. Times by ``time.time()``."""

    app: int
    port: int
    tool: str
    began: float
    ended: float = 0.0
    code: str = ""
    """Empty when it was done; a refusal's, ``http`` and a status, or ``LOST``."""
    request_id: str = ""
    retry_after: str = ""
    content: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Revoked:
    app: App
    at: float
    """When the answer to the revocation had come."""


@dataclass(slots=True)
class Heard:
    """One stream: while it was open, and when it said that orders changed."""

    app: int
    port: int
    opened: float
    closed: float = 0.0
    told: list[float] = field(default_factory=list)


class Traffic:
    def __init__(self, apps: Sequence[App], ports: Sequence[int], seed: int) -> None:
        self.apps = {app.number: app for app in apps}
        self.ports = list(ports)
        self.answers: list[Answer] = []
        self.revoked: list[Revoked] = []
        self.streams: list[Heard] = []
        self.wanted: set[str] = set()
        """Client order ids that a confirmation was sent for."""
        self.surprises: list[str] = []
        self._living = list(self.apps)
        self._heard = self._living[:4]
        """Apps that follow their orders; never revoked."""
        self._resting: dict[int, list[str]] = defaultdict(list)
        self._lock = threading.Lock()
        self._numbers = iter(range(1, 10**9))
        self._over = threading.Event()
        self._seed = seed
        self._threads: list[threading.Thread] = []

    @contextlib.contextmanager
    def running(self, callers: int, revocations_every: float) -> Iterator[None]:
        for number in range(callers):
            self._start(self._call, random.Random(self._seed + number))  # noqa: S311  a test's dice
        for number in self._heard:
            self._start(self._listen, number)
        self._start(self._revoke, revocations_every)
        try:
            yield
        finally:
            self._over.set()
            for thread in self._threads:
                thread.join(at_most(60))
            if any(thread.is_alive() for thread in self._threads):
                self.surprises.append("a caller never came back")

    def _start(self, act: Any, *arguments: Any) -> None:
        def run() -> None:
            try:
                act(*arguments)
            except Exception as error:
                self.surprises.append(f"{act.__name__}: {error!r}"[:1000])

        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()

    # -- calls ----------------------------------------------------------------------------------------------------

    def ask(self, client: httpx2.Client, app: int, port: int, tool: str, given: dict[str, Any]) -> Answer:
        """One call in the modern era, written down."""
        made = Answer(app, port, tool, time.time())
        try:
            wire = Wire(f"http://localhost:{port}/mcp", self.apps[app].key)
            params = {"name": tool, "arguments": given}
            answer = client.post(wire.url, **wire.request("tools/call", params, name=tool))
        except httpx2.HTTPError:
            made.code = LOST
        else:
            made.request_id = answer.headers.get("x-request-id", "")
            made.retry_after = answer.headers.get("retry-after", "")
            if answer.status_code == 200:
                made.content = answer.json()["result"]["structuredContent"]
                made.code = made.content.get("error", {}).get("code", "")
            else:
                made.code = f"http {answer.status_code}"
        made.ended = time.time()
        self.answers.append(made)
        return made

    def _call(self, dice: random.Random) -> None:
        with httpx2.Client(timeout=at_most(30)) as client:
            while not self._over.is_set():
                app = dice.choice(self._heard if dice.random() < 0.2 else self._living)
                roll = dice.random()
                if roll < 0.55:
                    tool, given = dice.choice(_READS)
                    self.ask(client, app, dice.choice(self.ports), tool, given)
                elif roll < 0.8:
                    self._order(client, app, dice)
                else:
                    self._move(client, app, dice)

    def _order(self, client: httpx2.Client, app: int, dice: random.Random) -> None:
        with self._lock:
            number = next(self._numbers)
            rests = dice.random() < 0.5 and len(self._resting[app]) < _RESTING
        name = f"load-{number}"
        size = format(number / 1e6, "f")
        terms = (_RESTS if rests else _MARKET) | {"quantity": size, "client_order_id": name}
        prepared = self._persistent(client, app, dice, "place_order", terms)
        if prepared is None or prepared.code:
            return
        self.wanted.add(name)
        done = self._confirm(client, app, dice, prepared)
        if rests and done is not None and not done.code:
            self._resting[app].append(prepared.content["order"]["order_id"])

    def _confirm(self, client: httpx2.Client, app: int, dice: random.Random, prepared: Answer) -> Answer | None:
        asked = {"confirmation_id": prepared.content["confirmation_id"]}
        return self._persistent(client, app, dice, "confirm_trade", asked)

    def _move(self, client: httpx2.Client, app: int, dice: random.Random) -> None:
        """Change or cancel what rests; nobody else moves it meanwhile."""
        with self._lock:
            resting = self._resting[app]
            if not resting:
                return
            order = resting.pop(dice.randrange(len(resting)))
        if dice.random() < 0.5:
            self._persistent(client, app, dice, "cancel_order", {"order_id": order})
            return
        price = f"{100 + dice.randrange(1, 900) / 100:.2f}"
        asked = {"order_id": order, "limit_price": price}
        prepared = self._persistent(client, app, dice, "modify_order", asked)
        if prepared is not None and not prepared.code:
            self._confirm(client, app, dice, prepared)
        self._resting[app].append(order)

    def _persistent(
        self, client: httpx2.Client, app: int, dice: random.Random, tool: str, given: dict[str, Any]
    ) -> Answer | None:
        """The first answer; a call whose answer was lost is made again elsewhere, as a host would."""
        for _ in range(_TRIES):
            answer = self.ask(client, app, dice.choice(self.ports), tool, given)
            if answer.code != LOST and not answer.code.startswith("http 5"):
                return answer
            if self._over.wait(_PAUSE):
                return None
        return None

    # -- revocations ----------------------------------------------------------------------------------------------

    def _revoke(self, every: float) -> None:
        dice = random.Random(self._seed)  # noqa: S311  a test's dice
        while not self._over.wait(every):
            number = dice.choice([each for each in self._living if each not in self._heard])
            app = self.apps[number]
            done = self._revoke_key(app, dice)
            if done is None:
                continue
            self.revoked.append(Revoked(app, done))
            with httpx2.Client(timeout=at_most(30)) as client:
                for port in self.ports:
                    self.ask(client, number, port, "get_cash", {})
            self._living = [each for each in self._living if each != number]

    def _revoke_key(self, app: App, dice: random.Random) -> float | None:
        """By its owner, on the page of the key, at any process. When the answer had come."""
        path = f"/keys/{app.public_id}/revoke/"
        for _ in range(_TRIES):
            with (
                contextlib.suppress(httpx2.HTTPError, AssertionError),
                Person(f"http://localhost:{dice.choice(self._web)}", app.person, PASSWORD) as person,
            ):
                page = person.get(path)
                if page.status_code == 200 and person.post(path, page).status_code in (302, 303):
                    return time.time()
            # The answer to the form may be what was lost.
            with httpx2.Client(timeout=at_most(30)) as client:
                if self.ask(client, app.number, dice.choice(self.ports), "get_cash", {}).code == "http 401":
                    return time.time()
            if self._over.wait(_PAUSE):
                return None
        self.surprises.append(f"{app.public_id} could not be revoked")
        return None

    @property
    def _web(self) -> list[int]:
        return self.ports[: len(self.ports) // 2]

    # -- streams --------------------------------------------------------------------------------------------------

    def _listen(self, number: int) -> None:
        dice = random.Random(self._seed + number)  # noqa: S311  a test's dice
        while not self._over.is_set():
            port = dice.choice(self.ports)
            wire = Wire(f"http://localhost:{port}/mcp", self.apps[number].key)
            with contextlib.suppress(httpx2.HTTPError, httpx2.StreamError), wire.listen(ORDERS) as stream:
                while not stream.messages and not stream.ended and not self._over.is_set():
                    time.sleep(0.05)
                heard = Heard(number, port, time.time())
                seen = 1
                while not stream.ended and not self._over.is_set():
                    time.sleep(0.05)
                    if len(stream.messages) > seen:
                        seen = len(stream.messages)
                        heard.told.append(time.time())
                heard.closed = time.time()
                if seen and stream.messages and stream.messages[0].get("method", "").endswith("acknowledged"):
                    self.streams.append(heard)
            self._over.wait(_PAUSE)
