"""Repositories and their security settings: one row each, joined from GraphQL and REST.

GraphQL lists the repositories and counts them; the security settings exist only in REST. The REST replies are
fetched first and their facts travel in the context of the GraphQL page that gives the rows.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

from compliancectl.collectors.base import Feed, Fetched, Reply, Row, Target
from compliancectl.collectors.github import tables
from compliancectl.collectors.github.common import audit_phrase, each, gone, organization_target, repositories
from compliancectl.collectors.github.documents import REPOSITORIES
from compliancectl.collectors.github.session import GitHubSession, Got, Tally, at, data_of, facts_of, time_of
from compliancectl.errors import ApiDisabled, Denied

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
    covered = {str(at(e, "name")): e for e in listed if session.config.covers(str(at(e, "name")))}

    def ask(name: str, counted: Tally) -> Generator[Reply, None, dict[str, Any]]:
        return _details(session, name, covered[name], counted)

    facts = yield from each(session, sorted(covered), ask, tally, "settings")
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
    declared = {
        "production": sorted(session.config.production),
        "no_application": sorted(session.config.no_application),
        "classes": session.config.classes,
        "apis": session.config.apis,
    }
    while not cursor.done:
        variables = {"organization": target.name, "after": cursor.after}
        got = session.graphql(REPOSITORIES, variables, tally, facts={**declared, "details": facts})
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
    if at(entry, "visibility") == "public":  # outsiders see no other, and GitHub answers about one at a time
        private = yield from _feature(session, f"{root}/private-vulnerability-reporting", shown, tally)
        found["private_reporting"] = (
            False if _on(private) is False else at(private.data if private else None, "enabled")
        )
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
    if reply.context["kind"].endswith("/dependency-graph/sbom"):
        yield from _packages(reply)
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
                    "application": name in facts["production"] and name not in facts["no_application"],
                    "api": facts["apis"].get(name),
                    "class": "production" if name in facts["production"] else facts["classes"].get(name),
                    **facts["details"][name],
                },
            )


def _packages(reply: Reply) -> Iterator[Row]:
    """The parts in a bill of materials; what GitHub counts as its subject is not one of them."""
    organization, repository = reply.context["organization"], reply.context["kind"].split("/")[3]
    for entry in at(data_of(reply), "sbom", "packages") or ():
        yield (
            "github.package",
            {
                "organization": organization,
                "resource": f"{organization}/{repository}/{at(entry, 'SPDXID')}",
                "repository": repository,
                "name": at(entry, "name"),
                "version": at(entry, "versionInfo"),
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
        "languages": _languages(node),
        **_owned(node, withheld),
        "security_policy": at(node, "isSecurityPolicyEnabled"),
        "security_contacts": _words(node, "contacts", ("policy", "policyHidden", "policyDocs"), withheld),
        "template_references": _words(node, "references", ("template", "templateRoot", "templateDocs"), withheld),
        "update_config": True if present else (None if withheld & set(_CONFIGS) else False),
    }


def _languages(node: Any) -> list[str] | None:
    nodes = at(node, "languages", "nodes")
    return sorted(str(at(language, "name")) for language in nodes) if isinstance(nodes, list) else None


def _words(node: Any, key: str, places: tuple[str, ...], withheld: set[str]) -> list[str] | None:
    """What is left of a text, wherever of its places it is found; NULL when that was withheld."""
    if withheld & set(places):
        return None
    texts = [at(node, place, key) for place in places]
    return sorted({word for text in texts if isinstance(text, str) for word in text.split("\n") if word})


def _owned(node: Any, withheld: set[str]) -> dict[str, Any]:
    """Who owns what: of the places of a CODEOWNERS file, the first one counts, and of its lines the last."""
    places = ("owners", "ownersRoot", "ownersDocs")
    if withheld & {*places, "codeowners"}:
        return {}
    text = next((found for place in places if isinstance(found := at(node, place, "owned"), str)), "")
    last: dict[str, bool] = {}
    for line in text.split("\n"):
        pattern, *owners = line.split() or [""]
        if pattern:
            last[_pattern(pattern)] = bool(owners)
    return {
        "owned_paths": sorted(path for path, owned in last.items() if owned),
        "unowned_paths": sorted(path for path, owned in last.items() if not owned),
        "codeowners_errors": len(at(node, "codeowners", "errors") or ()),
    }


def _pattern(text: str) -> str:
    """`/auth/`, `auth/**` and `auth` as `auth/`; what has other wildcards as it is."""
    bare = text.removeprefix("/").removesuffix("/**")
    return bare if "*" in bare or "." in bare.rpartition("/")[2].lstrip(".") else f"{bare.rstrip('/')}/"


FEEDS: tuple[Feed[GitHubSession], ...] = (
    Feed(
        "repositories",
        "Repositories, their visibility, their security settings and the parts that they are made of.",
        (tables.REPOSITORY, tables.PACKAGE),
        organization_target,
        _fetch,
        _shape,
        corroborate=audit_phrase,
    ),
)
