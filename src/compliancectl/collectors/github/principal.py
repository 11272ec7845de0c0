"""Who asks, what that principal could write, and what it may read: for the evidence and for `doctor`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from compliancectl.collectors.base import Diagnosis
from compliancectl.collectors.github.documents import VIEWER
from compliancectl.collectors.github.session import GitHubSession, Tally, at, try_read
from compliancectl.errors import CollectError, Denied, Garbage, Missing
from compliancectl.model.evidence import Principal

_WRITING_SCOPES = ("repo", "admin:", "write:", "delete_repo", "workflow", "gist", "user", "project")


def principal(session: GitHubSession) -> Principal:
    """Ask GitHub who the credentials belong to.

    Raises:
        CollectError: if it does not say.
    """
    answer = session.client.graphql(VIEWER, {})
    login = at(answer.response.json(), "data", "viewer", "login")
    if not isinstance(login, str):
        raise Garbage("GitHub did not say who the credentials belong to")
    if session.config.app is not None:
        return Principal(subject=login, authentication="GitHub App installation", read_only=_app_rights(session))
    scopes = answer.response.headers.get("X-OAuth-Scopes")
    kind = "personal access token (classic)" if scopes is not None else "personal access token (fine-grained)"
    return Principal(subject=login, authentication=kind, read_only=_token_rights(scopes))


def _app_rights(session: GitHubSession) -> str:
    permissions: Any = getattr(session.client.requester.auth, "token_permissions", None) or {}
    if not permissions:
        return "not known: GitHub named no permissions of the installation"
    writes = sorted(name for name, level in permissions.items() if level != "read")
    if not writes:
        return "the installation token's permissions are all `read`"
    return f"could write: the installation token has write access to {', '.join(writes)}"


def _token_rights(scopes: str | None) -> str:
    if scopes is None:
        return "not known: GitHub does not tell the permissions of a fine-grained token"
    names = sorted(s.strip() for s in scopes.split(",") if s.strip())
    writes = [n for n in names if n.startswith(_WRITING_SCOPES) and not n.startswith(("read:", "user:email"))]
    if writes:
        return f"could write: the token has the scopes {', '.join(writes)}"
    return f"the token's scopes only read: {', '.join(names) or 'none'}"


def doctor(session: GitHubSession) -> Iterator[Diagnosis]:
    """One line for the credentials, one per permission that the tables need."""
    error = try_read(session.principal)
    if error is not None:
        yield _diagnosis("credentials", error)
        return
    who = session.principal()
    yield Diagnosis("credentials", "ok", f"{who.subject}, {who.authentication}; {who.read_only}")
    for subject, read in _probes(session):
        error = try_read(read)
        yield _diagnosis(subject, error) if error else Diagnosis(subject, "ok", "readable")


def _probes(session: GitHubSession) -> Iterator[tuple[str, Callable[[], Any]]]:
    tally = Tally("doctor")
    organization = f"/orgs/{session.organization}"
    repository = f"/repos/{session.organization}/{sorted(session.config.production)[0]}"

    def read(path: str, want: type = list, **parameters: Any) -> Callable[[], Any]:
        if want is list:
            parameters["per_page"] = 1
        return lambda: session.get(path, tally, want=want, **parameters)

    yield f"organisation {session.organization}", read(organization, dict)
    yield "members", read(f"{organization}/members")
    yield "two-factor status of members (owners only)", read(f"{organization}/members", filter="2fa_disabled")
    yield f"repository {repository[7:]}", read(repository, dict)
    yield "rulesets of the organisation", read(f"{organization}/rulesets", targets="branch")
    yield "pushes that bypassed rules", read(f"{organization}/rulesets/rule-suites", rule_suite_result="bypass")
    yield "Dependabot alerts", read(f"{organization}/dependabot/alerts")
    yield "code scanning alerts", read(f"{organization}/code-scanning/alerts")
    yield "secret scanning alerts", read(f"{organization}/secret-scanning/alerts", hide_secret=True)


def _diagnosis(subject: str, error: CollectError) -> Diagnosis:
    missing = isinstance(error, (Denied, Missing)) or error.status == "denied"
    return Diagnosis(subject, "missing" if missing else "unknown", error.message, error.hint)
