"""Copies of the seals, which are of use where whoever may write to the database may not reach.

A copy is one line of JSON: what is signed, the digest and the signature. It shows later that a seal, and with it what
it covers, is missing or another one.
"""

import contextlib
import fcntl
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings

from console.audit.models import Seal
from console.audit.seals import canonical

log = logging.getLogger(__name__)
_TAIL = 16384
"""Bytes: longer than any line."""


def line_of(seal: Seal) -> str:
    return json.dumps({**canonical.as_object(seal), "digest": seal.digest, "signature": seal.signature}, sort_keys=True)


def lines(*, since: int = 0) -> Iterator[str]:
    """Of the seals with a number above ``since``, oldest first."""
    for seal in Seal.objects.filter(number__gt=since).order_by("number").defer("leaves").iterator(chunk_size=500):
        yield line_of(seal)


def append_missing() -> int:
    """Put what is new at the end of the file of the settings. Returns how many lines; what goes wrong is logged."""
    if not settings.AUDIT_COPY_FILE:
        return 0
    file, written = Path(settings.AUDIT_COPY_FILE), 0
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "a") as handle:
            with contextlib.suppress(OSError):  # not every network's file system has locks
                fcntl.flock(handle, fcntl.LOCK_EX)  # two sweeps at once would cut each other's lines
            since, is_cut = _last_number(file)
            handle.write("\n" if is_cut else "")
            for line in lines(since=since):
                handle.write(f"{line}\n")
                written += 1
            handle.flush()
            os.fsync(handle.fileno())
    except (OSError, ValueError) as error:
        log.error("The seals cannot be copied to %s: %s", file, error)
    return written


def read(text: Iterator[str]) -> Iterator[dict[str, Any]]:
    """The seals of a copy. Raises ValueError for a line that is none.

    A line that was cut off while it was written is passed over: the seal it began to copy is the next line, or is
    still to be copied where it is the last one.
    """
    last, cut = 0, 0
    for number, line in enumerate(text, start=1):
        if not line.strip():
            continue
        try:
            told = json.loads(line)
            found = {**told, "number": int(told["number"]), "digest": str(told["digest"])}
        except (ValueError, TypeError, KeyError) as error:
            if not line.startswith("{"):
                raise ValueError(f"Line {number} is not a copy of a seal.") from error
            if line.endswith("\n"):  # else it is the last of the file
                cut = number
            continue
        if cut and found["number"] != last + 1:
            raise ValueError(f"Line {cut} is not a copy of a seal.")
        last, cut = found["number"], 0
        yield found
    if cut:
        raise ValueError(f"Line {cut} is not a copy of a seal.")


def _last_number(file: Path) -> tuple[int, bool]:
    """Of the last whole line; and whether another began after it and was cut off, by a full disk or a power cut."""
    if not file.exists():
        return 0, False
    with file.open("rb") as handle:
        handle.seek(max(0, handle.seek(0, os.SEEK_END) - _TAIL))
        *kept, rest = handle.read().split(b"\n")
    for line in reversed(kept):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return int(json.loads(line)["number"]), bool(rest)
    return 0, bool(rest)
