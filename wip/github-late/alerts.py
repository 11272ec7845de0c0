"""Alerts of Dependabot, code scanning and secret scanning, in every state, for the whole organisation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from compliancectl.collectors.base import Feed, Fetched, Reply, Row, Target
from compliancectl.collectors.github import tables
from compliancectl.collectors.github.common import audit_phrase, organization_target
from compliancectl.collectors.github.session import GitHubSession, Tally, at, data_of, facts_of, time_of
from compliancectl.model.table import Table


def _fetch(path: str, **parameters: Any) -> Callable[[GitHubSession, Target], Fetched]:
    """A fetch of all pages of one organisation-wide listing of alerts."""

    def fetch(session: GitHubSession, target: Target) -> Fetched:
        tally = Tally("all pages, until GitHub names no next one")
        tally.filters.append("repositories that the scope covers")
        entries = yield from session.pages(
            f"/orgs/{target.name}/{path}", tally, facts={"covers": _covers(session)}, **parameters
        )
        named = [e for e in entries if isinstance(at(e, "repository", "name"), str)]
        if len(named) != len(entries):
            tally.warn("GitHub sent alerts that name no repository")
        return tally.result()

    return fetch


def _covers(session: GitHubSession) -> dict[str, Any]:
    config = session.config
    return {"include": list(config.repositories.include), "exclude": list(config.repositories.exclude),
            "production": sorted(config.production)}


def _covered(name: Any, covers: Any) -> bool:
    from compliancectl.collectors.github.config import GitHubConfig, Repositories

    config = GitHubConfig(
        organization="-", production={r: () for r in covers["production"]},
        repositories=Repositories(include=tuple(covers["include"]), exclude=tuple(covers["exclude"])),
    )
    return not isinstance(name, str) or config.covers(name)


def _shape(table: str, values: Callable[[Any], dict[str, Any]]) -> Callable[[Reply], Iterator[Row]]:
    """A shape that gives one row per alert of a covered repository."""

    def shape(reply: Reply) -> Iterator[Row]:
        covers, organization = facts_of(reply)["covers"], reply.context["organization"]
        for entry in data_of(reply):
            repository = at(entry, "repository", "name")
            if _covered(repository, covers):
                yield table, {
                    "organization": organization,
                    "resource": f"{organization}/{repository}#{at(entry, 'number')}",
                    "repository": repository,
                    "number": at(entry, "number"),
                    "state": at(entry, "state"),
                    "created": time_of(at(entry, "created_at")),
                    **values(entry),
                }

    return shape


def _dependabot(entry: Any) -> dict[str, Any]:
    return {
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
    name: str, description: str, table: Table, path: str, values: Callable[[Any], dict[str, Any]], **parameters: Any
) -> Feed[GitHubSession]:
    return Feed(name, description, (table,), organization_target, _fetch(path, **parameters),
                _shape(table.name, values), corroborate=audit_phrase)


FEEDS: tuple[Feed[GitHubSession], ...] = (
    _feed("dependabot_alerts", "Alerts about vulnerable dependencies.", tables.DEPENDABOT_ALERT,
          "dependabot/alerts", _dependabot),
    _feed("code_scanning_alerts", "Alerts of code scanning.", tables.CODE_SCANNING_ALERT,
          "code-scanning/alerts", _code_scanning),
    _feed("secret_alerts", "Secrets found in repositories, without the secrets.", tables.SECRET_ALERT,
          "secret-scanning/alerts", _secret, hide_secret=True),
)
