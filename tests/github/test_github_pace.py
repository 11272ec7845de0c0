"""GitHub is sent no more requests in any minute than it takes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from compliancectl.collectors.github import pace
from compliancectl.collectors.github.pace import MINUTE_S, Pace


class Clock:
    """Time that passes only while somebody waits."""

    def __init__(self) -> None:
        self.at = 0.0
        self.said: list[str] = []

    def now(self) -> float:
        return self.at

    def pause(self, seconds: float) -> None:
        self.at += seconds


@pytest.mark.parametrize("between", [0.0, 0.5, 7.0])
def test_no_minute_holds_more_than_it_may(between):
    clock, sent = Clock(), []
    limited = Pace(10, clock.now, clock.pause)
    for _ in range(45):
        limited.take(clock.said.append)
        sent.append(clock.at)
        clock.pause(between)
    for start in sent:
        assert sum(start <= at < start + MINUTE_S for at in sent) <= 10
    assert sent[9] == 9 * between, "the first ten need not wait"
    assert sent[-1] <= max(4 * MINUTE_S + 5 * between, 44 * between), "nobody waits longer than needed"
    assert bool(clock.said) == (between < MINUTE_S / 10)


def test_without_a_limit_nobody_waits():
    clock = Clock()
    unlimited = Pace(0, clock.now, clock.pause)
    for _ in range(5000):
        unlimited.take(clock.said.append)
    assert (clock.at, clock.said) == (0.0, [])


def test_a_collection_that_reached_the_limit_waits_and_says_so(hub, monkeypatch):
    """Through the public door: the scope file sets the limit, and the clock is one that passes at once."""
    clock = Clock()
    monkeypatch.setattr(pace, "time", SimpleNamespace(monotonic=clock.now, sleep=clock.pause))
    run = hub.collect("organization", "installation", requests_per_minute=1)
    assert {item.status for item in run.items.values()} == {"collected"}
    assert clock.at == MINUTE_S
