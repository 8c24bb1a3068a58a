"""Our ids of an order and of its exits: the id of an exit also tells which order it belongs to.

It is for brokers that give an exit no id of ours: its order is found first, and what that placed after it. Our ids
are the hex digits of a UUID of version 4 (RFC 9562, section 5.4); in that of an exit a letter takes the place of the
version.
"""

import re

_VERSION = 12
_EXITS = "abcdef"
_OURS = re.compile("[0-9a-f]{12}4[0-9a-f]{19}")
_OF_EXIT = re.compile(f"[0-9a-f]{{12}}[{_EXITS}][0-9a-f]{{19}}")


def of_exit(client_order_id: str, place: int) -> str:
    """Of the exit at ``place`` (from 0) of an order. Raises ValueError where that is no id of ours."""
    if not is_ours(client_order_id):
        raise ValueError("Only an id of ours can name an exit.")
    return client_order_id[:_VERSION] + _EXITS[place] + client_order_id[_VERSION + 1 :]


def parent(client_order_id: str) -> tuple[str, int] | None:
    """The order that an exit belongs to, and its place there; None for an id of no exit."""
    if not _OF_EXIT.fullmatch(client_order_id):
        return None
    whole = client_order_id[:_VERSION] + "4" + client_order_id[_VERSION + 1 :]
    return whole, _EXITS.index(client_order_id[_VERSION])


def following(client_order_id: str) -> str:
    """Of the exit after this one; of the first one, where it is an order's own; "" where it is no id of ours."""
    if is_ours(client_order_id):
        return of_exit(client_order_id, 0)
    exit_of = parent(client_order_id)
    return "" if exit_of is None else of_exit(exit_of[0], exit_of[1] + 1)


def is_ours(client_order_id: str) -> bool:
    """Whether it is an id that an order can have here, and its exits with it."""
    return _OURS.fullmatch(client_order_id) is not None
