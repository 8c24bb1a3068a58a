"""How a row and a seal are written down before they are hashed.

A row is a JSON object of its fields without its id: keys sorted, no blanks, UTF-8, and times in UTC to the microsecond.
As rows hold no fractions and no number beyond 2**53, that is the canonical form of RFC 8785, but for keys beyond the
Basic Multilingual Plane, which are sorted by code point. Before it stand what it is and how long it is, so that no two
inputs are written alike.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from console.audit.models import Call, Change, Record, Seal

FORM = 2
"""The newest. A field that is added to a row makes another form: seals from before are checked with their own."""
_CALLS = (
    *("request_id", "at", "user_id", "user_label", "source", "credential_id", "scopes", "app_id", "app_label"),
    *("connection_id", "connection_label", "environment", "tool", "arguments", "outcome", "code", "message"),
    *("order_id", "duration_us", "ip", "user_agent", "confirmed_after_ms"),
)
_CHANGES = (
    *("at", "category", "user_id", "user_label", "owner_id", "action", "target", "target_id", "target_label"),
    *("connection_id", "before", "after", "detail", "times", "proof", "ip", "user_agent", "request_id"),
    *("app_id", "app_label", "credential_id"),
)
_CONTEXT = ("trace_id", "session_id", "client_name", "client_version", "upstream_request_id")
FIELDS: dict[int, dict[str, tuple[str, ...]]] = {
    1: {Record.CALLS: _CALLS, Record.CHANGES: _CHANGES},
    2: {Record.CALLS: (*_CALLS, *_CONTEXT), Record.CHANGES: _CHANGES},
}
TABLES: dict[str, type[Call] | type[Change]] = {Record.CALLS: Call, Record.CHANGES: Change}
LEAF_BYTES = 32
_SORTED = orjson.OPT_SORT_KEYS


def leaf(record: str, form: int, values: Sequence[Any]) -> bytes:
    """SHA-256 of one row. ``values`` in the order of its form's fields. Raises TypeError for what no row holds."""
    row = dict(zip(FIELDS[form][record], values, strict=True))
    row["at"] = moment(row["at"])
    return _hash(f"row {record} {form}", orjson.dumps(row, option=_SORTED)).digest()


def root(leaves: Iterable[bytes]) -> str:
    return _hash("leaves", b"".join(leaves)).hexdigest()


def body(seal: Seal) -> bytes:
    """What is signed: all of the seal but its leaves, which the root stands for, and the signature itself."""
    return _framed("seal", orjson.dumps(as_object(seal), option=_SORTED))


def as_object(seal: Seal) -> dict[str, Any]:
    return {
        "number": seal.number,
        "kind": seal.kind,
        "record": seal.record,
        "form": seal.form,
        "first_id": seal.first_id,
        "last_id": seal.last_id,
        "rows": seal.rows,
        "gaps": seal.gaps,
        "root": seal.root,
        "detail": seal.detail,
        "through": moment(seal.through),
        "sealed_at": moment(seal.sealed_at),
        "previous": seal.previous,
        "public_key": seal.public_key,
    }


def copied(line: Mapping[str, Any]) -> bytes:
    """``body`` of a seal that was copied out as ``as_object``, with its digest and signature beside it."""
    told = {key: value for key, value in line.items() if key not in ("digest", "signature")}
    return _framed("seal", orjson.dumps(told, option=_SORTED))


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def moment(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _hash(what: str, content: bytes) -> "hashlib._Hash":
    return hashlib.sha256(_framed(what, content))


def _framed(what: str, content: bytes) -> bytes:
    return f"tradelatch {what} {len(content)}\n".encode() + content
