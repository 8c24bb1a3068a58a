"""The queue of an instance on one machine: a folder, one file a message, with nothing to install beside it.

kombu's own filesystem transport writes a message where readers look for it, takes it by moving it before it is read,
and lets one that is not whole end the worker. Here a file gets its name when it is whole, a message is taken by whoever
deletes its file, and nothing a file holds can end who reads it. A message only nudges: what must not be lost is a row.
"""

import contextlib
import fcntl
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import filesystem
from kombu.utils.json import dumps, loads

log = logging.getLogger(__name__)

UNREADABLE_AFTER_SECONDS = 10.0
"""How long a file that cannot be read may become whole, before it is moved out of the way."""
_LEFT_BEHIND_SECONDS = 3600.0
_UNREADABLE_KEPT_SECONDS = 7 * 86400.0
_END = ".msg"
_DRAFT = ".part"
_NO_MESSAGE = (ValueError, TypeError, KeyError, AttributeError, LookupError, RecursionError)


_BINDING = threading.RLock()


class Channel(filesystem.Channel):
    # A message that was taken and not finished is not put back: the sweep that it asked for comes again by itself.
    do_restore = False

    @property
    def _folder(self) -> Path:
        return Path(self.data_folder_in)

    def _put(  # type: ignore[override]  # kombu's own two classes disagree on the name
        self, queue: str, payload: Any, **kwargs: Any
    ) -> None:
        # No fsync: after a power cut a lost message is one nudge fewer, and half of one is moved out of the way.
        try:
            _write_whole(self._folder / f"{time.time_ns():020d}_{uuid.uuid4()}.{queue}{_END}", dumps(payload))
        except OSError as error:
            raise ChannelError(f"No message can be written in {self._folder}: {error.strerror}") from error

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        """The oldest message that is whole. Raises Empty when there is none."""
        for file in self._messages(queue):
            try:
                text = file.read_text()
            except FileNotFoundError:
                continue  # another worker was faster
            except (OSError, UnicodeDecodeError) as error:
                self._not_readable(file, error)
                continue
            try:
                payload = loads(text)
                self.Message(payload, channel=self)
                _check(payload)
            except _NO_MESSAGE as error:
                self._not_readable(file, error)
                continue
            with contextlib.suppress(FileNotFoundError):
                file.unlink()
                return payload
        raise Empty

    def _messages(self, queue: str) -> list[Path]:
        # Files alone: whoever opens a pipe that somebody left here waits at it for ever.
        end = f".{queue}{_END}"
        with os.scandir(self._folder) as found:
            files = (each.name for each in found if each.is_file(follow_symlinks=False))
            names = sorted(name for name in files if name.partition(".")[2] == end[1:])
        return [self._folder / name for name in names]

    def _not_readable(self, file: Path, error: Exception) -> None:
        """Leave it for the next look; once it is old, move it aside and say so once."""
        with contextlib.suppress(FileNotFoundError):
            if time.time() - file.stat().st_mtime < UNREADABLE_AFTER_SECONDS:
                return
            aside = self._folder.parent / "unreadable"
            aside.mkdir(mode=0o700, exist_ok=True)
            file.replace(aside / file.name)
            log.warning("A message in the queue cannot be read (%s); it was moved to %s", type(error).__name__, aside)

    def _size(self, queue: str) -> int:
        return len(self._messages(queue))

    # Which queues an exchange feeds: one small file an exchange, replaced whole by one process at a time

    def get_table(self, exchange: str) -> list[Any]:
        try:
            rows = loads(self._table_file(exchange).read_text())
            return [filesystem.exchange_queue_t(*row) for row in rows]
        except (FileNotFoundError, *_NO_MESSAGE):
            return []

    def queue_bind(self, *args: Any, **kwargs: Any) -> None:
        # One thread at a time: a second one would see the binding before it is in the table, and send to nobody.
        with _BINDING:
            super().queue_bind(*args, **kwargs)

    def _queue_bind(self, exchange: str, routing_key: str | None, pattern: str | None, queue: str) -> None:
        row = filesystem.exchange_queue_t(routing_key or "", pattern or "", queue or "")
        self._change_table(exchange, lambda rows: rows if row in rows else [row, *rows])

    def _delete(self, queue: str, exchange: str, routing_key: str, pattern: str, *args: Any, **kwargs: Any) -> None:
        self._purge(queue)
        row = filesystem.exchange_queue_t(routing_key or "", pattern or "", queue or "")
        self._change_table(exchange, lambda rows: [each for each in rows if each != row])

    def _table_file(self, exchange: str) -> Path:
        return Path(self._exchange_file(exchange))  # type: ignore[attr-defined]  # the stubs lack it

    def _change_table(self, exchange: str, change: Callable[[list[Any]], list[Any]]) -> None:
        file = self._table_file(exchange)
        try:
            with _alone(self.control_folder):
                before = self.get_table(exchange)
                if (after := change(before)) != before:
                    _write_whole(file, dumps(after))
        except OSError as error:
            raise ChannelError(f"{file} cannot be written: {error.strerror}") from error


class Transport(filesystem.Transport):
    Channel = Channel

    def _deliver(self, message: Any, queue: str | None) -> None:
        try:
            super()._deliver(message, queue)
        except Exception as error:
            # It was read well, and whoever takes it chokes on what it says: the worker goes on with the next one.
            log.warning("A message in the queue was dropped: it cannot be understood (%s)", type(error).__name__)
            for channel in self.channels or ():
                channel.qos.ack(message["properties"]["delivery_tag"])


def tidy(queue: Path) -> None:
    """Remove what processes that were killed left behind in the folder, and what nobody looked at for a week."""
    for folder, end, seconds in (
        (queue / "messages", _DRAFT, _LEFT_BEHIND_SECONDS),
        (queue / "control", _DRAFT, _LEFT_BEHIND_SECONDS),
        (queue / "taken", "", _LEFT_BEHIND_SECONDS),  # where earlier versions moved messages to
        (queue / "unreadable", "", _UNREADABLE_KEPT_SECONDS),
    ):
        for file in folder.glob(f"*{end}"):
            with contextlib.suppress(OSError):
                if file.is_file() and time.time() - file.stat().st_mtime > seconds:
                    file.unlink()


def _check(payload: Any) -> None:
    """Raises one of ``_NO_MESSAGE`` unless it has what a reader takes for granted."""
    if not isinstance(payload["headers"], dict) or not isinstance(payload["properties"]["delivery_info"], dict):
        raise TypeError("headers and delivery_info must be objects")
    if not isinstance(payload["properties"]["delivery_tag"], str):
        raise TypeError("delivery_tag must be text")


def _write_whole(file: Path, text: str) -> None:
    draft = file.with_name(f".{uuid.uuid4()}{_DRAFT}")
    try:
        draft.write_text(text)
        os.replace(draft, file)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
