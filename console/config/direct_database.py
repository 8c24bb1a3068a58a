"""A connection of its own to the database of the settings, beside those that Django keeps and pools."""

import contextlib
from collections.abc import Iterator

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper


@contextlib.contextmanager
def direct_connection() -> Iterator[BaseDatabaseWrapper]:
    """Closed at the end of the block, and with it every lock that its session holds. Raises django.db.Error."""
    own = connection.copy()
    options = {name: value for name, value in own.settings_dict["OPTIONS"].items() if name != "pool"}
    if own.vendor == "postgresql":
        options.setdefault("connect_timeout", 5)
    own.settings_dict = own.settings_dict | {"OPTIONS": options}
    try:
        yield own
    finally:
        own.close()
