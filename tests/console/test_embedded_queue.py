"""The queue of the default instance: what stands in it is whole, is taken once, and ends nobody who reads it."""

import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection, Consumer, Exchange, Producer, Queue
from kombu.transport.virtual import Channel

from console import embedded_queue
from console.celery import app
from console.config import instance_dir
from tests.patience import at_most, lasting

WORK = Queue("work", Exchange("work"), routing_key="work")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return instance_dir.queue_folder(tmp_path) / "messages"


@pytest.fixture
def connection(folder: Path) -> Iterator[Connection]:
    # What queues there are is kept for the process, which has one folder: each test has another.
    embedded_queue.Transport.global_state.clear()
    with open_connection(folder) as opened:
        yield opened


def open_connection(folder: Path) -> Connection:
    options = {
        "data_folder_in": str(folder),
        "data_folder_out": str(folder),
        "control_folder": str(folder.parent / "control"),
        "polling_interval": 0.01,
    }
    assert app.conf.broker_url == "files://localhost"
    return Connection(app.conf.broker_url, transport_options=options)


def send(connection: Connection, *bodies: object) -> None:
    producer = Producer(connection.channel(), WORK.exchange, routing_key="work")
    for body in bodies:
        producer.publish(body, declare=[WORK])


def receive(connection: Connection, act: Callable[[Any], None] = lambda body: None) -> list[Any]:
    """Everything that can be read now."""
    got: list[Any] = []

    def take(body: Any, message: Any) -> None:
        act(body)
        got.append(body)
        message.ack()

    with Consumer(connection.channel(), [WORK], callbacks=[take]):
        while True:
            try:
                connection.drain_events(timeout=lasting(0.1))
            except TimeoutError:
                return got


def age(file: Path) -> None:
    old = time.time() - embedded_queue.UNREADABLE_AFTER_SECONDS - 1
    os.utime(file, (old, old))


def test_messages_come_in_the_order_they_were_sent_and_once(connection: Connection, folder: Path) -> None:
    send(connection, 1, 2, 3)
    assert receive(connection) == [1, 2, 3]
    assert receive(connection) == []
    assert list(folder.iterdir()) == []


def test_a_message_has_its_name_only_when_it_is_whole(
    connection: Connection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    write = Path.write_text

    def half_written(self: Path, text: str, *args: Any, **kwargs: Any) -> int:
        written = write(self, text[: len(text) // 2])
        seen.append([each.name for each in folder.glob("*.msg")])
        return write(self, text) or written

    monkeypatch.setattr(Path, "write_text", half_written)
    send(connection, "a")
    assert seen and not any(seen)
    assert receive(connection) == ["a"]


@pytest.mark.parametrize("content", ["", "{", '{"body": "', "\x00\x00", "[]", "null", "7", '{"properties": []}', "{}"])
def test_what_is_not_whole_waits_and_keeps_nothing_behind_it_waiting(
    connection: Connection, folder: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    torn = folder / "0_torn.work.msg"
    torn.write_text(content)
    send(connection, "behind")
    assert receive(connection) == ["behind"]
    assert torn.exists()
    assert caplog.records == []


def test_what_becomes_whole_is_read_then(connection: Connection, folder: Path) -> None:
    send(connection, "late")
    [file] = folder.glob("*.msg")
    whole = file.read_text()
    file.write_text(whole[:20])
    assert receive(connection) == []
    file.write_text(whole)
    assert receive(connection) == ["late"]


def test_what_is_never_whole_is_moved_aside_with_one_line(
    connection: Connection, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    torn = folder / "0_torn.work.msg"
    torn.write_text('{"body": "')
    age(torn)
    assert receive(connection) == []
    assert [each.name for each in (folder.parent / "unreadable").iterdir()] == [torn.name]
    assert [record.getMessage() for record in caplog.records] == [
        f"A message in the queue cannot be read (JSONDecodeError); it was moved to {folder.parent / 'unreadable'}"
    ]


def test_bytes_that_are_no_text_are_moved_aside_too(connection: Connection, folder: Path) -> None:
    torn = folder / "0_torn.work.msg"
    torn.write_bytes(b"\xff\xfe{")
    age(torn)
    assert receive(connection) == []
    assert not torn.exists()


def test_what_is_no_file_keeps_nobody_waiting(connection: Connection, folder: Path) -> None:
    pipe, elsewhere = folder / "0_pipe.work.msg", folder.parent / "elsewhere"
    os.mkfifo(pipe)
    (folder / "1_folder.work.msg").mkdir()
    (folder / "2_nowhere.work.msg").symlink_to(elsewhere)
    send(connection, 1)
    pool = ThreadPoolExecutor(1)
    reading = pool.submit(receive, connection)
    try:
        assert reading.result(timeout=at_most(10)) == [1]
    finally:
        if not reading.done():
            pipe.open("w").close()  # it waits for somebody at the other end
        pool.shutdown()


def test_a_message_its_reader_chokes_on_is_dropped_and_the_next_one_is_read(
    connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    def choke(body: Any) -> None:
        if body == "bad":
            raise RuntimeError(body)

    send(connection, "bad", "good")
    assert receive(connection, choke) == ["good"]
    assert [record.getMessage() for record in caplog.records] == [
        "A message in the queue was dropped: it cannot be understood (RuntimeError)"
    ]
    assert receive(connection) == [], "it does not come again"


def test_two_readers_never_take_the_same_message(connection: Connection, folder: Path) -> None:
    send(connection, *range(200))

    def read(_: int) -> list[Any]:
        with open_connection(folder) as own:
            return receive(own)

    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(read, range(4)))
    assert sorted(each for part in parts for each in part) == list(range(200))


def test_writers_and_readers_at_once_lose_nothing(connection: Connection, folder: Path) -> None:
    def write(first: int) -> list[Any]:
        with open_connection(folder) as own:
            send(own, *range(first, first + 100))
        return []

    def read(_: int) -> list[Any]:
        with open_connection(folder) as own:
            return [*receive(own), *receive(own)]

    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(write, 0), pool.submit(write, 100), pool.submit(read, 0), pool.submit(read, 1)]
        got = [each for job in jobs for each in job.result()]
    assert sorted([*got, *receive(connection)]) == list(range(200))


def test_the_list_of_queues_is_never_seen_half_written(connection: Connection, folder: Path) -> None:
    table = folder.parent / "control" / "work.exchange"
    channel = connection.channel()
    assert isinstance(channel, Channel)
    table.write_text("[[")
    WORK(channel).declare()
    assert json.loads(table.read_text()) == [["work", "", "work"]]


def test_what_killed_processes_left_is_tidied_and_what_is_new_stays(folder: Path) -> None:
    queue = folder.parent
    (queue / "taken").mkdir()
    (queue / "unreadable").mkdir()
    stale = [folder / ".a.part", queue / "taken" / "b.msg", queue / "unreadable" / "c.msg"]
    fresh = [folder / ".d.part", folder / "e.work.msg", queue / "unreadable" / "f.msg"]
    for file in [*stale, *fresh]:
        file.touch()
    for file in stale:
        os.utime(file, (0, 0))
    embedded_queue.tidy(queue)
    assert [file.exists() for file in [*stale, *fresh]] == [False] * 3 + [True] * 3
