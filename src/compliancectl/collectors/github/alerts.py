"""Alerts of Dependabot, code scanning and secret scanning, in every state, for the whole organisation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator
from typing import Any

from compliancectl.collectors.base import Feed, Fetched, Reply, Row, Target
from compliancectl.collectors.github import alert_tables
from compliancectl.collectors.github.common import audit_phrase, counts, gone, organization_target, repositories
from compliancectl.collectors.github.config import covered
from compliancectl.collectors.github.session import GitHubSession, Tally, at, data_of, facts_of, time_of
from compliancectl.model.table import Table

Recount = Callable[[GitHubSession, Tally, list[Any]], Generator[Reply, None, None]]
"""Counts again by another route, and warns where that gives more."""


Queries = Callable[[GitHubSession], list[dict[str, Any]]]
"""The parameters of each listing that is needed to see everything."""


def _fetch(path: str, recount: Recount | None, queries: Queries) -> Callable[[GitHubSession, Target], Fetched]:
    """A fetch of all pages of the organisation-wide listings of alerts."""

    def fetch(session: GitHubSession, target: Target) -> Fetched:
        tally = Tally("all pages, until GitHub names no next one")
        tally.filters.append("repositories that the scope covers")
        facts = {"coverage": session.config.coverage}
        entries: list[Any] = []
        for parameters in queries(session):
            entries += yield from session.pages(f"/orgs/{target.name}/{path}", tally, facts=facts, **parameters)
        if any(not isinstance(at(entry, "repository", "name"), str) for entry in entries):
            tally.warn("GitHub sent alerts that name no repository")
        yield from _look_for_production(session, target, tally)
        if recount is None:
            tally.method += "; GitHub offers no second count of these"
        else:
            yield from recount(session, tally, entries)
        return tally.result()

    return fetch


def _look_for_production(session: GitHubSession, target: Target, tally: Tally) -> Generator[Reply, None, None]:
    """Warn of a production repository that the token does not see: the listings leave out its alerts without a word."""
    items = tally.items
    listed = yield from repositories(session, tally)
    tally.items = items
    tally.method += "; every production repository is one that the token sees"
    for name in sorted(session.config.production.keys() - {at(entry, "name") for entry in listed}):
        tally.warn(f"{gone(session, name, 'repository').message}; its alerts would be missing here")


def _everything(session: GitHubSession) -> list[dict[str, Any]]:
    return [{}]


def _all_secrets(session: GitHubSession) -> list[dict[str, Any]]:
    """Providers' secrets are listed without being asked for; generic ones and passwords only when they are named."""
    hidden = {"hide_secret": True}
    generic = ",".join(sorted(session.config.generic_secret_types))
    return [hidden, {**hidden, "secret_type": generic}] if generic else [hidden]


def _recount_dependabot(session: GitHubSession, tally: Tally, entries: list[Any]) -> Generator[Reply, None, None]:
    """GraphQL counts the alerts of each repository: more there than in the list means that the list is short."""
    tally.method += "; and no repository has more of them by the count of GraphQL"
    listed = Counter(at(entry, "repository", "name") for entry in entries)
    for node in (yield from counts(session, "vulnerabilityAlerts", tally)):
        name, total = at(node, "name"), at(node, "vulnerabilityAlerts", "totalCount")
        watched = at(node, "hasVulnerabilityAlertsEnabled") is True and at(node, "isArchived") is False
        if watched and isinstance(total, int) and total > listed[name] and session.config.covers(str(name)):
            tally.warn(f"{name}: GraphQL counts {total} alerts, the list holds {listed[name]}")


def _shape(table: str, values: Callable[[Any], dict[str, Any]]) -> Callable[[Reply], Iterator[Row]]:
    """A shape that gives one row per alert of a covered repository."""

    def shape(reply: Reply) -> Iterator[Row]:
        facts, organization = facts_of(reply), reply.context["organization"]
        for entry in data_of(reply) if "coverage" in facts else ():
            repository = at(entry, "repository", "name")
            if not isinstance(repository, str) or covered(repository, facts["coverage"]):
                yield (
                    table,
                    {
                        "organization": organization,
                        "resource": f"{organization}/{repository}#{at(entry, 'number')}",
                        "repository": repository,
                        "number": at(entry, "number"),
                        "state": at(entry, "state"),
                        "created": time_of(at(entry, "created_at")),
                        **values(entry),
                    },
                )

    return shape


def _dependabot(entry: Any) -> dict[str, Any]:
    kind = at(entry, "security_advisory", "classification")
    return {
        "malware": None if kind is None else kind == "malware",
        "fixed": time_of(at(entry, "fixed_at")),
        "dismissed": time_of(at(entry, "dismissed_at") or at(entry, "auto_dismissed_at")),
        "dismissed_reason": at(entry, "dismissed_reason"),
        "severity": at(entry, "security_advisory", "severity"),
        "scope": at(entry, "dependency", "scope"),
        "package": at(entry, "dependency", "package", "name"),
        "advisory": at(entry, "security_advisory", "ghsa_id"),
    }


def _code_scanning(entry: Any) -> dict[str, Any]:
    return {
        "fixed": time_of(at(entry, "fixed_at")),
        "dismissed": time_of(at(entry, "dismissed_at")),
        "dismissed_reason": at(entry, "dismissed_reason"),
        "severity": at(entry, "rule", "security_severity_level"),
        "rule": at(entry, "rule", "id"),
        "tool": at(entry, "tool", "name"),
    }


def _secret(entry: Any) -> dict[str, Any]:
    return {
        "resolved": time_of(at(entry, "resolved_at")),
        "resolution": at(entry, "resolution"),
        "validity": at(entry, "validity"),
        "push_protection_bypassed": at(entry, "push_protection_bypassed"),
        "bypass_reviewed_by": at(entry, "push_protection_bypass_request_reviewer", "login"),
        "publicly_leaked": at(entry, "publicly_leaked"),
        "secret_type": at(entry, "secret_type"),
    }


def _feed(
    name: str,
    description: str,
    table: Table,
    path: str,
    values: Callable[[Any], dict[str, Any]],
    recount: Recount | None = None,
    queries: Queries = _everything,
) -> Feed[GitHubSession]:
    return Feed(
        name,
        description,
        (table,),
        organization_target,
        _fetch(path, recount, queries),
        _shape(table.name, values),
        corroborate=audit_phrase,
    )


FEEDS: tuple[Feed[GitHubSession], ...] = (
    _feed(
        "dependabot_alerts",
        "Alerts about vulnerable dependencies.",
        alert_tables.DEPENDABOT_ALERT,
        "dependabot/alerts",
        _dependabot,
        _recount_dependabot,
    ),
    _feed(
        "code_scanning_alerts",
        "Alerts of code scanning.",
        alert_tables.CODE_SCANNING_ALERT,
        "code-scanning/alerts",
        _code_scanning,
    ),
    _feed(
        "secret_alerts",
        "Secrets found in repositories, without the secrets.",
        alert_tables.SECRET_ALERT,
        "secret-scanning/alerts",
        _secret,
        queries=_all_secrets,
    ),
)
