"""The cache of all processes, in Redis; while that is away, each process counts for itself.

What stops trading must need least: nobody could sign in to halt or revoke if the counter of failed sign-ins took the
page down with it.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

_SAID_EVERY_SECONDS = 60.0


class SharedCache(RedisCache):
    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._own = LocMemCache("shared-cache", {"OPTIONS": {"MAX_ENTRIES": 100_000}})
        self._said_at = -_SAID_EVERY_SECONDS

    def add(self, key: Any, value: Any, *args: Any, **kwargs: Any) -> bool:
        return bool(self._either(super().add, self._own.add, key, value, *args, **kwargs))

    def get(self, key: Any, *args: Any, **kwargs: Any) -> Any:
        return self._either(super().get, self._own.get, key, *args, **kwargs)

    def set(self, key: Any, value: Any, *args: Any, **kwargs: Any) -> None:
        self._either(super().set, self._own.set, key, value, *args, **kwargs)

    def touch(self, key: Any, *args: Any, **kwargs: Any) -> bool:
        return bool(self._either(super().touch, self._own.touch, key, *args, **kwargs))

    def delete(self, key: Any, *args: Any, **kwargs: Any) -> bool:
        return bool(self._either(super().delete, self._own.delete, key, *args, **kwargs))

    def has_key(self, key: Any, *args: Any, **kwargs: Any) -> bool:
        return bool(self._either(super().has_key, self._own.has_key, key, *args, **kwargs))

    def incr(self, key: Any, *args: Any, **kwargs: Any) -> int:
        """Raises ValueError for a key that is not there, as every cache of Django."""
        return int(self._either(super().incr, self._own.incr, key, *args, **kwargs))

    def get_many(self, keys: Iterable[Any], *args: Any, **kwargs: Any) -> dict[Any, Any]:
        found: dict[Any, Any] = self._either(super().get_many, self._own.get_many, list(keys), *args, **kwargs)
        return found

    def set_many(self, data: Mapping[Any, Any], *args: Any, **kwargs: Any) -> list[Any]:
        failed: list[Any] = self._either(super().set_many, self._own.set_many, data, *args, **kwargs)
        return failed

    def delete_many(self, keys: Iterable[Any], *args: Any, **kwargs: Any) -> None:
        self._either(super().delete_many, self._own.delete_many, list(keys), *args, **kwargs)

    def _either(self, shared: Callable[..., Any], own: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return shared(*args, **kwargs)
        except (RedisError, OSError) as error:
            if time.monotonic() - self._said_at >= _SAID_EVERY_SECONDS:
                self._said_at = time.monotonic()
                log.warning("Redis is away (%s); this process counts for itself", type(error).__name__)
            return own(*args, **kwargs)
