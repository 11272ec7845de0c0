"""`compliancectl doctor` for GitHub: credentials first, then one read for each permission and each production repository."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from compliancectl.collectors.base import Diagnosis
from compliancectl.collectors.github import access_tokens, audit_log, columns
from compliancectl.collectors.github.content_documents import COLLABORATORS, LAST_DEPLOYMENTS
from compliancectl.collectors.github.documents import CHECKED, PROPOSALS
from compliancectl.collectors.github.session import GitHubSession, Got, Tally, at
from compliancectl.errors import CollectError, Denied

Read = Callable[[], Got]

NEEDED_FOR: Mapping[str, str] = {
    "organisation": "organization",
    "members": "member",
    "second factors": "member",
    "audit log": "audit_log audit_event",
    "outside collaborators": "member",
    "pending invitations": "invitation",
    "groups of runners": "runner_group runner_group_repository",
    "repositories": "repository",
    "rulesets of": "ruleset ruleset_version branch_rule",
    "installed apps": "installation",
    "settings of Actions": "actions",
    "people who can": "collaborator",
    "access tokens": "access_token",
    "code that names": "context_setting model_route",
    "deployments": "deployment",
    "webhooks": "hook",
    "Dependabot alerts": "dependabot_alert",
    "code scanning alerts": "code_scanning_alert analysis",
    "secret alerts": "secret_alert",
    "security settings": "repository repository_runners",
    "invitations to": "repository_invitation",
    "pull requests": "pull_request review proposal feature",
    "bypasses": "bypass ruleset_version",
    "checks": "status_check",
    "environments": "environment",
    "deploy keys": "deploy_key",
    "bill of materials": "package commit push file",
}
"""How the name of what is tried begins → the tables that are not whole without it."""


def examine(session: GitHubSession) -> Iterator[Diagnosis]:
    """One line for the credentials, one per thing that is read; keeps nothing."""
    try:
        who = session.principal()
    except CollectError as error:
        yield _failed("credentials", error)
        return
    yield Diagnosis("credentials", "ok", f"{who.subject} ({who.authentication}); read-only: {who.read_only}")
    for subject, needs, read in _probes(session):
        try:
            got = read()
        except CollectError as error:
            yield _failed(subject, error, needs, _without(subject))
            continue
        yield Diagnosis(subject, "ok", needs) if got.status == 200 else _hidden(subject, got, needs)
    yield _audit_log(session)


def _probes(session: GitHubSession) -> Iterator[tuple[str, str, Read]]:
    tally = Tally("doctor")
    organization = f"/orgs/{session.organization}"

    def one(path: str) -> Read:
        return lambda: session.get(path, tally)

    def many(path: str, **parameters: Any) -> Read:
        return lambda: session.get(path, tally, want=list, per_page=1, **parameters)

    yield f"organisation {session.organization}", columns.ORGANIZATION, lambda: _settings(session, tally)
    yield "members", columns.MEMBERS, many(f"{organization}/members")
    yield "second factors of members", columns.OWNER, many(f"{organization}/members", filter="2fa_disabled")
    yield "outside collaborators", columns.MEMBERS, many(f"{organization}/outside_collaborators")
    yield "pending invitations", columns.MEMBERS, many(f"{organization}/invitations")
    yield "groups of runners", columns.RUNNERS, one(f"{organization}/actions/runner-groups")
    yield "repositories", columns.METADATA, many(f"{organization}/repos", type="all")
    yield "rulesets of the organisation", columns.RULESETS, many(f"{organization}/rulesets", targets="branch")
    yield "installed apps", columns.ORGANIZATION, one(f"{organization}/installations")
    yield "settings of Actions", columns.ORGANIZATION, one(f"{organization}/actions/permissions")
    yield "people who can open repositories", columns.OWNER, lambda: _people(session)
    yield "access tokens of members", columns.ACCESS_TOKENS, lambda: _tokens(session, tally)
    for text in filter(None, (session.config.context_variable, session.config.model_router)):
        yield f"code that names {text}", columns.CONTENTS, partial(_code, session, text, tally)
    for repository in sorted(session.config.apis):
        yield f"deployments of {repository}", columns.DEPLOYMENTS, partial(_deployments, session, repository)
    yield "webhooks of the organisation", columns.ORGANIZATION_HOOKS, many(f"{organization}/hooks")
    yield "Dependabot alerts", columns.DEPENDABOT, many(f"{organization}/dependabot/alerts")
    yield "code scanning alerts", columns.CODE_SCANNING, many(f"{organization}/code-scanning/alerts")
    yield "secret alerts", columns.SECRET_SCANNING, many(f"{organization}/secret-scanning/alerts", hide_secret=True)
    for repository in sorted(session.config.production):
        name = f"{session.organization}/{repository}"
        suites = many(f"/repos/{name}/rulesets/rule-suites", rule_suite_result="bypass", time_period="month")
        yield f"security settings of {name}", columns.ADMINISTRATION, lambda n=name: _security(session, n, tally)  # type: ignore[misc]
        yield f"invitations to {name}", columns.ADMINISTRATION, many(f"/repos/{name}/invitations")
        yield f"pull requests of {name}", columns.PULL_REQUESTS, lambda r=repository: _pulls(session, r, tally)  # type: ignore[misc]
        yield f"rulesets of {name}", columns.METADATA, many(f"/repos/{name}/rulesets", targets="branch")
        yield f"bypasses in {name}", columns.RULE_HISTORY, suites
        yield f"checks of {name}", columns.CHECKS, lambda r=repository: _checks(session, r, tally)  # type: ignore[misc]
        yield f"environments of {name}", columns.ENVIRONMENTS, one(f"/repos/{name}/environments")
        yield f"webhooks of {name}", columns.HOOKS, many(f"/repos/{name}/hooks")
        yield f"deploy keys of {name}", columns.ADMINISTRATION, many(f"/repos/{name}/keys")
        yield f"bill of materials of {name}", columns.CONTENTS, one(f"/repos/{name}/dependency-graph/sbom")


def _audit_log(session: GitHubSession) -> Diagnosis:
    """One event of it; that the plan has none is nothing to mend."""
    subject, tally = "audit log of the organisation", Tally("doctor")
    try:
        got = session.get(audit_log.path_of(session), tally, want=list, also_fine=(404,), per_page=1)
        if got.status == 404:
            audit_log.without(session, tally)
            detail = "the plan has none over the API, so that LOG-02 goes by exports alone"
            return Diagnosis(subject, "ok", detail, audit_log.EXPORTS)
    except CollectError as error:
        return _failed(subject, error, columns.AUDIT_LOG, _without(subject))
    return Diagnosis(subject, "ok", columns.AUDIT_LOG)


def _settings(session: GitHubSession, tally: Tally) -> Got:
    """The organisation, as its owner sees it."""
    got = session.get(f"/orgs/{session.organization}", tally)
    if at(got.data, "two_factor_requirement_enabled") is None:
        raise Denied("GitHub shows its settings to owners only, and not to this token", hint=f"Use {columns.OWNER}.")
    return got


def _security(session: GitHubSession, name: str, tally: Tally) -> Got:
    """A repository, as its administrators see it."""
    got = session.get(f"/repos/{name}", tally)
    if not isinstance(at(got.data, "security_and_analysis"), dict):
        raise Denied(f"GitHub does not show this token the security settings of {name}")
    session.get(f"/repos/{name}/vulnerability-alerts", tally, also_fine=(404,))  # off is an answer
    return got


def _pulls(session: GitHubSession, repository: str, tally: Tally) -> Got:
    variables = {"organization": session.organization, "repository": repository, "after": None}
    found = Tally("doctor")
    got = session.graphql(PROPOSALS, variables, found)
    if at(got.data, "repository", "pullRequests") is None:
        raise Denied(f"GitHub shows no pull requests of {repository}" + "".join(f": {w}" for w in found.warnings))
    return got


def _checks(session: GitHubSession, repository: str, tally: Tally) -> Got:
    """The newest merged pull request, with what was checked of it."""
    variables = {"organization": session.organization, "repository": repository}
    found = Tally("doctor")
    got = session.graphql(CHECKED, variables, found)
    if found.warnings:
        raise Denied(f"GitHub shows no checks of {repository}" + "".join(f": {w}" for w in found.warnings))
    return got


def _people(session: GitHubSession) -> Got:
    """The repositories, with who can open them."""
    found = Tally("doctor")
    got = session.graphql(COLLABORATORS, {"organization": session.organization, "after": None}, found)
    nodes = at(got.data, "organization", "repositories", "nodes") or ()
    if any(at(node, "collaborators") is None for node in nodes):
        raise Denied("GitHub does not show this token who can open repositories", hint=f"Use {columns.OWNER}.")
    return got


def _tokens(session: GitHubSession, tally: Tally) -> Got:
    with access_tokens.asker(session) as other:
        try:
            return other.get(access_tokens.path_of(session), tally, want=list, per_page=1)
        except Denied as denied:
            raise Denied(denied.message, hint=access_tokens.HINT) from None


def _code(session: GitHubSession, text: str, tally: Tally) -> Got:
    return session.get("/search/code", tally, q=f'"{text}" org:{session.organization}', per_page=1)


def _deployments(session: GitHubSession, repository: str) -> Got:
    found, config = Tally("doctor"), session.config
    variables = {"organization": session.organization, "repository": repository}
    asked = {**variables, "environment": config.deployed_to, "path": config.apis[repository]}
    hint = f"Grant the token {columns.DEPLOYMENTS}, and {columns.CONTENTS}."
    try:
        got = session.graphql(LAST_DEPLOYMENTS.one, asked, found)
    except Denied as denied:
        raise Denied(denied.message, hint=hint) from None
    if found.warnings or at(got.data, "repository", "deployments") is None:
        said = "".join(f": {warning}" for warning in found.warnings)
        raise Denied(f"GitHub shows no deployments of {repository}{said}", hint=hint)
    return got


def _without(subject: str) -> str:
    (names,) = (names for start, names in NEEDED_FOR.items() if subject.startswith(start))
    return f" Without it these are not whole: {', '.join(f'github.{name}' for name in names.split())}."


def _failed(subject: str, error: CollectError, needs: str = "", without: str = "") -> Diagnosis:
    missing = error.status == "denied" or error.cause == "not-found"
    fix = error.hint or (f"Grant {needs}." if needs else None)
    return Diagnosis(subject, "missing" if missing else "unknown", error.message, f"{fix}{without}" if fix else None)


def _hidden(subject: str, got: Got, needs: str) -> Diagnosis:
    return Diagnosis(subject, "unknown", f"GitHub answered {got.status}", f"Grant {needs}.")
