"""What watches for open streams: it runs only while somebody listens, and one bad look ends no stream."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import anyio
import mcp_types as types
import pytest

from console.authority import bearer
from console.errors import Code, Refusal
from console.orders import event_queries as order_events
from console.orders.event_queries import News
from console.principal import Principal
from mcpserver import subscriptions
from mcpserver.subscriptions import Listeners, Stream
from mcpserver.surface import OURS
from tests.mcpserver.steps import PRINCIPAL
from tests.patience import at_most


@dataclass
class Client:
    """Stands where the SDK's request context does, and keeps what it was sent."""

    request_id: int = 1
    sent: list[Any] = field(default_factory=list)

    @property
    def session(self) -> "Client":
        return self

    async def send_notification(self, notification: Any, related_request_id: int) -> None:
        self.sent.append(notification)

    @property
    def updated(self) -> list[str]:
        return [each.params.uri for each in self.sent if isinstance(each, types.ResourceUpdatedNotification)]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(subscriptions, "QUOTE_SECONDS", 0.01)
    monkeypatch.setattr(bearer, "authenticate", lambda raw, **where: PRINCIPAL)
    monkeypatch.setattr(order_events, "newest_event_id", lambda: 100)
    monkeypatch.setattr(order_events, "events_after", lambda after, connections: [])


async def when(probe: Callable[[], object]) -> None:
    with anyio.fail_after(at_most(5)):
        while not probe():
            await anyio.sleep(0.005)


def followed(watch: Callable[[Stream], None], then: Callable[[Client, Listeners], Any]) -> None:
    """One stream with what ``watch`` puts into it, followed until ``then`` is done and it is closed."""

    async def main() -> None:
        listeners, client = Listeners(OURS), Client()
        context: Any = client
        async with listeners.run():
            stream = listeners.add(PRINCIPAL, "raw")
            watch(stream)
            wanted = types.SubscriptionFilter(resource_subscriptions=sorted(stream.watched.uris))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listeners.follow, context, stream, wanted)
                await when(lambda: client.sent)
                await then(client, listeners)
                tasks.cancel_scope.cancel()
            listeners.remove(stream)
            await when(lambda: not listeners.watching)
            assert listeners.open == 0

    anyio.run(main)


def quotes(stream: Stream) -> None:
    stream.watched.quotes = {"SPY": {"tradelatch://quotes/SPY", "tradelatch://quotes/spy"}, "QQQ": {"q"}}


def test_a_quote_is_told_when_it_changed_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    now = {"SPY": Decimal(1), "QQQ": Decimal(1)}
    looks: list[int] = []

    def prices(principal: Principal, symbols: list[str]) -> dict[str, Any]:
        assert principal is PRINCIPAL
        looks.append(1)
        if len(looks) == 3:
            raise Refusal(Code.BROKER_UNAVAILABLE, "The broker rests.")
        if len(looks) == 4:
            raise ZeroDivisionError
        return {symbol: (now[symbol], None, None) for symbol in symbols}

    monkeypatch.setattr(subscriptions, "_prices", prices)

    async def then(client: Client, listeners: Listeners) -> None:
        await when(lambda: len(looks) > 6)
        assert client.updated == []
        now["SPY"] = Decimal("1.01")
        await when(lambda: client.updated)
        assert sorted(client.updated) == ["tradelatch://quotes/SPY", "tradelatch://quotes/spy"]

    followed(quotes, then)


def test_an_event_that_was_committed_late_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    table: list[News] = []
    asked: list[int] = []

    def news(after: int, connections: set[int]) -> list[News]:
        asked.append(after)
        assert connections == {7}
        return [each for each in table if each.event_id > after]

    monkeypatch.setattr(order_events, "events_after", news)

    async def then(client: Client, listeners: Listeners) -> None:
        table.append(News(event_id=105, order_id="a", connection_id=7))
        await when(lambda: client.updated == ["a!"])
        table.append(News(event_id=104, order_id="b", connection_id=7))
        table.append(News(event_id=106, order_id="a", connection_id=8))
        await when(lambda: client.updated == ["a!", "b!"])
        looked = len(asked)
        await when(lambda: len(asked) > looked + 3)
        assert client.updated == ["a!", "b!"]

    def watch(stream: Stream) -> None:
        stream.watched.orders = {"a": {"a!"}, "b": {"b!"}}

    followed(watch, then)


def test_a_look_that_failed_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []

    def news(after: int, connections: set[int]) -> list[News]:
        looks.append(after)
        if len(looks) < 3:
            raise ZeroDivisionError
        return [News(event_id=101, order_id="a", connection_id=7)]

    monkeypatch.setattr(order_events, "events_after", news)

    async def then(client: Client, listeners: Listeners) -> None:
        await when(lambda: client.updated == ["every"])
        assert set(looks[:3]) == {100}

    def watch(stream: Stream) -> None:
        stream.watched.every_order = {"every"}

    followed(watch, then)


def test_a_client_that_stops_reading_loses_its_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "PATIENCE_SECONDS", 0.05)

    class Deaf(Client):
        async def send_notification(self, notification: Any, related_request_id: int) -> None:
            await anyio.sleep_forever()

    async def main() -> None:
        listeners = Listeners(OURS)
        async with listeners.run():
            stream = listeners.add(PRINCIPAL, "raw")
            with anyio.fail_after(at_most(5)):
                await listeners.follow(Deaf(), stream, types.SubscriptionFilter())  # type: ignore[arg-type]
            listeners.remove(stream)

    anyio.run(main)
