"""Who asks, and what that principal could write: for the evidence."""

from __future__ import annotations

from typing import Any

from compliancectl.collectors.github.documents import VIEWER
from compliancectl.collectors.github.session import GitHubSession, at
from compliancectl.errors import Garbage
from compliancectl.model.evidence import Principal

_WRITING_SCOPES = ("repo", "admin:", "write:", "delete", "workflow", "gist", "user", "project", "notifications")
_READING_SCOPES = ("read:", "user:email", "repo:status")


def identify(session: GitHubSession) -> Principal:
    """Ask GitHub who the credentials belong to.

    Raises:
        CollectError: if it does not say.
    """
    answer, body = session.client.graphql(VIEWER, {})
    login = at(body, "data", "viewer", "login")
    if not isinstance(login, str):
        raise Garbage("GitHub did not say who the credentials belong to")
    if session.config.app is not None:
        return Principal(subject=login, authentication="GitHub App installation", read_only=_app_rights(session))
    scopes = answer.response.headers.get("X-OAuth-Scopes")
    kind = "personal access token (classic)" if scopes is not None else "personal access token (fine-grained)"
    return Principal(subject=login, authentication=kind, read_only=_token_rights(scopes))


def _app_rights(session: GitHubSession) -> str:
    permissions: Any = session.client.installation_permissions()
    if not isinstance(permissions, dict) or not permissions:
        return "not established: GitHub named no permissions of the installation"
    writes = sorted(name for name, level in permissions.items() if level != "read")
    if not writes:
        return f"yes: all {len(permissions)} permissions of the installation are `read`"
    return f"no: the installation may write {', '.join(writes)}"


def _token_rights(scopes: str | None) -> str:
    if scopes is None:
        return "not established: GitHub does not tell the permissions of a fine-grained token"
    names = sorted(s.strip() for s in scopes.split(",") if s.strip())
    writes = [n for n in names if n.startswith(_WRITING_SCOPES) and not n.startswith(_READING_SCOPES)]
    if writes:
        return f"no: the token has the scopes {', '.join(writes)}"
    return f"yes: the token's scopes only read: {', '.join(names) or 'none'}"
