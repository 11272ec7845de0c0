"""How fast and how often Google is asked: one token bucket for each API, and a budget of requests for the whole run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from compliancectl.collectors.gcp.services import SERVICES
from compliancectl.errors import Truncated


class Spent(Truncated):
    """The budget of requests is used up; what was read so far is kept but not trusted."""


class Bucket:
    """Lets so many requests through in any minute's average, and as many at once at the start."""

    def __init__(
        self,
        per_minute: int,
        now: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = per_minute / 60
        self._most = float(per_minute)
        self._held = self._most
        self._now, self._pause = now, pause
        self._at = now()
        self._lock = threading.Lock()

    def take(self) -> float:
        """Wait for a token and take it; returns the seconds that were waited."""
        with self._lock:
            at = self._now()
            self._held = min(self._most, self._held + (at - self._at) * self._rate)
            self._at = at
            self._held -= 1
            wait = max(0.0, -self._held / self._rate)
        if wait:
            self._pause(wait)
        return wait


class Pace:
    """What every request passes before it is sent, its repetitions included. Thread-safe."""

    def __init__(self, max_calls: int | None = None, bucket: Callable[[int], Bucket] = Bucket) -> None:
        self.calls = 0
        self._max = max_calls
        self._lock = threading.Lock()
        self._buckets = {name: bucket(service.per_minute) for name, service in SERVICES.items()}

    def pass_through(self, service: str) -> None:
        """Count a request, and wait until the service's quota allows it.

        Raises:
            Spent: if the budget is used up.
        """
        with self._lock:
            if self._max is not None and self.calls >= self._max:
                raise Spent(
                    f"the budget of {self._max} requests to Google Cloud is spent",
                    hint="Raise --max-calls, or narrow the scope; `--resume` goes on from here.",
                )
            self.calls += 1
        self._buckets[service].take()
