"""Pull requests, reviews and commits as GraphQL shows them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from compliancectl import clock
from compliancectl.sandbox.github.changes import Check, Commit, Pull, Review
from compliancectl.sandbox.github.ids import node_id, sha
from compliancectl.sandbox.github.views import WEB

if TYPE_CHECKING:
    from graphql import GraphQLResolveInfo

    from compliancectl.sandbox.github.nodes import Nodes


class PullNodes:
    """Builds the objects about changes."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self.state = nodes.state

    def of_repository(self, name: str) -> dict[str, Any]:
        """The fields of a repository that lead to pull requests."""
        return {
            "pullRequests": lambda info, **asked: self._list(name, info, asked),
            "pullRequest": lambda info, number: self._find(name, number),
        }

    def _find(self, name: str, number: int) -> dict[str, Any]:
        from compliancectl.sandbox.github.nodes import NotFound

        found = self.state.changes[name].pull(number)
        if found is None:
            raise NotFound(f"Could not resolve to a PullRequest with the number of {number}.")
        return self.pull(name, found)

    def _list(self, name: str, info: GraphQLResolveInfo[Any], asked: dict[str, Any]) -> Any:
        from compliancectl.sandbox.github.nodes import connection

        states, base = asked.pop("states", None), asked.pop("baseRefName", None)
        asked.pop("headRefName", None)
        order = asked.pop("orderBy", None) or {"field": "CREATED_AT", "direction": "ASC"}
        changes = self.state.changes[name]
        ordered = changes.pulls if order["field"] == "UPDATED_AT" else changes.by_creation
        if order["direction"] == "ASC":
            ordered = ordered[::-1]
        chosen = [p for p in ordered if (not states or p.state in states) and (base is None or p.base == base)]
        return connection(chosen, lambda p: self.pull(name, p))(info, **asked)

    def pull(self, name: str, it: Pull) -> dict[str, Any]:
        """A pull request."""
        return {
            "__typename": "PullRequest",
            "_repository": name,
            "id": node_id("PR", name, it.number),
            "databaseId": int(sha(name, it.number)[:7], 16),
            "number": it.number,
            "title": it.title,
            "body": it.body,
            "state": it.state,
            "createdAt": clock.text(it.created),
            "updatedAt": clock.text(it.updated),
            "mergedAt": _text(it.merged),
            "closedAt": _text(it.closed),
            "merged": it.merged is not None,
            "isDraft": False,
            "isCrossRepository": it.fork,
            "baseRefName": it.base,
            "baseRefOid": sha(name, it.number, "base"),
            "headRefName": f"change-{it.number}",
            "headRefOid": it.head,
            "author": lambda info: self.nodes.actor(it.author),
            "mergedBy": lambda info: self.nodes.actor(it.merged_by),
            "mergeCommit": lambda info: self._merge_commit(name, it),
            "baseRepository": lambda info: self.nodes.repository(name),
            "repository": lambda info: self.nodes.repository(name),
            "url": f"{WEB}/{self.state.login}/{name}/pull/{it.number}",
            "reviews": lambda info, **asked: self._reviews(name, it, info, asked),
            "statusCheckRollup": rollup(it.head, it.checks),
            "labels": self._labels(it),
        }

    def _labels(self, it: Pull) -> Any:
        from compliancectl.sandbox.github.nodes import connection

        return connection([{"id": node_id("LA", label), "name": label} for label in it.labels])

    def _merge_commit(self, name: str, it: Pull) -> dict[str, Any] | None:
        found = self.state.changes[name].commit(it.merge)
        return self.commit(name, found) if found else None

    def _reviews(self, name: str, pull: Pull, info: GraphQLResolveInfo[Any], asked: dict[str, Any]) -> Any:
        from compliancectl.sandbox.github.nodes import connection

        states, author = asked.pop("states", None), asked.pop("author", None)
        chosen = [
            r for r in pull.reviews if (not states or r.state in states) and (author is None or r.author == author)
        ]
        return connection(chosen, lambda r: self._review(name, pull, r))(info, **asked)

    def _review(self, name: str, pull: Pull, it: Review) -> dict[str, Any]:
        moment = _text(it.submitted) or clock.text(pull.updated)
        reviewed = Commit(it.commit, pull.created, pull.author, pull.title, None, pull.base)
        return {
            "id": node_id("PRR", name, it.number),
            "databaseId": it.number,
            "state": it.state,
            "submittedAt": _text(it.submitted),
            "createdAt": moment,
            "updatedAt": moment,
            "body": it.body,
            "author": lambda info: self.nodes.actor(it.author),
            "commit": lambda info: self.commit(name, reviewed),
            "url": f"{WEB}/{self.state.login}/{name}/pull/{pull.number}#pullrequestreview-{it.number}",
        }

    def tip(self, name: str, branch: str) -> dict[str, Any]:
        """The youngest commit of a branch, from which its history is read."""
        commits = [c for c in self.state.changes[name].commits if c.branch == branch]
        if not commits:
            created = clock.parse(self.state.repositories[name]["created"])
            commits = [Commit(sha(name, "first"), created, "amara-okafor", "First commit", None, branch)]
        return {
            **self.commit(name, commits[0]),
            "history": lambda info, **asked: self._history(name, commits, info, asked),
        }

    def _history(self, name: str, commits: list[Commit], info: GraphQLResolveInfo[Any], asked: dict[str, Any]) -> Any:
        from compliancectl.sandbox.github.nodes import connection

        since, until = asked.pop("since", None), asked.pop("until", None)
        path = asked.pop("path", None)
        if path is not None:
            commits = self._touched(name, path, commits)
        chosen = [
            c
            for c in commits
            if (since is None or c.at >= clock.parse(since)) and (until is None or c.at <= clock.parse(until))
        ]
        return connection(chosen, lambda c: self.commit(name, c))(info, **asked)

    def _touched(self, name: str, path: str, commits: list[Commit]) -> list[Commit]:
        """The commit that changed a file last: that of the pull request which the definition names, or the oldest."""
        number = self.state.repositories[name].get("changed_by", {}).get(path)
        found = [commit for commit in commits if number is not None and commit.pull == number]
        return found or commits[-1:]

    def commit(self, name: str, it: Commit) -> dict[str, Any]:
        """A commit."""
        from compliancectl.sandbox.github.nodes import connection

        found = self.state.changes[name].pull(it.pull) if it.pull is not None else None
        headline, _, body = it.message.partition("\n\n")
        return {
            "__typename": "Commit",
            "_repository": name,
            "id": node_id("C", it.sha),
            "oid": it.sha,
            "committedDate": clock.text(it.at),
            "authoredDate": clock.text(it.at),
            "message": it.message,
            "messageHeadline": headline,
            "messageBody": body,
            "author": lambda info: self._git_actor(it),
            "committer": lambda info: self._git_actor(it),
            "signature": {"__typename": "GpgSignature", "isValid": True} if it.signed else None,
            "statusCheckRollup": rollup(it.sha, found.merge_checks if found and found.merge == it.sha else ()),
            "parents": connection([it], lambda c: self.commit(name, c)),
            "history": lambda info, **asked: self._history(name, [it], info, asked),
            "associatedPullRequests": connection([found] if found else [], lambda p: self.pull(name, p)),
        }

    def _git_actor(self, it: Commit) -> dict[str, Any]:
        """What a commit says of its author: name and address are whatever was set in Git."""
        actor = self.nodes.actor(it.author)
        person = actor if actor and actor["__typename"] == "User" else None
        return {
            "name": person["name"] if person else it.author,
            "email": person["email"] if person else "seeded-person-unknown@larkspur.example",
            "date": clock.text(it.at),
            "user": person,
        }


def rollup(commit: str, checks: tuple[Check, ...]) -> dict[str, Any] | None:
    """What was checked of a commit; None when nothing was."""
    from compliancectl.sandbox.github.nodes import connection

    if not checks:
        return None
    bad = [check for check in checks if check.conclusion not in ("SUCCESS", "NEUTRAL", "SKIPPED")]
    return {
        "id": node_id("SCR", commit),
        "state": "FAILURE" if bad else "SUCCESS",
        "contexts": connection(checks, lambda check: _check(commit, check)),
    }


def _check(commit: str, it: Check) -> dict[str, Any]:
    if it.context:
        return {
            "__typename": "StatusContext",
            "id": node_id("SC", commit, it.name),
            "context": it.name,
            "state": it.conclusion,
            "createdAt": clock.text(it.completed),
        }
    return {
        "__typename": "CheckRun",
        "id": node_id("CR", commit, it.name),
        "name": it.name,
        "conclusion": it.conclusion,
        "completedAt": clock.text(it.completed),
    }


def _text(moment: datetime | None) -> str | None:
    return clock.text(moment) if moment else None
