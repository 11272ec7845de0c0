"""Expands the pull requests of the definition: reviews, commits, ids and times that nobody wants to write down.

A merged pull request was opened 26 hours before, its head is a commit of its own, and it was merged as one commit. A
review without more is an approval of the head, one hour before the merge. Titles, bodies and messages carry marks that
must never reach any output.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from compliancectl import clock
from compliancectl.sandbox.github.ids import sha

if TYPE_CHECKING:
    from compliancectl.sandbox.github.state import State


@dataclass(frozen=True)
class Review:
    """One review."""

    number: int
    author: str
    state: str
    submitted: datetime | None
    commit: str
    body: str


@dataclass(frozen=True)
class Check:
    """One check run, or a status if `context` is set."""

    name: str
    conclusion: str
    completed: datetime
    context: bool


@dataclass(frozen=True)
class Pull:
    """One pull request."""

    number: int
    author: str
    state: str
    created: datetime
    updated: datetime
    merged: datetime | None
    closed: datetime | None
    merged_by: str | None
    head: str
    merge: str | None
    base: str
    fork: bool
    title: str
    body: str
    reviews: tuple[Review, ...]
    checks: tuple[Check, ...]
    """Of the head."""
    merge_checks: tuple[Check, ...]
    """Of the commit that a merge queue made, and tested."""
    labels: tuple[str, ...]
    rebased: int
    """How many commits a merge by rebase put below the last one."""


@dataclass(frozen=True)
class Commit:
    """One commit on a branch."""

    sha: str
    at: datetime
    author: str
    message: str
    pull: int | None
    branch: str
    signed: bool = True


@dataclass(frozen=True)
class Changes:
    """What happened in one repository."""

    pulls: tuple[Pull, ...]
    """The one that was changed last comes first."""
    commits: tuple[Commit, ...]
    """The youngest comes first."""

    def pull(self, number: int) -> Pull | None:
        """The pull request of that number."""
        return self._by_number.get(number)

    def commit(self, oid: str | None) -> Commit | None:
        """The commit of that id."""
        return self._by_id.get(oid) if oid else None

    @cached_property
    def _by_number(self) -> dict[int, Pull]:
        return {pull.number: pull for pull in self.pulls}

    @cached_property
    def _by_id(self) -> dict[str | None, Commit]:
        return {commit.sha: commit for commit in self.commits}

    @cached_property
    def by_creation(self) -> tuple[Pull, ...]:
        """The one that was opened last comes first."""
        return tuple(sorted(self.pulls, key=lambda p: (p.created, p.number), reverse=True))


def expand(state: State, name: str, repository: dict[str, Any]) -> Changes:
    """All changes of one repository."""
    unsigned = repository.get("unsigned", ())
    pulls = [_pull(state, name, it) for it in repository["pull_requests"]]
    commits = [
        Commit(
            p.merge,
            p.merged,
            p.author,
            f"{p.title} (#{p.number})\n\n{p.body}",
            p.number,
            p.base,
            p.number not in unsigned,
        )
        for p in pulls
        if p.merged is not None and p.merge is not None
    ]
    commits += [_rebased(name, p, place) for p in pulls if p.merged for place in range(p.rebased)]
    commits += [_push(name, it) for it in repository.get("direct_pushes", [])]
    return Changes(
        tuple(sorted(pulls, key=lambda p: (p.updated, p.number), reverse=True)),
        tuple(sorted(commits, key=lambda c: (c.at, c.sha), reverse=True)),
    )


def _pull(state: State, name: str, it: dict[str, Any]) -> Pull:
    number = it["number"]
    merged = clock.parse(it["merged"]) if "merged" in it else None
    closed = clock.parse(it["closed"]) if "closed" in it else merged
    end = closed or state.now
    created = clock.parse(it["opened"]) if "opened" in it else end - timedelta(hours=26)
    reviews = tuple(_review(name, number, place, entry, end) for place, entry in enumerate(it.get("reviews", [])))
    latest = [created, *(r.submitted for r in reviews if r.submitted), *([closed] if closed else [])]
    approvers = [r.author for r in reviews if r.state == "APPROVED"]
    human = it["author"] if it["author"] in state.people else next(iter(approvers), "bruno-keller")
    return Pull(
        number=number,
        author=it["author"],
        state="MERGED" if merged else "CLOSED" if closed else "OPEN",
        created=created,
        updated=clock.parse(it["updated"]) if "updated" in it else max(latest),
        merged=merged,
        closed=closed,
        merged_by=(it.get("merged_by") or human) if merged else None,
        head=sha(name, number, "head"),
        merge=(it.get("merge_sha") or sha(name, number, "merge")) if merged else None,
        base=it.get("base", "main"),
        fork=it.get("fork", False),
        title=f"Change {number} for seeded-person-chen",
        body=f"As seeded-person-amara asked. Tested with the key SEEDED-SECRET-body-{number}. {it.get('body', '')}",
        reviews=reviews,
        labels=tuple(it.get("labels", ())),
        rebased=it.get("commits", 1) - 1,
        checks=tuple(_checks(state, name, it, end)),
        merge_checks=tuple(_checks(state, name, it["queue"], end)) if "queue" in it else (),
    )


def _checks(state: State, name: str, it: dict[str, Any], end: datetime) -> Iterator[Check]:
    """Every suite of the repository passed two hours before the merge, unless `checks` says how one ended, and when."""
    suites = state.repositories[name].get("suites", state.data["suites"])
    for suite, said in {**dict.fromkeys(suites, "SUCCESS"), **it.get("checks", {})}.items():
        conclusion, _, hours = str(said).partition(" ")
        if conclusion != "ABSENT":
            yield Check(suite, conclusion, end - timedelta(hours=float(hours or 2)), suite in it.get("contexts", ()))


def _review(name: str, number: int, place: int, it: dict[str, Any], end: datetime) -> Review:
    state = it.get("state", "APPROVED")
    return Review(
        number=number * 1000 + place,
        author=it["by"],
        state=state,
        submitted=None if state == "PENDING" else end - timedelta(hours=it.get("hours", 1)),
        commit=sha(name, number, it.get("on", "head")),
        body="seeded-person-bruno looked at it; remove SEEDED-SECRET-review before the release",
    )


def _rebased(name: str, it: Pull, place: int) -> Commit:
    assert it.merged is not None
    return Commit(sha(name, it.number, "rebased", place), it.merged, it.author, it.title, it.number, it.base)


def _push(name: str, it: dict[str, Any]) -> Commit:
    return Commit(
        sha=sha(name, "push", it["at"]),
        at=clock.parse(it.get("committed", it["at"])),
        author=it["author"],
        message="Hotfix that seeded-person-bruno wanted\n\nSEEDED-SECRET-message",
        pull=None,
        branch=it.get("branch", "main"),
        signed=it.get("signed", True),
    )
