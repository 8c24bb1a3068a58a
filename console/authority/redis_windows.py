"""The storage of the ``limits`` library in Redis, by the clock of Redis alone.

The library's own goes by the clock of whoever calls: processes whose clocks differ would not see each other's calls,
and after a clock was set back every call of before would count until Redis forgets it, which may be hours.
"""

import time

from limits.storage import RedisStorage

_NOW = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local newest = redis.call('LINDEX', KEYS[1], 0)
if newest and tonumber(newest) > now then
    redis.call('DEL', KEYS[1])  -- the clock of Redis was set back
end
"""
_TAKE = f"""{_NOW}
local most, seconds = tonumber(ARGV[1]), tonumber(ARGV[2])
local first = redis.call('LINDEX', KEYS[1], most - 1)
if most < 1 or first and tonumber(first) >= now - seconds then
    return 0
end
redis.call('LPUSH', KEYS[1], string.format('%.6f', now))
redis.call('LTRIM', KEYS[1], 0, most - 1)
redis.call('EXPIRE', KEYS[1], seconds)
return 1
"""
_LOOK = f"""{_NOW}
local oldest = now - tonumber(ARGV[2])
local low, high = 0, math.min(tonumber(ARGV[1]), redis.call('LLEN', KEYS[1])) - 1
while low <= high do
    local middle = math.floor((low + high) / 2)
    if tonumber(redis.call('LINDEX', KEYS[1], middle)) >= oldest then low = middle + 1 else high = middle - 1 end
end
if low == 0 then
    return {{0, '0'}}
end
return {{low, string.format('%.6f', now - redis.call('LINDEX', KEYS[1], low - 1))}}
"""


class RedisWindows(RedisStorage):
    """Raises what the client raises when Redis cannot be reached."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        register = self.get_connection().register_script
        self._take, self._look = register(_TAKE.encode()), register(_LOOK.encode())

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """One at a time, whatever ``amount`` says."""
        return bool(self._take([self.prefixed_key(key)], [limit, expiry]))

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """When the window began, by the clock of this process, and how many were taken in it."""
        count, age = self._look([self.prefixed_key(key)], [limit, expiry])
        return time.time() - float(age), int(count)
