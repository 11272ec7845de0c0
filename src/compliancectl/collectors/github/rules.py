"""Rules on production branches, rulesets with their history, and pushes that bypassed rules."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from compliancectl.collectors.base import Feed, Fetched, Reply, Row, Target
from compliancectl.collectors.github import graphql_rules, merged_rules, rule_tables
from compliancectl.collectors.github.common import (
    audit_phrase,
    gone,
    neighbours,
    organization_target,
    production_branches,
    production_targets,
    repository_of,
)
from compliancectl.collectors.github.documents import BRANCH_RULES, RULESETS
from compliancectl.collectors.github.session import (
    GitHubSession,
    Tally,
    at,
    connection,
    data_of,
    facts_of,
    time_of,
)
from compliancectl.errors import Denied
from compliancectl.model.evidence import Window

_NONE = "Branch not protected"
"""What GitHub says with 404 when a branch has no classic protection; any other 404 hides the answer."""


def _fetch_branch_rules(session: GitHubSession, target: Target) -> Fetched:
    tally = Tally("every production branch that the scope declares; all of its active rules, and classic protection")
    repository = repository_of(target)
    branches = yield from production_branches(session, repository, tally)
    for branch in branches:
        yield from _rules_of(session, repository, branch, tally)
    tally.items = len(branches)
    return tally.result()


def _rules_of(session: GitHubSession, repository: str, branch: str, tally: Tally) -> Generator[Reply, None, None]:
    """What GraphQL says of one branch; REST is asked where GraphQL does not show all of it."""
    shared = {"organization": session.organization, "ref": f"refs/heads/{branch}"}
    facts: dict[str, Any] = {"repository": repository, "branch": branch}
    got = session.ask(BRANCH_RULES, repository, shared, tally, others=lambda: neighbours(session, branch), facts=facts)
    found = at(got.data, "repository")
    if found is None:
        raise gone(session, repository, "repository")
    if at(found, "ref") is None:
        raise gone(session, repository, f"branch {branch}")
    if graphql_rules.is_whole(found):
        yield got.reply
        return
    root = f"/repos/{session.organization}/{repository}"
    yield dataclasses.replace(got.reply, context={**got.reply.context, "facts": "{}"})
    rules = yield from session.pages(f"{root}/rules/branches/{quote(branch, safe='')}", tally)
    facts = {**facts, **merged_rules.from_rulesets(rules), "sources": merged_rules.sources(rules, None)}
    path = f"{root}/branches/{quote(branch, safe='')}/protection"
    protection = session.get(path, tally, also_fine=(404,), facts=facts)
    if protection.status == 404:
        _check_unprotected(session, repository, branch, str(at(protection.data, "message")))
    yield protection.reply


def _check_unprotected(session: GitHubSession, repository: str, branch: str, said: str) -> None:
    """Refuse a 404 that does not say that the branch is there and unprotected."""
    if said.startswith(_NONE):
        return
    if said.startswith("Branch not found"):
        raise gone(session, repository, f"branch {branch}")
    raise Denied(
        f"classic protection of {session.organization}/{repository}/{branch} is hidden: GitHub answered 404: {said}",
        hint="Grant the token the repository permission `Administration`: read.",
    )


def _shape_branch_rule(reply: Reply) -> Iterator[Row]:
    facts, organization = facts_of(reply), reply.context["organization"]
    if "branch" not in facts:
        return
    if reply.context["kind"] == "graphql":
        ref = at(data_of(reply), "data", "repository", "ref")
        rules, protection = graphql_rules.rules(ref), graphql_rules.protection(ref)
        facts = {**facts, **merged_rules.from_rulesets(rules), "sources": merged_rules.sources(rules, None)}
    else:
        protection = {} if reply.status == "404" else data_of(reply)
    found = {**facts, **merged_rules.from_classic(protection)}
    names = ("ruleset_checks", "ruleset_signatures", "classic_checks", "classic_signatures")
    yield (
        "github.branch_rule",
        {
            "organization": organization,
            "resource": f"{organization}/{facts['repository']}/{facts['branch']}",
            **{name: value for name, value in found.items() if name not in names},
            **merged_rules.binding(found),
            "sources": sorted([*facts["sources"], *merged_rules.sources([], protection)]),
        },
    )


def _ruleset_targets(session: GitHubSession) -> Iterable[Target]:
    return (*organization_target(session), *production_targets(session))


def _fetch_rulesets(session: GitHubSession, target: Target) -> Fetched:
    tally = Tally("all pages of rulesets, each ruleset in full, and all versions that GitHub keeps")
    tally.filters.append("rulesets for branches")
    repository = repository_of(target)
    production: dict[str, Any] = {}
    for name in sorted(session.config.production):
        if repository in ("", name):
            branches = yield from production_branches(session, name, tally)
            production[name] = {"branches": branches, "default": not session.config.production[name]}
    root = f"/repos/{target.name}" if repository else f"/orgs/{target.name}"
    numbers = yield from _numbers(session, repository, tally)
    tally.items = 0
    for number in sorted(numbers):
        facts = {"repository": repository, "production": production}
        yield from _ruleset(session, f"{root}/rulesets/{number}", facts, tally)
    return tally.result()


def _numbers(session: GitHubSession, repository: str, tally: Tally) -> Generator[Reply, None, list[int]]:
    """Numbers of the rulesets of a repository, from GraphQL if that shows them all; of the organisation from REST."""
    root = f"/repos/{session.organization}/{repository}"
    parameters: dict[str, Any] = {"includes_parents": False}
    if not repository:
        root, parameters = f"/orgs/{session.organization}", {}
    else:
        shared = {"organization": session.organization}
        got = session.ask(RULESETS, repository, shared, tally, others=lambda: session.config.production)
        if at(got.data, "repository") is None:
            raise gone(session, repository, "repository")
        yield got.reply
        rulesets = at(got.data, "repository", "rulesets")
        if isinstance(rulesets, dict):
            nodes, total, following = connection(rulesets, f"rulesets of {repository}")
            numbers = [at(node, "databaseId") for node in nodes]
            if following is None and len(numbers) == total and None not in numbers:
                return numbers
    listed = yield from session.pages(f"{root}/rulesets", tally, targets="branch", **parameters)
    return [at(entry, "id") or 0 for entry in listed]


def _ruleset(session: GitHubSession, path: str, facts: dict[str, Any], tally: Tally) -> Generator[Reply, None, None]:
    """One ruleset and its versions."""
    yield session.get(path, tally, facts={**facts, "is": "ruleset"}).reply
    tally.items += 1
    for version in (yield from session.pages(f"{path}/history", tally)):
        facts = {"is": "version", "repository": facts["repository"], "ruleset": path.rpartition("/")[2]}
        yield session.get(f"{path}/history/{at(version, 'version_id')}", tally, facts=facts).reply


def _shape_ruleset(reply: Reply) -> Iterator[Row]:
    facts, organization = facts_of(reply), reply.context["organization"]
    if facts.get("is") == "ruleset":
        yield "github.ruleset", _ruleset_row(data_of(reply), facts, organization)
    elif facts.get("is") == "version":
        yield "github.ruleset_version", _version_row(data_of(reply), facts, organization)


def _ruleset_row(data: Any, facts: Any, organization: str) -> dict[str, Any]:
    return {
        "organization": organization,
        "resource": _resource(organization, facts["repository"], at(data, "id")),
        "id": at(data, "id"),
        "name": at(data, "name"),
        "level": "repository" if facts["repository"] else "organization",
        "repository": facts["repository"] or None,
        "enforcement": at(data, "enforcement"),
        "bypass_actors": merged_rules.bypass_actors(data),
        "targets_production": merged_rules.targets(data, facts["production"]),
        "updated": time_of(at(data, "updated_at")),
    }


def _version_row(data: Any, facts: Any, organization: str) -> dict[str, Any]:
    ruleset = _resource(organization, facts["repository"], facts["ruleset"])
    actor = at(data, "actor")
    return {
        "organization": organization,
        "resource": f"{ruleset}@{at(data, 'version_id')}",
        "ruleset": ruleset,
        "version": at(data, "version_id"),
        "updated": time_of(at(data, "updated_at")),
        "actor": f"{at(actor, 'type')} {at(actor, 'id')}" if at(actor, "id") is not None else None,
        **merged_rules.of_version(at(data, "state", "rules")),
        "enforcement": at(data, "state", "enforcement"),
    }


def _resource(organization: str, repository: str, number: Any) -> str:
    owner = f"{organization}/{repository}" if repository else organization
    return f"{owner}/rulesets/{number}"


def _fetch_bypasses(session: GitHubSession, target: Target) -> Fetched:
    tally = Tally("all pages of rule suites with the result bypass; GitHub answers for one month at most")
    tally.filters += ["rule_suite_result = bypass", "time_period = month"]
    repository = repository_of(target)
    branches = yield from production_branches(session, repository, tally)
    refs = [f"refs/heads/{branch}" for branch in branches]
    yield from session.pages(
        f"/repos/{target.name}/rulesets/rule-suites",
        tally,
        facts={"repository": repository, "refs": refs},
        rule_suite_result="bypass",
        time_period="month",
    )
    return tally.result()


def _shape_bypass(reply: Reply) -> Iterator[Row]:
    facts = facts_of(reply)
    if "refs" not in facts:
        return
    owner = f"{reply.context['organization']}/{facts['repository']}"
    for entry in data_of(reply):
        ref = at(entry, "ref")
        yield (
            "github.bypass",
            {
                "organization": reply.context["organization"],
                "resource": f"{owner}/rule-suites/{at(entry, 'id')}",
                "repository": facts["repository"],
                "actor": at(entry, "actor_name"),
                "result": at(entry, "result"),
                "pushed": time_of(at(entry, "pushed_at")),
                "ref": ref,
                "after_sha": at(entry, "after_sha"),
                "production": ref in facts["refs"] if isinstance(ref, str) else True,
            },
        )


def _month(session: GitHubSession) -> Window | None:
    as_of = session.context.as_of
    return Window(start=as_of - timedelta(days=30), end=as_of)


FEEDS: tuple[Feed[GitHubSession], ...] = (
    Feed(
        "branch_rules",
        "What GitHub enforces on each production branch, from rulesets and classic protection.",
        (rule_tables.BRANCH_RULE,),
        production_targets,
        _fetch_branch_rules,
        _shape_branch_rule,
        corroborate=audit_phrase,
    ),
    Feed(
        "rulesets",
        "Rulesets, who may bypass them, and every version of them.",
        (rule_tables.RULESET, rule_tables.RULESET_VERSION),
        _ruleset_targets,
        _fetch_rulesets,
        _shape_ruleset,
        corroborate=audit_phrase,
    ),
    Feed(
        "bypasses",
        "Pushes that bypassed rules in the last month.",
        (rule_tables.BYPASS,),
        production_targets,
        _fetch_bypasses,
        _shape_bypass,
        window=_month,
        corroborate=audit_phrase,
    ),
)
