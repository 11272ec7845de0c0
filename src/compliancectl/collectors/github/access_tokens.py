"""Fine-grained access tokens of members. GitHub lists them to Apps alone, so an App may be named for this question only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from compliancectl.collectors.base import Feed, Fetched, Reply, Row, Target
from compliancectl.collectors.github import credential_tables
from compliancectl.collectors.github.common import audit_phrase, organization_target
from compliancectl.collectors.github.session import GitHubSession, Tally, at, data_of, time_of
from compliancectl.errors import Denied

HINT = "Name a GitHub App with the organization permission `Personal access tokens`: read as `tokens_app`."


@contextmanager
def asker(session: GitHubSession) -> Iterator[GitHubSession]:
    """Who asks for access tokens: the App that is named for it, if everything else is asked with a token."""
    app = session.config.tokens_app
    if session.config.app is not None or app is None:
        yield session
        return
    other = GitHubSession(session.config.model_copy(update={"app": app, "cache": None}), session.context)
    try:
        yield other
    finally:
        other.close()


def path_of(session: GitHubSession) -> str:
    """Where GitHub lists them."""
    return f"/orgs/{session.organization}/personal-access-tokens"


def _fetch(session: GitHubSession, target: Target) -> Fetched:
    tally = Tally("all pages; GitHub gives no total")
    tally.filters.append("fine-grained tokens that were approved; GitHub lists no classic ones")
    with asker(session) as other:
        if other is not session and (app := session.config.tokens_app):
            tally.filters.append(f"asked as installation {app.installation} of the GitHub App {app.id}")
        try:
            yield from other.pages(path_of(session), tally)
        except Denied as denied:
            raise Denied(denied.message, hint=HINT) from None
    return tally.result()


def _shape(reply: Reply) -> Iterator[Row]:
    organization = reply.context["organization"]
    for entry in data_of(reply):
        yield (
            "github.access_token",
            {
                "organization": organization,
                "resource": f"{organization}/personal-access-tokens/{at(entry, 'id')}",
                "id": at(entry, "id"),
                "owner": at(entry, "owner", "login"),
                "selection": at(entry, "repository_selection"),
                "writes": _writes(at(entry, "permissions")),
                "granted": time_of(at(entry, "access_granted_at")),
                "ends": entry["token_expires_at"] is not None if "token_expires_at" in entry else None,
                "expires": time_of(at(entry, "token_expires_at")),
                "expired": at(entry, "token_expired"),
                "last_used": time_of(at(entry, "token_last_used_at")),
            },
        )


def _writes(permissions: Any) -> list[str] | None:
    """What is more than `read`, of the organisation, of repositories and of anything else."""
    if not isinstance(permissions, dict):
        return None
    groups = [granted for granted in permissions.values() if isinstance(granted, dict)]
    return sorted({f"{name}={level}" for granted in groups for name, level in granted.items() if level != "read"})


FEEDS: tuple[Feed[GitHubSession], ...] = (
    Feed(
        "access_tokens",
        "Fine-grained access tokens of members, and when they end.",
        (credential_tables.ACCESS_TOKEN,),
        organization_target,
        _fetch,
        _shape,
        corroborate=audit_phrase,
    ),
)
