"""What moved the branches of a repository, by GitHub's clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from compliancectl import clock
from compliancectl.sandbox.github.ids import node_id, sha
from compliancectl.sandbox.github.state import State
from compliancectl.sandbox.github.views import Views

_PERIODS = {"day": 1, "week": 7, "month": 30, "quarter": 91, "year": 365}
_ZERO = "0" * 40


def activities(state: State, views: Views, repository: str, asked: Mapping[str, str]) -> list[dict[str, Any]]:
    """The activities of a repository, the youngest first, as asked by ref, period, kind and actor."""
    found = list(_all(state, views, repository))
    if "time_period" in asked:
        since = state.now - timedelta(days=_PERIODS[asked["time_period"]])
        found = [it for it in found if clock.parse(it["timestamp"]) >= since]
    found = [
        it
        for it in found
        if asked.get("ref", it["ref"]) in (it["ref"], it["ref"].removeprefix("refs/heads/"))
        and asked.get("activity_type", it["activity_type"]) == it["activity_type"]
        and asked.get("actor", it["actor"] and it["actor"]["login"]) == (it["actor"] and it["actor"]["login"])
    ]
    return sorted(found, key=lambda it: (it["timestamp"], it["id"]), reverse=asked.get("direction", "desc") == "desc")


def _all(state: State, views: Views, repository: str) -> Iterator[dict[str, Any]]:
    """Merges, direct pushes, and what the definition adds (`activity`: kind, at, by, and perhaps `after` a pull request)."""

    def entry(kind: str, at: str, by: str | None, after: str, branch: str) -> dict[str, Any]:
        number = int(sha(repository, "activity", kind, at, after)[:12], 16)
        return {
            "id": number,
            "node_id": node_id("ACT", number),
            "before": sha(repository, "before", number),
            "after": after,
            "ref": f"refs/heads/{branch}",
            "timestamp": at,
            "activity_type": kind,
            "actor": views.user(by),
        }

    changes, it = state.changes[repository], state.repositories[repository]
    for pull in changes.pulls:
        if pull.merged is not None and pull.merge is not None:
            yield entry("pr_merge", clock.text(pull.merged), pull.merged_by, pull.merge, pull.base)
    for push in it.get("direct_pushes", ()):
        yield entry("push", push["at"], push["author"], sha(repository, "push", push["at"]), push.get("branch", "main"))
    for other in it.get("activity", ()):
        known = changes.pull(other["after"]) if "after" in other else None
        after = known.merge if known and known.merge else _ZERO
        yield entry(other["kind"], other["at"], other["by"], after, other.get("branch", "main"))
