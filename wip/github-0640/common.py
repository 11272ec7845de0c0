"""What all feeds share: the target, the audit log phrase, who is a bot."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from compliancectl import clock
from compliancectl.collectors.base import Target
from compliancectl.collectors.github.session import GitHubSession, Tally, at
from compliancectl.errors import CollectError, Missing


def organization_target(session: GitHubSession) -> Iterable[Target]:
    """The one target of every feed: the organisation."""
    return (Target(session.organization, session.config.base_url.rstrip("/")),)


def audit_phrase(session: GitHubSession, target: Target) -> str | None:
    """A search phrase for the organisation's audit log (API requests are there on Enterprise Cloud only)."""
    try:
        actor = session.principal().subject
    except CollectError:
        return None
    day = clock.text(session.context.as_of)[:10]
    return f"actor:{actor} created:>={day} action:api.request (GET /orgs/{target.name}/audit-log?include=all)"


def production_branches(session: GitHubSession, tally: Tally) -> list[tuple[str, str]]:
    """Pairs of repository and branch that the scope declares production, sorted; default branches are looked up.

    Raises:
        Missing: if a declared repository does not exist, is hidden or was renamed, or is empty.
    """
    from compliancectl.collectors.github.documents import DEFAULT_BRANCH

    pairs: list[tuple[str, str]] = []
    for repository, branches in sorted(session.config.production.items()):
        if branches:
            pairs += [(repository, branch) for branch in sorted(branches)]
            continue
        variables = {"organization": session.organization, "repository": repository}
        found = session.graphql(DEFAULT_BRANCH, variables, tally).data
        name = at(found, "repository", "defaultBranchRef", "name")
        if not isinstance(name, str):
            raise gone(session, repository, "default branch")
        pairs.append((repository, name))
    return pairs


def gone(session: GitHubSession, repository: str, what: str) -> Missing:
    """The error for a declared thing that GitHub does not show."""
    return Missing(
        f"{session.organization}/{repository}: GitHub shows no {what} (it does not exist, was renamed, or this token may not see it)",
        hint="Correct `production` in the scope file, or grant the token access to the repository.",
    )


def login_of(actor: Any) -> str | None:
    """Login of a GraphQL actor; bots get the `[bot]` that REST gives them."""
    login = at(actor, "login")
    if isinstance(login, str) and at(actor, "__typename") == "Bot" and not login.endswith("[bot]"):
        return f"{login}[bot]"
    return login if isinstance(login, str) else None


def is_bot(actor: Any, machines: Iterable[str]) -> bool | None:
    """True for GitHub Apps and declared machine users; None when the account is gone."""
    login = login_of(actor)
    if login is None:
        return None
    return at(actor, "__typename") == "Bot" or login in machines
