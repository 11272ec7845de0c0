"""How far a long listing is, and how long the rest will take if it goes on as it did. Pure: times come with the answers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

from compliancectl.collectors.base import Reply


@dataclass
class Estimate:
    """One listing while it is read."""

    what: str
    """`app: pull requests`."""
    began: datetime | None = None
    """When the first answer was asked for that is not used again from an earlier run."""
    before: int = 0
    """How many entries were there by then."""

    def told(self, reply: Reply, done: int, total: int) -> str:
        """What to tell after an answer: so many of all, the share, and the time that remains.

        Args:
            reply: the answer that came last.
            done: how many entries came so far, those of this answer included.
            total: how many there are in all, as far as GitHub says; less than `done` if it says too little.
        """
        if not total:
            return self.what
        share = f"{self.what}, {done:,} of {total:,} ({min(100, 100 * done // total)} %)"
        left = self._left(reply, done, total)
        return f"{share}, {left}" if left else share

    def _left(self, reply: Reply, done: int, total: int) -> str | None:
        if "reused" in reply.context:
            self.before = done
            return None
        self.began = self.began or reply.requested_at
        spent = (reply.completed_at - self.began).total_seconds()
        if done >= total or done <= self.before:
            return None
        return _in_words(spent / (done - self.before) * (total - done))


def _in_words(seconds: float) -> str:
    if seconds < 60:
        return "less than a minute left"
    minutes = math.ceil(seconds / 60)
    return f"about {minutes} min left" if minutes < 100 else f"about {math.ceil(minutes / 60)} h left"
