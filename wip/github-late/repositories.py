"""Repositories and their security settings: one row each, joined from GraphQL and REST.

GraphQL lists the repositories and counts them; the security settings exist only in REST. The REST replies are
fetched first and their facts travel in the context of the GraphQL page that gives the rows.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

from compliancectl.collectors.base import Feed, Fetched, Reply, Row, Target
from compliancectl.collectors.github import tables
from compliancectl.collectors.github.common import audit_phrase, gone, organization_target
from compliancectl.collectors.github.documents import REPOSITORIES
from compliancectl.collectors.github.session import Cursor, Got, GitHubSession, Tally, at, data_of, facts_of, time_of
from compliancectl.errors import ApiDisabled, CollectError, Denied, Missing

_ANALYSIS = {
    "secret_scanning": "secret_scanning",
    "push_protection": "secret_scanning_push_protection",
    "non_provider_patterns": "secret_scanning_non_provider_patterns",
    "dependabot_security_updates": "dependabot_security_updates",
}
_CONFIGS = ("dependabot", "dependabotLong", "renovate", "renovateHidden")


def _fetch(session: GitHubSession, target: Target) -> Fetched:
    tally = Tally("GraphQL pages to hasNextPage = false, against totalCount, counted again in the REST listing")
    listed = yield from session.pages(f"/orgs/{target.name}/repos", tally, type="all")
    tally.items = 0
    facts: dict[str, Any] = {}
    for entry in sorted(listed, key=lambda e: str(at(e, "name"))):
        name = str(at(entry, "name"))
        if session.config.covers(name):
            session.context.progress(name)
            facts[name] = yield from _details(session, name, entry, tally)
    yield from _graphql(session, target, facts, tally)
    tally.counted = len(listed)
    absent = sorted(set(session.config.production) - set(facts))
    if absent:
        raise gone(session, absent[0], "repository")
    return tally.result()


def _graphql(
    session: GitHubSession, target: Target, facts: dict[str, Any], tally: Tally
) -> Generator[Reply, None, None]:
    cursor = Cursor("repositories")
    production = sorted(session.config.production)
    while not cursor.done:
        variables = {"organization": target.name, "after": cursor.after}
        got = session.graphql(REPOSITORIES, variables, tally, facts={"production": production, "details": facts})
        nodes = cursor.take(at(got.data, "organization", "repositories"))
        for node in nodes:
            if session.config.covers(node["name"]) and node["name"] not in facts:
                tally.warn(f"{node['name']}: GraphQL lists this repository, REST does not")
        yield got.reply
    tally.items = cursor.count
    tally.expect(cursor.total)


def _details(session: GitHubSession, name: str, entry: Any, tally: Tally) -> Generator[Reply, None, dict[str, Any]]:
    """What only REST knows of one repository; nothing is asked of archived ones, whose features are frozen."""
    found: dict[str, Any] = {
        column: at(entry, "security_and_analysis", field, "status") for column, field in _ANALYSIS.items()
    }
    if at(entry, "archived") is True:
        return found
    root = f"/repos/{session.organization}/{name}"
    fixes = yield from _optional(session, f"{root}/automated-security-fixes", tally)
    if fixes is not None:
        off = fixes.status == 404
        found["automated_fixes"] = False if off else at(fixes.data, "enabled")
        found["automated_fixes_paused"] = False if off else at(fixes.data, "paused")
    sbom = yield from _optional(session, f"{root}/dependency-graph/sbom", tally)
    packages = at(sbom.data, "sbom", "packages") if sbom is not None else None
    found["sbom_packages"] = len(packages) if isinstance(packages, list) else None
    history = yield from _optional(session, f"{root}/secret-scanning/scan-history", tally)
    if history is not None and history.status == 200:
        found["backfill_completed"] = _completed(history.data)
    return found


def _optional(session: GitHubSession, path: str, tally: Tally) -> Generator[Reply, None, Got | None]:
    """One setting of one repository: 404 is an answer; a refusal leaves the columns NULL and is a warning."""
    try:
        got = session.get(path, tally, also_fine=(404,))
    except ApiDisabled:
        return None  # the feature is off, and its status column says so
    except (Denied, Missing) as error:
        tally.warn(_sentence(error))
        return None
    yield got.reply
    return got


def _sentence(error: CollectError) -> str:
    return f"{error.message} {error.hint}" if error.hint else error.message


def _completed(history: Any) -> bool | None:
    """False when no scan of the history was ever run; NULL when GitHub does not say."""
    scans = at(history, "backfill_scans")
    if not isinstance(scans, list):
        return None
    return bool(scans) and all(at(scan, "status") == "completed" for scan in scans)


def _shape(reply: Reply) -> Iterator[Row]:
    facts = facts_of(reply)
    if "details" not in facts:
        return
    data = data_of(reply)
    withheld = _withheld(data)
    for index, node in enumerate(at(data, "data", "organization", "repositories", "nodes") or ()):
        name = at(node, "name")
        if name in facts["details"]:
            yield "github.repository", {
                **_row(node, {key for i, key in withheld if i == index}),
                "organization": reply.context["organization"],
                "resource": f"{reply.context['organization']}/{name}",
                "production": name in facts["production"],
                **facts["details"][name],
            }


def _withheld(data: Any) -> set[tuple[int, str]]:
    """Pairs of node number and field that GitHub refused, from the errors' paths `….nodes.INDEX.FIELD`."""
    found = set()
    for error in data.get("errors") or ():
        path = error.get("path") or []
        found.update((path[i], str(path[i + 1])) for i in range(len(path) - 1) if isinstance(path[i], int))
    return found


def _row(node: Any, withheld: set[str]) -> dict[str, Any]:
    present = any(at(node, key) is not None for key in _CONFIGS)
    visibility = at(node, "visibility")
    return {
        "name": at(node, "name"),
        "archived": at(node, "isArchived"),
        "fork": at(node, "isFork"),
        "visibility": visibility.lower() if isinstance(visibility, str) else visibility,
        "default_branch": at(node, "defaultBranchRef", "name"),
        "pushed": time_of(at(node, "pushedAt")),
        "vulnerability_alerts": at(node, "hasVulnerabilityAlertsEnabled"),
        "update_config": True if present else (None if withheld & set(_CONFIGS) else False),
    }


FEEDS: tuple[Feed[GitHubSession], ...] = (
    Feed("repositories", "Repositories, their visibility and their security settings.", (tables.REPOSITORY,),
         organization_target, _fetch, _shape, corroborate=audit_phrase),
)
