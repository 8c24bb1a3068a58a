"""Our ids of the orders that hang on another, worked out from its own, and back again.

A venue may keep one id for two orders, or none of ours for an exit, which is then found through its order. Our ids are
the hex digits of a UUID of version 4 (RFC 9562, section 5.4); in that of a leg a letter takes the place of the version.
"""

import hashlib
import re
from collections.abc import Iterator
from itertools import islice

_VERSION = 12
_LEGS = "abcdef"
_HEX = re.compile("[0-9a-f]{32}")


def following(client_order_id: str) -> str:
    """Of the first leg of an order, of the leg after a leg. 32 lower-case hex digits, as every id of ours."""
    found = _HEX.fullmatch(client_order_id)
    after = found and (_LEGS + _LEGS[0])[_LEGS.find(client_order_id[_VERSION]) + 1]
    if not after:
        return hashlib.sha256(f"after {client_order_id}".encode()).hexdigest()[:32]
    return client_order_id[:_VERSION] + after + client_order_id[_VERSION + 1 :]


def all_following(client_order_id: str) -> Iterator[str]:
    """For the first leg, the second, and so on; at most six are told apart."""
    while True:
        client_order_id = following(client_order_id)
        yield client_order_id


def of_exit(client_order_id: str, place: int) -> str:
    """Of the leg at ``place``, from 0."""
    return next(islice(all_following(client_order_id), place, None))


def parent(client_order_id: str) -> tuple[str, int] | None:
    """The order that a leg belongs to, and its place there from 0; None for an id of no leg."""
    if not _HEX.fullmatch(client_order_id) or client_order_id[_VERSION] not in _LEGS:
        return None
    whole = client_order_id[:_VERSION] + "4" + client_order_id[_VERSION + 1 :]
    return whole, _LEGS.index(client_order_id[_VERSION])


def following(client_order_id: str) -> str:
    """Of the exit after this one; of the first one, where it is an order's own; "" where it is no id of ours."""
    if is_ours(client_order_id):
        return of_exit(client_order_id, 0)
    exit_of = parent(client_order_id)
    return "" if exit_of is None else of_exit(exit_of[0], exit_of[1] + 1)


def is_ours(client_order_id: str) -> bool:
    """Whether an order can have this id here, so that its legs lead back to it."""
    return _HEX.fullmatch(client_order_id) is not None and client_order_id[_VERSION] == "4"
