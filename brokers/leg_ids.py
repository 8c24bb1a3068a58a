"""Our ids of the orders that hang on another, worked out from its own, and back again.

A venue may keep one id for two orders, or none of ours for an exit, which is then found through its order. Our ids are
the hex digits of a UUID of version 4 (RFC 9562, section 5.4); in that of an exit a letter stands where the 4 does.
"""

import re

_VERSION = 12
_EXITS = "abcdef"
_HEX = re.compile("[0-9a-f]{32}")


def of_exit(client_order_id: str, place: int) -> str:
    """Of the exit at ``place``, from 0 to 5, of an order. Raises ValueError where that is no id of ours."""
    if not is_ours(client_order_id):
        raise ValueError("Only an id of ours can name an exit.")
    return client_order_id[:_VERSION] + _EXITS[place] + client_order_id[_VERSION + 1 :]


def following(client_order_id: str) -> str:
    """Of the first exit of an order, of the exit after an exit; "" where there is none."""
    if is_ours(client_order_id):
        return of_exit(client_order_id, 0)
    whole, place = parent(client_order_id) or ("", len(_EXITS))
    return of_exit(whole, place + 1) if place + 1 < len(_EXITS) else ""


def parent(client_order_id: str) -> tuple[str, int] | None:
    """The order that an exit belongs to, and its place there from 0; None for an id of no exit."""
    if not _HEX.fullmatch(client_order_id) or client_order_id[_VERSION] not in _EXITS:
        return None
    whole = client_order_id[:_VERSION] + "4" + client_order_id[_VERSION + 1 :]
    return whole, _EXITS.index(client_order_id[_VERSION])


def is_ours(client_order_id: str) -> bool:
    """Whether an order can have this id here, so that its exits lead back to it."""
    return _HEX.fullmatch(client_order_id) is not None and client_order_id[_VERSION] == "4"
