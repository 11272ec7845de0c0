"""Issues of a repository: the only thing that the sandbox's GitHub lets anybody write."""

from __future__ import annotations

from typing import Any

from compliancectl import clock
from compliancectl.sandbox.github import errors
from compliancectl.sandbox.github.ids import node_id
from compliancectl.sandbox.github.state import State
from compliancectl.sandbox.github.views import WEB, Views

LONGEST_BODY = 65_536
"""Characters."""
LONGEST_TITLE = 256


class Issues:
    """Answers about issues, from `State.issues`: number, title, body, user, state, state_reason."""

    def __init__(self, state: State, views: Views) -> None:
        self.state, self.views = state, views

    def listed(self, repository: str, query: dict[str, str]) -> list[dict[str, Any]]:
        """issues/list-for-repo: the newest first, as GitHub does; pull requests are issues, too."""
        asked, creator = query.get("state", "open"), query.get("creator")
        found = [self._view(repository, it) for it in self.state.issues.get(repository, [])]
        found += [self._pull(repository, pull) for pull in self.state.changes[repository].pulls]
        chosen = [
            it
            for it in found
            if asked in ("all", it["state"]) and (creator is None or (it["user"] or {}).get("login") == creator)
        ]
        return sorted(chosen, key=lambda it: int(it["number"]), reverse=query.get("direction", "desc") == "desc")

    def create(self, repository: str, login: str, body: dict[str, Any]) -> dict[str, Any]:
        """issues/create."""
        self._check(repository, body)
        mine = self.state.issues.setdefault(repository, [])
        numbers = [it["number"] for it in mine] + [pull.number for pull in self.state.changes[repository].pulls]
        fresh = {"number": max(numbers, default=0) + 1, "user": login, "state": "open", "state_reason": None, **body}
        mine.append(fresh)
        return self._view(repository, fresh)

    def update(self, repository: str, number: str, change: dict[str, Any]) -> dict[str, Any]:
        """issues/update; the reason counts only when the state changes."""
        self._check(repository, change)
        found = next((it for it in self.state.issues.get(repository, []) if str(it["number"]) == number), None)
        if found is None:
            raise errors.not_found("issues=write")
        reason = change.get("state_reason")
        if change.get("state", found["state"]) == found["state"]:
            reason = found["state_reason"]
        elif reason is None:
            reason = "completed" if change["state"] == "closed" else "reopened"
        found.update({**change, "state_reason": reason})
        return self._view(repository, found)

    def _check(self, repository: str, body: dict[str, Any]) -> None:
        it = self.state.repositories[repository]
        if not it.get("has_issues", True):
            raise errors.error(410, "Issues has been disabled in this repository.")
        if it.get("archived"):
            raise errors.error(403, "Repository was archived so is read-only.")
        for name, most in (("title", LONGEST_TITLE), ("body", LONGEST_BODY)):
            if len(body.get(name, "")) > most:
                said = f"{name} is too long (maximum is {most} characters)"
                raise errors.invalid(errors=[{"resource": "Issue", "code": "custom", "field": name, "message": said}])

    def _view(self, repository: str, it: dict[str, Any]) -> dict[str, Any]:
        full, number = f"{self.state.login}/{repository}", it["number"]
        url, at = f"{self.views.url}/repos/{full}/issues/{number}", clock.text(self.state.now)
        return {
            "id": 2_000_000_000 + number,
            "node_id": node_id("I", 2_000_000_000 + number),
            "url": url,
            "repository_url": f"{self.views.url}/repos/{full}",
            "labels_url": f"{url}/labels{{/name}}",
            "comments_url": f"{url}/comments",
            "events_url": f"{url}/events",
            "html_url": f"{WEB}/{full}/issues/{number}",
            "number": number,
            "title": it["title"],
            "body": it.get("body"),
            "user": self.views.user(it["user"]),
            "labels": [],
            "state": it["state"],
            "state_reason": it["state_reason"],
            "locked": False,
            "assignee": None,
            "assignees": [],
            "milestone": None,
            "comments": 0,
            "created_at": at,
            "updated_at": at,
            "closed_at": at if it["state"] == "closed" else None,
        }

    def _pull(self, repository: str, pull: Any) -> dict[str, Any]:
        state = "open" if pull.state == "OPEN" else "closed"
        it = {"number": pull.number, "title": pull.title, "body": None, "user": pull.author, "state": state}
        full = f"{self.state.login}/{repository}"
        page = f"{WEB}/{full}/pull/{pull.number}"
        return {
            **self._view(repository, {**it, "state_reason": None}),
            "html_url": page,
            "pull_request": {
                "url": f"{self.views.url}/repos/{full}/pulls/{pull.number}",
                "html_url": page,
                "diff_url": f"{page}.diff",
                "patch_url": f"{page}.patch",
            },
        }
