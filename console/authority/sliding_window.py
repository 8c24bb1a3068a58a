"""Moving windows counted in this process: the exact times of the calls of the last minute."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

_SECONDS = 60.0
_SWEEP_AT = 1024


class SlidingWindows:
    """Each key has a window of a minute. A call takes time that does not grow with the counts."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._calls: dict[str, deque[float]] = {}
        self._sweep_at = _SWEEP_AT

    def take(self, limits: Sequence[tuple[str, int]]) -> tuple[int, float] | None:
        """Count one call under every key, or under none where one of them has its ``most``.

        None when it was counted; else the place of the limit that refuses, and in how many seconds it will not.
        """
        with self._lock:
            now = self._clock()
            windows = [self._calls.get(key) for key, _ in limits]
            for place, (window, (_, most)) in enumerate(zip(windows, limits, strict=True)):
                if window is not None and len(window) >= most and now - window[-most] < _SECONDS:
                    return place, window[-most] + _SECONDS - now
            if len(self._calls) >= self._sweep_at:
                self._sweep(now)
            for (key, most), window in zip(limits, windows, strict=True):
                if window is None:
                    window = self._calls[key] = deque()
                window.append(now)
                if len(window) > most:
                    window.popleft()
            return None

    def clear(self) -> None:
        with self._lock:
            self._calls.clear()

    def _sweep(self, now: float) -> None:
        self._calls = {key: window for key, window in self._calls.items() if now - window[-1] < _SECONDS}
        self._sweep_at = max(_SWEEP_AT, 2 * len(self._calls))
