"""How fast REST is asked: GitHub takes 900 requests in any minute, whoever has how many left in the hour."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

MINUTE_S = 60.0


class Pace:
    """Lets at most so many requests through in any minute; the first ones at once. Thread-safe."""

    def __init__(
        self,
        per_minute: int,
        now: Callable[[], float] | None = None,
        pause: Callable[[float], None] | None = None,
    ) -> None:
        """`per_minute`: 0 lets everything through; `now` and `pause`: another clock than the machine's, in seconds."""
        self._most, self._now, self._pause = per_minute, now or time.monotonic, pause or time.sleep
        self._passed: deque[float] = deque()
        """When the last ones passed, or will."""
        self._lock = threading.Lock()

    def take(self, tell: Callable[[str], None]) -> None:
        """Wait until one more request may be sent; says so if that takes a while."""
        if not self._most:
            return
        with self._lock:
            now = self._now()
            at = now if len(self._passed) < self._most else max(now, self._passed.popleft() + MINUTE_S)
            self._passed.append(at)
        if at > now:
            tell(f"waiting: GitHub takes {self._most} requests a minute")
            self._pause(at - now)
