"""What every broker's stream of order updates is held to: it says that an order moved, and no frame can hurt."""

import asyncio
import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import aclosing
from typing import Any

import pytest

from brokers import registry, stream_connection
from brokers.errors import AuthFailed
from brokers.order_streams import FrameMeaning, OrderStream, StreamEvent, StreamEventKind
from tests.brokers.contract.cases import CASES, KEYED, Case, Rig
from tests.brokers.faults import FakeBroker, Fault
from tests.brokers.sockets import FakeSocket
from tests.patience import at_most, lasting, unhurried


def _streams(case: Case) -> bool:
    can = registry.capabilities(case.name)
    return can is not None and can.order_stream


STREAMING = [case for case in CASES if _streams(case)]


@pytest.fixture(params=STREAMING, ids=lambda case: case.name)
def streaming(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


def of(cases: list[Case]) -> pytest.MarkDecorator:
    """The test is for these alone."""
    return pytest.mark.parametrize("streaming", cases, indirect=True, ids=[case.name for case in cases])


@pytest.fixture
def rig(streaming: Case, db: None) -> Iterator[Rig]:
    with unhurried(), streaming.opened() as opened:
        yield opened


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_connection, "PAUSES", (0.0,))


def fake_of(rig: Rig) -> FakeBroker:
    assert isinstance(rig.fake, FakeBroker)
    return rig.fake


def socket_of(rig: Rig) -> FakeSocket:
    return fake_of(rig).sockets[-1]


def break_next(rig: Rig, kind: str) -> None:
    fake = fake_of(rig)
    fake.faults.set(Fault(kind=kind, effect=False, method="STREAM", path=fake.STREAMS[0]))


def followed(
    open_stream: Callable[[], OrderStream],
    *acts: Callable[[], object],
    until: Callable[[list[StreamEvent]], bool],
) -> list[StreamEvent]:
    """What the stream says until that is so; each time it is up, the next of ``acts`` is done."""
    said: list[StreamEvent] = []
    left = list(acts)

    async def run() -> None:
        async with asyncio.timeout(at_most(10)), aclosing(stream_connection.follow(open_stream)) as events:
            async for event in events:
                said.append(event)
                if event.kind is StreamEventKind.UP and left:
                    left.pop(0)()
                if until(said):
                    return

    asyncio.run(run())
    return said


def named(client_order_id: str) -> Callable[[list[StreamEvent]], bool]:
    return lambda said: client_order_id in said[-1].client_order_ids


def up_again(said: list[StreamEvent]) -> bool:
    return [event.kind for event in said if event.kind is not StreamEventKind.MOVED] == ["up", "down", "up"]


def test_it_names_an_order_that_was_placed_and_one_that_was_cancelled_by_our_id(rig: Rig) -> None:
    order, account = rig.order(), rig.account_id
    followed(rig.broker.order_stream, lambda: rig.broker.submit(account, order), until=named(order.client_order_id))
    cancel = lambda: rig.broker.cancel(account, order.client_order_id, symbol=order.symbol)  # noqa: E731
    followed(rig.broker.order_stream, cancel, until=named(order.client_order_id))


def test_it_is_opened_anew_after_a_cut(rig: Rig) -> None:
    said = followed(rig.broker.order_stream, lambda: socket_of(rig).drop(), until=up_again)
    assert said[1].reason == "The connection was cut."


def test_it_is_opened_anew_where_the_broker_answers_with_an_error_at_first(rig: Rig) -> None:
    break_next(rig, "503")
    said = followed(rig.broker.order_stream, until=lambda said: said[-1].kind is StreamEventKind.UP)
    assert [event.kind for event in said] == ["down", "up"]


@pytest.mark.parametrize("frame", ["<html>", "[1]", b"\xff\xfe", '"text"', "[" * 100_000])
def test_what_cannot_be_read_ends_the_connection_and_nothing_else(rig: Rig, frame: str | bytes) -> None:
    said = followed(rig.broker.order_stream, lambda: socket_of(rig).say(frame), until=up_again)
    assert said[-2].kind is StreamEventKind.DOWN


def test_a_redirect_is_not_followed(rig: Rig) -> None:
    break_next(rig, "redirect")
    said = followed(rig.broker.order_stream, until=lambda said: said[-1].kind is StreamEventKind.UP)
    assert said[0].kind is StreamEventKind.DOWN


def test_silence_is_taken_for_death(rig: Rig) -> None:
    quick = [lasting(0.05)]

    def opened() -> OrderStream:
        made = rig.broker.order_stream()
        made.silent_after, made.beat = (quick.pop(), "") if quick else (None, made.beat)
        return made

    said = followed(opened, until=lambda said: said[-1].kind is StreamEventKind.UP and len(said) > 1)
    assert "The broker went silent." in {event.reason for event in said}


@pytest.mark.parametrize(
    "streaming", [each for each in STREAMING if each in KEYED], indirect=True, ids=lambda case: case.name
)
def test_a_key_that_is_refused_is_said_in_words_of_our_own(rig: Rig, streaming: Case) -> None:
    said = followed(
        streaming.with_wrong_key(rig).order_stream, until=lambda said: said[-1].kind is StreamEventKind.DOWN
    )
    assert [event.reason for event in said] == ["The broker refused the sign-in."]


_NUMBERED = {"kraken": "sequence", "coinbase": "number"}


@pytest.mark.parametrize(
    "streaming", [each for each in STREAMING if each.name in _NUMBERED], indirect=True, ids=lambda case: case.name
)
def test_a_gap_in_the_numbers_ends_the_connection(rig: Rig, streaming: Case) -> None:
    def skip() -> None:
        socket_of(rig).notes[_NUMBERED[streaming.name]] += 3
        rig.broker.submit(rig.account_id, rig.order())

    said = followed(rig.broker.order_stream, skip, until=up_again)
    assert "updates are missing" in said[-2].reason


_ODD: tuple[Any, ...] = (None, 1, "", [], [1], [[]], {}, {"a": 1}, [{"a": []}], True, "orders")
_WORDS = (
    *("stream", "data", "event", "arg", "channel", "events", "method", "success", "id", "status", "error", "type"),
    *("result", "topic", "args", "sequence", "sequence_num", "message", "code"),
)
_CHANNELS = ("orders", "user", "executions", "sor", "trade_updates")


def test_no_frame_of_any_shape_is_more_than_a_question(rig: Rig) -> None:
    stream = rig.broker.order_stream()
    for word, odd in itertools.product(_WORDS, _ODD):
        for more in ({}, *({"channel": each, "topic": each, "stream": each} for each in _CHANNELS)):
            for event in (odd, {"e": "executionReport", "c": odd}):
                try:
                    meant = stream.heard(json.dumps({**more, "event": event, word: odd}))
                except (ValueError, TypeError, KeyError, AttributeError, AuthFailed):
                    continue
                assert isinstance(meant, FrameMeaning)
                assert all(isinstance(each, str) for each in meant.client_order_ids)


def test_nothing_secret_is_in_its_repr(rig: Rig) -> None:
    stream = rig.broker.order_stream()
    shown = repr((stream, stream.address, FrameMeaning(send=stream.greeting)))
    assert not any(secret in shown for secret in rig.secrets)
