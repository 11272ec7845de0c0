"""How code is analysed and where it is deployed from: code scanning's analyses and environments of production repositories."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from typing import Any

from compliancectl.collectors.base import Feed, Fetched, Reply, Row, Target
from compliancectl.collectors.github.client import PAGE_SIZE
from compliancectl.collectors.github.columns import CODE_SCANNING, ENVIRONMENTS, column, table
from compliancectl.collectors.github.common import (
    audit_phrase,
    object_pages,
    production_branches,
    production_targets,
    repository_of,
)
from compliancectl.collectors.github.session import GitHubSession, Tally, at, data_of, facts_of, time_of
from compliancectl.errors import Denied
from compliancectl.model.table import BOOL, INT, TEXT, TIME

_LANGUAGE = re.compile(r"language:([\w-]+)")
_NONE = "no analysis found"
"""What GitHub says with 404 when nothing was ever analysed; any other 404 hides the answer."""
_ANALYSIS = "GET /repos/{owner}/{repo}/code-scanning/analyses#"

ANALYSIS = table(
    "analysis",
    "One row per analysis of a production branch by code scanning, the hundred youngest of each branch.",
    (CODE_SCANNING,),
    column("repository", TEXT, "Name of the repository.", "scope", required=True),
    column("branch", TEXT, "Production branch.", "scope", required=True),
    column("tool", TEXT, "Name of the scanner.", _ANALYSIS + "tool.name"),
    column(
        "language", TEXT, "Language, as CodeQL calls it; NULL when the category names none.", _ANALYSIS + "category"
    ),
    column("created", TIME, "When.", _ANALYSIS + "created_at", required=True),
    column("failed", BOOL, "GitHub could not process it.", _ANALYSIS + "error"),
    column("results", INT, "How many results it has.", _ANALYSIS + "results_count"),
)

_PLACE = "GET /repos/{owner}/{repo}/environments#environments[]."

ENVIRONMENT = table(
    "environment",
    "One row per environment of a production repository.",
    (ENVIRONMENTS,),
    column("repository", TEXT, "Name of the repository.", "scope", required=True),
    column("name", TEXT, "Name.", _PLACE + "name", required=True),
    column(
        "protected_branches",
        BOOL,
        "Only protected branches deploy to it; false when others may.",
        _PLACE + "deployment_branch_policy.protected_branches",
    ),
    column(
        "custom_branches",
        BOOL,
        "Branches are named one by one; false when they are not.",
        _PLACE + "deployment_branch_policy.custom_branch_policies",
    ),
    column("reviewers", INT, "People and teams of whom one must agree.", _PLACE + "protection_rules[].reviewers"),
)


def _fetch_analyses(session: GitHubSession, target: Target) -> Fetched:
    tally = Tally("the first page, youngest first, of each production branch")
    tally.filters.append(f"the {PAGE_SIZE} youngest")
    repository = repository_of(target)
    branches = yield from production_branches(session, repository, tally)
    for branch in branches:
        yield from _analyses(session, repository, branch, tally)
    return tally.result()


def _analyses(session: GitHubSession, repository: str, branch: str, tally: Tally) -> Generator[Reply, None, None]:
    path = f"/repos/{session.organization}/{repository}/code-scanning/analyses"
    asked = {"ref": f"refs/heads/{branch}", "sort": "created", "direction": "desc", "per_page": PAGE_SIZE}
    facts = {"repository": repository, "branch": branch}
    got = session.get(path, tally, also_fine=(404,), want=list, facts=facts, **asked)
    said = str(at(got.data, "message"))
    if got.status == 404 and not said.lower().startswith(_NONE):
        raise Denied(
            f"GET {path}: {said} (there is none, or this token may not see it)",
            hint=f"Grant the token {CODE_SCANNING}.",
        )
    tally.items += len(got.data) if isinstance(got.data, list) else 0
    yield got.reply


def _shape_analysis(reply: Reply) -> Iterator[Row]:
    facts, organization = facts_of(reply), reply.context["organization"]
    if "branch" not in facts or reply.status == "404":
        return
    for entry in data_of(reply):
        language = _LANGUAGE.search(str(at(entry, "category") or ""))
        error = at(entry, "error")
        yield (
            "github.analysis",
            {
                "organization": organization,
                "resource": f"{organization}/{facts['repository']}/analyses/{at(entry, 'id')}",
                **facts,
                "tool": at(entry, "tool", "name"),
                "language": language.group(1) if language else None,
                "created": time_of(at(entry, "created_at")),
                "failed": None if error is None else error != "",
                "results": at(entry, "results_count"),
            },
        )


def _fetch_environments(session: GitHubSession, target: Target) -> Fetched:
    tally = Tally("all pages, against total_count")
    facts = {"repository": repository_of(target)}
    yield from object_pages(session, f"/repos/{target.name}/environments", "environments", tally, facts=facts)
    return tally.result()


def _shape_environment(reply: Reply) -> Iterator[Row]:
    facts, organization = facts_of(reply), reply.context["organization"]
    for entry in at(data_of(reply), "environments") or ():
        rules, policy = at(entry, "protection_rules"), at(entry, "deployment_branch_policy")
        yield (
            "github.environment",
            {
                "organization": organization,
                "resource": f"{organization}/{facts['repository']}/environments/{at(entry, 'name')}",
                "repository": facts["repository"],
                "name": at(entry, "name"),
                "protected_branches": _allows(entry, policy, "protected_branches"),
                "custom_branches": _allows(entry, policy, "custom_branch_policies"),
                "reviewers": sum(len(at(rule, "reviewers") or ()) for rule in rules)
                if isinstance(rules, list)
                else None,
            },
        )


def _allows(entry: Any, policy: Any, name: str) -> bool | None:
    """A null policy lets every branch deploy; one that is not there says nothing."""
    if isinstance(policy, dict):
        value = policy.get(name)
        return value if isinstance(value, bool) else None
    return False if isinstance(entry, dict) and "deployment_branch_policy" in entry else None


FEEDS: tuple[Feed[GitHubSession], ...] = (
    Feed(
        "analyses",
        "What code scanning analysed of production branches, and when.",
        (ANALYSIS,),
        production_targets,
        _fetch_analyses,
        _shape_analysis,
        corroborate=audit_phrase,
    ),
    Feed(
        "environments",
        "Environments that production repositories deploy to, and from which branches.",
        (ENVIRONMENT,),
        production_targets,
        _fetch_environments,
        _shape_environment,
        corroborate=audit_phrase,
    ),
)
