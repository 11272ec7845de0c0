"""Google's quotas: requests are spread when there are more of them than a minute allows."""

from __future__ import annotations

from compliancectl.collectors.gcp.pace import Bucket


class Clock:
    """A clock that only pauses move."""

    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> float:
        return self.at

    def pause(self, seconds: float) -> None:
        self.at += seconds


def test_a_minutes_worth_goes_at_once_and_the_rest_at_the_rate() -> None:
    clock = Clock()
    bucket = Bucket(60, clock.now, clock.pause)
    assert [bucket.take() for _ in range(60)] == [0.0] * 60
    assert [round(bucket.take(), 6) for _ in range(5)] == [1.0] * 5
    assert round(clock.at, 6) == 5


def test_a_pause_fills_the_bucket_again_and_not_beyond_its_size() -> None:
    clock = Clock()
    bucket = Bucket(60, clock.now, clock.pause)
    for _ in range(60):
        bucket.take()
    clock.pause(600)
    assert [bucket.take() for _ in range(60)] == [0.0] * 60
    assert bucket.take() > 0
