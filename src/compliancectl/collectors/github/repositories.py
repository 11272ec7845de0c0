"""Repositories and their security settings: one row each, joined from GraphQL and REST.

GraphQL lists the repositories and counts them; the security settings exist only in REST. The REST replies are
fetched first and their facts travel in the context of the GraphQL page that gives the rows.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

from compliancectl.collectors.base import Feed, Fetched, Reply, Row, Target
from compliancectl.collectors.github import tables
from compliancectl.collectors.github.common import audit_phrase, gone, organization_target, repositories
from compliancectl.collectors.github.documents import REPOSITORIES
from compliancectl.collectors.github.session import GitHubSession, Got, Tally, at, data_of, facts_of, time_of
from compliancectl.errors import ApiDisabled, Denied

AT_ONCE = 8
"""Repositories whose own settings are asked for at the same time."""

_ANALYSIS = {
    "secret_scanning": "secret_scanning",
    "push_protection": "secret_scanning_push_protection",
    "non_provider_patterns": "secret_scanning_non_provider_patterns",
    "dependabot_security_updates": "dependabot_security_updates",
}
_CONFIGS = (
    "dependabot",
    "dependabotLong",
    "renovate",
    "renovate5",
    "renovateHidden",
    "renovateHidden5",
    "renovateRc",
    "renovateRcJson",
)
"""Aliases in the GraphQL document: each is a place where GitHub or Renovate looks for its configuration."""


def _fetch(session: GitHubSession, target: Target) -> Fetched:
    tally = Tally("GraphQL pages to hasNextPage = false, against totalCount, counted again in the REST listing")
    listed = yield from repositories(session, tally)
    tally.items = 0
    facts: dict[str, Any] = {}
    covered = {str(at(e, "name")): e for e in listed if session.config.covers(str(at(e, "name")))}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for some in _some(sorted(covered), 4 * AT_ONCE):
            session.context.progress(f"{some[0]}: repository {len(facts) + 1} of {len(covered)}")
            for name, found in zip(some, pool.map(lambda n: _drained(session, n, covered[n]), some), strict=True):
                facts[name], replies, counted = found
                tally.add(counted)
                yield from replies
    yield from _graphql(session, target, facts, tally)
    tally.counted = len(listed)
    absent = sorted(set(session.config.production) - set(facts))
    if absent:
        raise gone(session, absent[0], "repository")
    return tally.result()


def _graphql(
    session: GitHubSession, target: Target, facts: dict[str, Any], tally: Tally
) -> Generator[Reply, None, None]:
    cursor = session.cursor("repositories")
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


def _some(names: list[str], size: int) -> Iterator[list[str]]:
    """So many at a time, so that answers do not pile up in memory."""
    following = iter(names)
    while some := list(islice(following, size)):
        yield some


def _drained(session: GitHubSession, name: str, entry: Any) -> tuple[dict[str, Any], list[Reply], Tally]:
    """The details of one repository, their replies, and what was counted; runs in a thread of its own."""
    counted, replies = Tally(""), []
    details = _details(session, name, entry, counted)
    while True:
        try:
            replies.append(next(details))
        except StopIteration as done:
            return done.value, replies, counted


def _details(session: GitHubSession, name: str, entry: Any, tally: Tally) -> Generator[Reply, None, dict[str, Any]]:
    """What only REST knows of one repository; nothing is asked of archived ones, whose features are frozen."""
    found: dict[str, Any] = {
        column: at(entry, "security_and_analysis", field, "status") for column, field in _ANALYSIS.items()
    }
    if at(entry, "archived") is True:
        return found
    # GitHub answers 404 both for `off` and for `not yours to see`. Only to administrators does it show
    # `security_and_analysis`, so that its absence tells which of the two it is.
    shown = isinstance(at(entry, "security_and_analysis"), dict)
    root = f"/repos/{session.organization}/{name}"
    if not shown:  # to an administrator GraphQL tells it for all repositories at once
        alerts = yield from _feature(session, f"{root}/vulnerability-alerts", shown, tally)
        found["vulnerability_alerts"] = _on(alerts)
    fixes = yield from _feature(session, f"{root}/automated-security-fixes", shown, tally)
    for column, field in (("automated_fixes", "enabled"), ("automated_fixes_paused", "paused")):
        found[column] = False if _on(fixes) is False else at(fixes.data if fixes else None, field)
    sbom = yield from _feature(session, f"{root}/dependency-graph/sbom", shown, tally)
    packages = at(sbom.data, "sbom", "packages") if sbom else None
    found["sbom_packages"] = 0 if _on(sbom) is False else len(packages) if isinstance(packages, list) else None
    history = yield from _feature(session, f"{root}/secret-scanning/scan-history", shown, tally)
    found["backfill_completed"] = False if _on(history) is False else _completed(history.data if history else None)
    return found


def _feature(session: GitHubSession, path: str, shown: bool, tally: Tally) -> Generator[Reply, None, Got | None]:
    """One feature of one repository: on, or 404 for off. None when it is not part of the plan.

    Raises:
        Denied: if a 404 may as well mean that the token may not see it.
    """
    try:
        got = session.get(path, tally, also_fine=(404,))
    except ApiDisabled as off:
        tally.filters.append(f"not there: {off.message}")
        return None
    yield got.reply
    if got.status == 404 and not shown:
        raise Denied(
            f"GET {path}: GitHub answered 404, and does not show this repository's security settings either: "
            "it is off, or this token may not see it",
            hint="Grant the token the repository permission `Administration`: read.",
        )
    return got


def _on(got: Got | None) -> bool | None:
    return None if got is None else got.status != 404


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
            yield (
                "github.repository",
                {
                    **_row(node, {key for i, key in withheld if i == index}),
                    "organization": reply.context["organization"],
                    "resource": f"{reply.context['organization']}/{name}",
                    "production": name in facts["production"],
                    **facts["details"][name],
                },
            )


def _withheld(data: Any) -> set[tuple[int, str]]:
    """Pairs of node number and field that GitHub refused, from the errors' paths `….nodes.INDEX.FIELD`."""
    found: set[tuple[int, str]] = set()
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
        "vulnerability_alerts": None if at(node, "isArchived") else at(node, "hasVulnerabilityAlertsEnabled"),
        "update_config": True if present else (None if withheld & set(_CONFIGS) else False),
    }


FEEDS: tuple[Feed[GitHubSession], ...] = (
    Feed(
        "repositories",
        "Repositories, their visibility and their security settings.",
        (tables.REPOSITORY,),
        organization_target,
        _fetch,
        _shape,
        corroborate=audit_phrase,
    ),
)
