"""Everything that moved a production branch, by the clock of GitHub.

The dates in a commit are whatever its author set, so a listing of commits by date misses one that was backdated. GitHub's
own list of activity says when a branch was moved, by whom, from where and to where, force pushes included.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from datetime import datetime, timedelta
from typing import Any

from compliancectl import clock
from compliancectl.collectors.base import Feed, Fetched, Reply, Row, Target
from compliancectl.collectors.github import change_tables
from compliancectl.collectors.github.client import PAGE_SIZE
from compliancectl.collectors.github.common import audit_phrase, production_branches, production_targets, repository_of
from compliancectl.collectors.github.session import GitHubSession, Tally, at, check_page, data_of, facts_of, time_of
from compliancectl.model.evidence import Window

LONGEST = timedelta(days=365)
"""GitHub answers for the last year at most."""
LATE = timedelta(days=7)
"""How long after the end of a year its last run may come: what has gone by then, the runs before it have seen."""


def _fetch(session: GitHubSession, target: Target) -> Fetched:
    start, repository = _start(session), repository_of(target)
    tally = Tally(
        "all pages, newest first, until GitHub names no next one or one holds something from before the period"
    )
    tally.filters += [f"timestamp since {clock.text(start)}", "time_period = year"]
    if start > session.context.period.start:
        tally.filters.append(
            "of the period, what GitHub still keeps; what came before is in the windows of earlier runs"
        )
    if session.context.as_of - start > LONGEST:
        tally.warn("the period begins more than a year ago, and GitHub keeps what moved a branch for no longer")
    branches = yield from production_branches(session, repository, tally)
    for branch in branches:
        yield from _of_branch(session, repository, branch, tally)
    return tally.result()


def _of_branch(session: GitHubSession, repository: str, branch: str, tally: Tally) -> Generator[Reply, None, None]:
    start, path = _start(session), f"/repos/{session.organization}/{repository}/activity"
    facts = {"repository": repository, "branch": branch, "since": clock.text(start)}
    parameters: dict[str, Any] = {
        "ref": f"refs/heads/{branch}",
        "time_period": "year",
        "direction": "desc",
        "per_page": PAGE_SIZE,
    }
    got = session.get(path, tally, want=list, facts=facts, **parameters)
    seen: set[str] = set()
    while True:
        yield got.reply
        within = [entry for entry in got.data if _since(entry, start)]
        tally.items += len(within)
        if got.link is None or len(within) < len(got.data):
            return
        check_page(got.link, seen, session.config.page_limit, f"GET {path}")
        session.context.progress(f"{repository}: what moved {branch}, page {len(seen) + 1}")
        got = session.get(got.link, tally, want=list, facts=facts)


def _since(entry: Any, start: datetime) -> bool:
    """True also when GitHub does not say when: the row then breaks its contract, and is seen."""
    moment = time_of(at(entry, "timestamp"))
    return not isinstance(moment, datetime) or moment >= start


def _shape(reply: Reply) -> Iterator[Row]:
    facts, organization = facts_of(reply), reply.context["organization"]
    if "since" not in facts:
        return
    owner, start = f"{organization}/{facts['repository']}", clock.parse(facts["since"])
    for entry in data_of(reply):
        if _since(entry, start):
            yield (
                "github.push",
                {
                    "organization": organization,
                    "resource": f"{owner}/{facts['branch']}/activity/{at(entry, 'id')}",
                    "repository": facts["repository"],
                    "branch": facts["branch"],
                    "kind": at(entry, "activity_type"),
                    "at": time_of(at(entry, "timestamp")),
                    "actor": at(entry, "actor", "login"),
                    "before_sha": at(entry, "before"),
                    "after_sha": at(entry, "after"),
                },
            )


def _start(session: GitHubSession) -> datetime:
    """Where the window begins: with the period, or for the last run of a year, with what GitHub keeps.

    A period that began longer ago keeps its start: this run cannot answer for it, and says so.
    """
    start, kept = session.context.period.start, session.context.as_of - LONGEST
    return kept if start < kept <= start + LATE else start


def _window(session: GitHubSession) -> Window | None:
    return Window(start=_start(session), end=session.context.as_of)


FEEDS: tuple[Feed[GitHubSession], ...] = (
    Feed(
        "pushes",
        "What moved each production branch since the start of the period, by GitHub's clock.",
        (change_tables.PUSH,),
        production_targets,
        _fetch,
        _shape,
        window=_window,
        corroborate=audit_phrase,
    ),
)
