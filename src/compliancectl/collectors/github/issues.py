"""Issues that this product keeps in a repository: the only thing that it ever writes at GitHub, and never while it collects.

An issue is ours when the account that asks made it and one line of it is our marker. Nothing else is read beyond that,
and nothing else is touched.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from compliancectl.collectors.base import Context
from compliancectl.collectors.github.common import drain
from compliancectl.collectors.github.config import GitHubConfig
from compliancectl.collectors.github.session import GitHubSession, Tally, at
from compliancectl.errors import ApiDisabled, Denied, Garbage, Truncated, Unreachable

State = Literal["open", "closed"]


@dataclass(frozen=True)
class Issue:
    """One issue of ours, as GitHub holds it."""

    number: int
    url: str
    """For people."""
    state: State
    body: str


class Tracker:
    """The issues of one repository, as one account may read and write them."""

    def __init__(self, session: GitHubSession, repository: str) -> None:
        self._session, self._path = session, f"/repos/{repository}"
        self.repository = repository

    def public(self) -> bool:
        """Whether everybody can read what is written there.

        Raises:
            CollectError: the repository cannot be seen, keeps no issues, or takes none.
        """
        it = self._session.get(self._path, Tally("one repository")).data
        if not isinstance(it.get("private"), bool):
            raise Garbage(f"GitHub does not say whether {self.repository} is private", hint="Check `base_url`.")
        if it.get("archived"):
            raise Denied(f"{self.repository} is archived and takes no issues", hint="Name another repository.")
        if it.get("has_issues") is False:
            raise ApiDisabled(
                f"{self.repository} keeps no issues: they are switched off",
                hint="Switch Issues on in the repository's settings, or name another repository.",
            )
        return not it["private"]

    def mine(self, marker: str) -> list[Issue]:
        """The issues that this account made and that have the marker as a line of their own, the oldest first.

        Raises:
            CollectError: they cannot be read to the end.
        """
        login = self._session.principal().subject
        tally = Tally("Link headers")
        _, found = drain(
            self._session.pages(
                f"{self._path}/issues", tally, state="all", creator=login, sort="created", direction="asc"
            )
        )
        ours = [
            _issue(it)
            for it in found
            if "pull_request" not in it
            and at(it, "user", "login") == login
            and marker in (at(it, "body") or "").splitlines()
        ]
        return sorted(ours, key=lambda issue: issue.number)

    def create(self, title: str, body: str) -> Issue:
        """Make an issue. It is asked for once: asking again could make two.

        Raises:
            CollectError: it was refused, or nobody knows whether it was made.
        """
        try:
            answer = self._session.client.write(
                "POST", f"{self._path}/issues", {"title": title, "body": body}, again=False
            )
        except (Unreachable, Truncated) as error:
            hint = "Whether the issue was made is not known. Run it again: if it was, it is found."
            raise type(error)(error.message, hint=hint) from None
        return _issue(_object(answer.response.content))

    def edit(self, issue: Issue, body: str, state: State) -> Issue:
        """Give an issue this text and this state.

        Raises:
            CollectError: it was refused.
        """
        change = {"body": body}
        if state != issue.state:
            change |= {"state": state, "state_reason": "completed" if state == "closed" else "reopened"}
        answer = self._session.client.write("PATCH", f"{self._path}/issues/{issue.number}", change, again=True)
        return _issue(_object(answer.response.content))


@contextmanager
def tracker(config: GitHubConfig, context: Context, repository: str) -> Iterator[Tracker]:
    """Open the issues of a repository (`owner/name`) with a connection of the scope file."""
    session = GitHubSession(config, context)
    try:
        yield Tracker(session, repository)
    finally:
        session.close()


def _object(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        raise Garbage(
            "GitHub answered with something that is not JSON", hint="Check `base_url` and any proxy."
        ) from None


def _issue(it: Any) -> Issue:
    number, url, state = at(it, "number"), at(it, "html_url"), at(it, "state")
    if not isinstance(number, int) or not isinstance(url, str) or state not in ("open", "closed"):
        raise Garbage("GitHub answered with something that is not an issue", hint="Check `base_url` and any proxy.")
    return Issue(number, url, state, at(it, "body") or "")
