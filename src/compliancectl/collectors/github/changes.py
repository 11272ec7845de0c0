"""Changes to production branches: merged pull requests, their reviews, and every commit that reached the branch.

Two populations by two routes: what was merged, and what is on the branch. A commit that no merged pull request
brought is a direct push. A pull request that a commit names but the list lacks means that the list is short.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from datetime import datetime
from typing import Any

from compliancectl import clock
from compliancectl.collectors.base import Feed, Fetched, Reply, Row, Target
from compliancectl.collectors.github import change_tables
from compliancectl.collectors.github.branches import Branch
from compliancectl.collectors.github.common import (
    audit_phrase,
    gone,
    is_bot,
    login_of,
    neighbours,
    production_branches,
    production_targets,
    repository_of,
)
from compliancectl.collectors.github.documents import (
    COMMITS,
    MERGED_COUNT,
    MORE_CHECKS,
    MORE_MERGE_CHECKS,
    MORE_REVIEWS,
    PULL_REQUESTS,
)
from compliancectl.collectors.github.estimate import Estimate
from compliancectl.collectors.github.session import GitHubSession, Got, Tally, at, data_of, facts_of, time_of
from compliancectl.errors import Garbage
from compliancectl.model.evidence import Window

_METHOD = (
    "pull requests by last update until before the period; reviews and commits to hasNextPage = false, against totalCount; "
    "every pull request that a commit names is in the list; merged pull requests counted again by search"
)

_RUNNING = (None, "PENDING", "EXPECTED")
"""Conclusions and states of what has not ended."""
_PARTS = (
    ("reviews", MORE_REVIEWS, ("reviews",)),
    ("checks", MORE_CHECKS, ("statusCheckRollup", "contexts")),
    ("checks of the merge", MORE_MERGE_CHECKS, ("mergeCommit", "statusCheckRollup", "contexts")),
)
"""What belongs to a pull request, the document that asks for more of it, and where it is."""


def _fetch(session: GitHubSession, target: Target) -> Fetched:
    tally = Tally(_METHOD, reported=0)
    period, as_of = session.context.period, session.context.as_of
    tally.filters.append(f"pull requests: mergedAt in [{clock.text(period.start)}, {clock.text(as_of)}]")
    until = f" until {clock.text(period.end)}" if period.end < as_of else ""
    tally.filters.append(f"commits: committer date since {clock.text(period.start)}{until}")
    repository = repository_of(target)
    branches = yield from production_branches(session, repository, tally)
    for name in branches:
        part = Tally("", reported=0)
        yield from _of_branch(Branch(session, part, repository, name))
        tally.add(part)
        tally.items += part.items
        tally.expect(part.reported or 0)
    return tally.result()


def _of_branch(branch: Branch) -> Generator[Reply, None, None]:
    yield from branch.begin()
    try:
        counted = _count(branch)  # kept with the rest: alone it would make a hidden repository look half collected
        merged = counted.data["search"]["issueCount"]
        yield from _pull_requests(branch, merged)
        yield from _commits(branch)
        branch.end()
    finally:
        branch.close()
    yield counted.reply
    if merged > len(branch.numbers):  # the search index may lag behind, so only a larger count is a contradiction
        branch.tally.warn(
            f"{branch.repository}: search counts {merged} merged pull requests, the list holds {len(branch.numbers)}"
        )


def _pull_requests(branch: Branch, merged: int) -> Generator[Reply, None, None]:
    cursor = branch.session.cursor(f"pull requests of {branch.repository}")
    estimate = Estimate(f"{branch.repository}: pull requests")
    while not cursor.done:
        got = branch.ask(PULL_REQUESTS, {"branch": branch.name, "after": cursor.after})
        repository = at(got.data, "repository")
        if repository is None:
            raise gone(branch.session, branch.repository, "repository")
        nodes = cursor.take(at(repository, "pullRequests"))
        yield got.reply
        for node in nodes:
            if _counts(node, branch.facts):
                branch.numbers.add(node["number"])
                branch.tally.items += 1
                branch.tally.expect(1)
                yield from _parts(branch, node)
        branch.session.context.progress(estimate.told(got.reply, len(branch.numbers), merged))
        if nodes and _older(nodes[-1], branch.session.context.period.start):
            return


def _parts(branch: Branch, node: Any) -> Generator[Reply, None, None]:
    """The reviews and checks that did not fit on the page of their pull request."""
    for what, document, path in _PARTS:
        first = at(node, *path)
        if first is None and what != "reviews":
            continue  # nothing was ever checked
        cursor = branch.session.cursor(f"{what} of {branch.repository}#{node['number']}")
        cursor.take(first)
        while not cursor.done:
            got = branch.more(document, node["number"], cursor.after)
            cursor.take(at(got.data, "repository", "pullRequest", *path))
            yield got.reply
        branch.tally.items += cursor.count
        branch.tally.expect(cursor.total)


def _commits(branch: Branch) -> Generator[Reply, None, None]:
    cursor = branch.session.cursor(f"commits of {branch.repository}")
    window = dict(zip(("since", "until"), branch.span, strict=True))
    estimate = Estimate(f"{branch.repository}: commits")
    while not cursor.done:
        got = branch.ask(COMMITS, {**window, "ref": f"refs/heads/{branch.name}", "after": cursor.after})
        history = at(got.data, "repository", "ref", "target", "history")
        if history is None:
            raise gone(branch.session, branch.repository, f"branch {branch.name}")
        for node in cursor.take(history):
            _reconcile(branch, node)
        yield got.reply
        branch.session.context.progress(estimate.told(got.reply, cursor.count, cursor.total))
    branch.tally.items += cursor.count
    branch.tally.expect(cursor.total)


def _reconcile(branch: Branch, node: Any) -> None:
    """Warn when a commit names a pull request that the list lacks, or names more than one page of them."""
    number = _merged_pull(node, branch.facts, branch.session.organization)
    pulls = at(node, "associatedPullRequests")
    if number is None and at(pulls, "pageInfo", "hasNextPage"):
        branch.tally.warn(
            f"{branch.repository}: commit {at(node, 'oid')} belongs to more pull requests than one page shows"
        )
    merged = [p for p in at(pulls, "nodes") or [] if at(p, "number") == number]
    if number is not None and merged and _counts(merged[0], branch.facts) and number not in branch.numbers:
        branch.tally.warn(
            f"{branch.repository}: commit {at(node, 'oid')} came by pull request {number}, which the list lacks"
        )


def _count(branch: Branch) -> Got:
    """How many pull requests were merged in the period, by search: what the list must hold, and how long it will be."""
    facts = branch.facts

    def query(repository: str) -> str:
        return (
            f"repo:{branch.session.organization}/{repository} is:pr is:merged base:{branch.name} "
            f"merged:{facts['from']}..{facts['to']}"
        )

    def others() -> list[str]:
        return neighbours(branch.session, branch.name)

    got = branch.session.ask(MERGED_COUNT, branch.repository, {}, branch.tally, others=others, subject=query)
    if not isinstance(at(got.data, "search", "issueCount"), int):
        raise Garbage("GitHub's search gave no issueCount")
    return got


def _shape(reply: Reply) -> Iterator[Row]:
    facts = facts_of(reply)
    repository = at(data_of(reply), "data", "repository")
    if not facts or repository is None:
        return
    base = {"organization": reply.context["organization"], "repository": facts["repository"]}
    for node in at(repository, "pullRequests", "nodes") or ():
        if _counts(node, facts):
            yield _pull_row(node, base, facts)
            yield from _review_rows(node, base, facts)
            yield from _check_rows(node, base)
    if at(repository, "pullRequest") is not None:
        yield from _review_rows(repository["pullRequest"], base, facts)
        yield from _check_rows(repository["pullRequest"], base)
    for node in at(repository, "ref", "target", "history", "nodes") or ():
        if not _before(node, facts):
            yield _commit_row(node, base, facts)


def _pull_row(node: Any, base: dict[str, Any], facts: Any) -> Row:
    return "github.pull_request", {
        **base,
        "resource": f"{base['organization']}/{base['repository']}#{at(node, 'number')}",
        "number": at(node, "number"),
        "author": login_of(at(node, "author")),
        "author_is_bot": is_bot(at(node, "author"), facts["bots"]),
        "created": time_of(at(node, "createdAt")),
        "merged": time_of(at(node, "mergedAt")),
        "merged_by": login_of(at(node, "mergedBy")),
        "head_sha": at(node, "headRefOid"),
        "merge_sha": at(node, "mergeCommit", "oid"),
        "base": at(node, "baseRefName"),
        "from_fork": at(node, "isCrossRepository"),
    }


def _review_rows(pull: Any, base: dict[str, Any], facts: Any) -> Iterator[Row]:
    for node in at(pull, "reviews", "nodes") or ():
        yield (
            "github.review",
            {
                **base,
                "resource": f"{base['organization']}/{base['repository']}#{at(pull, 'number')}/{at(node, 'id')}",
                "pull_request": at(pull, "number"),
                "author": login_of(at(node, "author")),
                "author_is_bot": is_bot(at(node, "author"), facts["bots"]),
                "state": at(node, "state"),
                "submitted": time_of(at(node, "submittedAt")),
                "commit": at(node, "commit", "oid"),
            },
        )


def _check_rows(pull: Any, base: dict[str, Any]) -> Iterator[Row]:
    """Check runs, and statuses that other systems set, alike."""
    for on_merge, commit in ((False, pull), (True, at(pull, "mergeCommit"))):
        for node in at(commit, "statusCheckRollup", "contexts", "nodes") or ():
            run = at(node, "__typename") == "CheckRun"
            said = at(node, "conclusion" if run else "state")
            ended = None if said in _RUNNING else at(node, "completedAt" if run else "createdAt")
            place = f"{base['organization']}/{base['repository']}#{at(pull, 'number')}"
            yield (
                "github.status_check",
                {
                    **base,
                    "resource": f"{place}/{'merge' if on_merge else 'head'}/{at(node, 'id')}",
                    "pull_request": at(pull, "number"),
                    "name": at(node, "name" if run else "context"),
                    "on_merge": on_merge,
                    "conclusion": None if said in _RUNNING else str(said).lower(),
                    "completed": time_of(ended),
                },
            )


def _commit_row(node: Any, base: dict[str, Any], facts: Any) -> Row:
    return "github.commit", {
        **base,
        "resource": f"{base['organization']}/{base['repository']}/{facts['branch']}@{at(node, 'oid')}",
        "sha": at(node, "oid"),
        "branch": facts["branch"],
        "committed": time_of(at(node, "committedDate")),
        "author": at(node, "author", "user", "login"),
        "pull_request": _merged_pull(node, facts, base["organization"]),
        "verified": at(node, "signature", "isValid") is True if "signature" in node else None,
        "parents": at(node, "parents", "totalCount"),
    }


def _merged_pull(commit: Any, facts: Any, organization: str) -> int | None:
    """The first pull request that was merged into this very branch with this commit; forks' own do not count."""
    here = f"{organization}/{facts['repository']}"
    merged = [
        (node["mergedAt"], node["number"])
        for node in at(commit, "associatedPullRequests", "nodes") or ()
        if at(node, "mergedAt")
        and at(node, "baseRefName") == facts["branch"]
        and at(node, "baseRepository", "nameWithOwner") == here
    ]
    return min(merged)[1] if merged else None


def _counts(node: Any, facts: Any) -> bool:
    """True if the pull request was merged between the start of the period and the run."""
    merged = time_of(at(node, "mergedAt"))
    return isinstance(merged, datetime) and clock.parse(facts["from"]) <= merged <= clock.parse(facts["to"])


def _before(node: Any, facts: Any) -> bool:
    """True if a commit is dated before the period; what was kept may have been asked for an earlier one."""
    committed = time_of(at(node, "committedDate"))
    return isinstance(committed, datetime) and committed < clock.parse(facts["from"])


def _older(node: Any, start: datetime) -> bool:
    """True if the last update was before the period: nothing that follows can have been merged in it."""
    updated = time_of(at(node, "updatedAt"))
    return isinstance(updated, datetime) and updated < start


def _window(session: GitHubSession) -> Window | None:
    # What is merged later in a period that is not over yet, nobody can have been told.
    return Window(start=session.context.period.start, end=session.context.as_of)


FEEDS: tuple[Feed[GitHubSession], ...] = (
    Feed(
        "changes",
        "Merged pull requests, their reviews and checks, and commits of production branches in the period.",
        (change_tables.PULL_REQUEST, change_tables.REVIEW, change_tables.CHECK, change_tables.COMMIT),
        production_targets,
        _fetch,
        _shape,
        window=_window,
        corroborate=audit_phrase,
    ),
)
