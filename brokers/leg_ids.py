"""Our ids of the orders that hang on another, worked out from its own: a venue may keep one id for two orders."""

import hashlib
from collections.abc import Iterator


def following(client_order_id: str) -> str:
    """32 lower-case hex digits, as every id of ours."""
    return hashlib.sha256(f"after {client_order_id}".encode()).hexdigest()[:32]


def all_following(client_order_id: str) -> Iterator[str]:
    """For the first leg, the second, and so on."""
    while True:
        client_order_id = following(client_order_id)
        yield client_order_id
