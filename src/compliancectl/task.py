"""What there is to collect: one task for each feed and target, and the order in which workers take them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from compliancectl import store
from compliancectl.collectors.base import Feed, Session, Target
from compliancectl.errors import CollectError
from compliancectl.plugins import Installed


@dataclass
class Task:
    """One feed and one target of one open session."""

    source: str
    installed: Installed
    session: Session | None
    feed: Feed[Any]
    target: Target
    problem: CollectError | None = None
    skipped: str | None = None

    @property
    def label(self) -> tuple[str, str]:
        return f"{self.source}.{self.feed.name}", self.target.name

    @property
    def id(self) -> str:
        """Of the evidence item that it gives."""
        return store.item_id(self.source, self.feed.name, self.target.name)


def tasks_of(source: str, installed: Installed, session: Session, feed: Feed[Any]) -> list[Task]:
    """The tasks of one feed; one that is skipped if the scope names no target for it."""
    targets = list(feed.targets(session))
    if not targets:
        none = Target("none", "none")
        return [Task(source, installed, session, feed, none, skipped="the scope names nothing to collect this from")]
    return [Task(source, installed, session, feed, target) for target in targets]


def in_turns(tasks: Iterable[Task]) -> list[Task]:
    """The first target of every feed, then the second of every feed, and so on.

    What is asked about everything at once takes longest and so begins at the beginning; and workers that wait for the same
    answer about many targets are few.
    """
    turns: Counter[str] = Counter()
    placed: list[tuple[int, Task]] = []
    for task in tasks:
        placed.append((turns[task.feed.name], task))
        turns[task.feed.name] += 1
    return [task for _, task in sorted(placed, key=itemgetter(0))]
