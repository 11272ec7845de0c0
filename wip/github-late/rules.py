"""Rules on production branches, rulesets with their history, and pushes that bypassed rules."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from compliancectl.collectors.base import Feed, Fetched, Reply, Row, Target
from compliancectl.collectors.github import merged_rules, tables
from compliancectl.collectors.github.common import audit_phrase, gone, organization_target, production_branches
from compliancectl.collectors.github.documents import BRANCH_RULES
from compliancectl.collectors.github.session import Cursor, GitHubSession, Tally, at, data_of, facts_of, time_of
from compliancectl.errors import Denied, Garbage
from compliancectl.model.evidence import Window


def _fetch_branch_rules(session: GitHubSession, target: Target) -> Fetched:
    tally = Tally("every production branch that the scope declares; its rules against totalCount")
    pairs = production_branches(session, tally)
    for repository, branch in pairs:
        session.context.progress(f"{repository}: {branch}")
        classic = yield from _classic(session, repository, branch, tally)
        facts = {"repository": repository, "branch": branch, "classic": classic}
        variables = {"organization": target.name, "repository": repository, "ref": f"refs/heads/{branch}"}
        got = session.graphql(BRANCH_RULES, {**variables, "after": None}, tally, facts=facts)
        ref = at(got.data, "repository", "ref")
        if ref is None:
            raise gone(session, repository, f"branch {branch}")
        cursor = Cursor(f"rules of {repository}/{branch}")
        cursor.take(at(ref, "rules"))
        if not cursor.done:
            raise Garbage(f"{repository}/{branch} has more than 100 rules; this version reads no more")
        yield got.reply
    tally.items = tally.counted = len(pairs)
    return tally.result()


def _classic(
    session: GitHubSession, repository: str, branch: str, tally: Tally
) -> Generator[Reply, None, dict[str, Any] | None]:
    """Classic protection: its settings, an empty object when there is none, None when it is hidden."""
    path = f"/repos/{session.organization}/{repository}/branches/{quote(branch, safe='')}/protection"
    try:
        got = session.get(path, tally, also_fine=(404,))
    except Denied as error:
        tally.warn(f"classic protection of {repository}/{branch} is hidden: {error.message}")
        return None
    yield got.reply
    if got.status == 404:
        said = str(at(got.data, "message"))
        if said.startswith("Branch not protected"):
            return {}
        tally.warn(f"classic protection of {repository}/{branch} is hidden: GitHub answered 404: {said}")
        return None
    return merged_rules.classic(got.data)


def _shape_branch_rule(reply: Reply) -> Iterator[Row]:
    facts = facts_of(reply)
    if "branch" not in facts:
        return
    rules = at(data_of(reply), "data", "repository", "ref", "rules", "nodes") or []
    organization = reply.context["organization"]
    yield "github.branch_rule", {
        "organization": organization,
        "resource": f"{organization}/{facts['repository']}/{facts['branch']}",
        "repository": facts["repository"],
        "branch": facts["branch"],
        **merged_rules.merge(rules, facts["classic"]),
    }


def _fetch_rulesets(session: GitHubSession, target: Target) -> Fetched:
    tally = Tally("all pages of rulesets, each ruleset in full, and all versions that GitHub keeps")
    tally.filters.append("rulesets for branches")
    defaults = {r: b for r, b in reversed(production_branches(session, tally))}
    roots = [(f"/orgs/{target.name}", "")]
    roots += [(f"/repos/{target.name}/{name}", name) for name in sorted(session.config.production)]
    count = 0
    for root, repository in roots:
        more = {} if not repository else {"includes_parents": False}
        listed = yield from session.pages(f"{root}/rulesets", tally, targets="branch", **more)
        for entry in sorted(listed, key=lambda e: at(e, "id") or 0):
            branch = defaults.get(repository, "")
            count += 1 + (yield from _ruleset(session, f"{root}/rulesets/{at(entry, 'id')}", repository, branch, tally))
    tally.items = count
    return tally.result()


def _ruleset(
    session: GitHubSession, path: str, repository: str, branch: str, tally: Tally
) -> Generator[Reply, None, int]:
    """One ruleset and its versions; returns how many versions there are."""
    facts: dict[str, Any] = {"repository": repository, "default_branch": branch}
    yield session.get(path, tally, facts={**facts, "is": "ruleset"}).reply
    versions = yield from session.pages(f"{path}/history", tally)
    for version in versions:
        number = at(version, "version_id")
        yield session.get(f"{path}/history/{number}", tally, facts={**facts, "is": "version", "ruleset": path}).reply
    return len(versions)


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
        "targets_default_branch": merged_rules.targets_default(data, facts["default_branch"]),
        "updated": time_of(at(data, "updated_at")),
    }


def _version_row(data: Any, facts: Any, organization: str) -> dict[str, Any]:
    number = facts["ruleset"].rpartition("/")[2]
    ruleset = _resource(organization, facts["repository"], number)
    actor = at(data, "actor")
    return {
        "organization": organization,
        "resource": f"{ruleset}@{at(data, 'version_id')}",
        "ruleset": ruleset,
        "version": at(data, "version_id"),
        "updated": time_of(at(data, "updated_at")),
        "actor": f"{at(actor, 'type')} {at(actor, 'id')}" if at(actor, "id") is not None else None,
        "required_reviews": merged_rules.reviews_of(at(data, "state", "rules")),
        "enforcement": at(data, "state", "enforcement"),
    }


def _resource(organization: str, repository: str, number: Any) -> str:
    owner = f"{organization}/{repository}" if repository else organization
    return f"{owner}/rulesets/{number}"


def _fetch_bypasses(session: GitHubSession, target: Target) -> Fetched:
    tally = Tally("all pages of rule suites with the result bypass; GitHub answers for one month at most")
    tally.filters += ["rule_suite_result = bypass", "time_period = month"]
    branches: dict[str, list[str]] = {}
    for repository, branch in production_branches(session, tally):
        branches.setdefault(repository, []).append(f"refs/heads/{branch}")
    yield from session.pages(
        f"/orgs/{target.name}/rulesets/rule-suites", tally, facts={"production": branches},
        rule_suite_result="bypass", time_period="month",
    )
    return tally.result()


def _shape_bypass(reply: Reply) -> Iterator[Row]:
    production = facts_of(reply).get("production")
    if production is None:
        return
    organization = reply.context["organization"]
    for entry in data_of(reply):
        repository, ref = at(entry, "repository_name"), at(entry, "ref")
        refs = production.get(repository, [])
        yield "github.bypass", {
            "organization": organization,
            "resource": f"{organization}/{repository}/rule-suites/{at(entry, 'id')}",
            "repository": repository,
            "actor": at(entry, "actor_name"),
            "result": at(entry, "result"),
            "pushed": time_of(at(entry, "pushed_at")),
            "ref": ref,
            "after_sha": at(entry, "after_sha"),
            "production": ref in refs if isinstance(ref, str) else bool(refs),
        }


def _month(session: GitHubSession) -> Window | None:
    as_of = session.context.as_of
    return Window(start=as_of - timedelta(days=30), end=as_of)


FEEDS: tuple[Feed[GitHubSession], ...] = (
    Feed("branch_rules", "What GitHub enforces on each production branch, from rulesets and classic protection.",
         (tables.BRANCH_RULE,), organization_target, _fetch_branch_rules, _shape_branch_rule, corroborate=audit_phrase),
    Feed("rulesets", "Rulesets, who may bypass them, and every version of them.",
         (tables.RULESET, tables.RULESET_VERSION), organization_target, _fetch_rulesets, _shape_ruleset,
         corroborate=audit_phrase),
    Feed("bypasses", "Pushes that bypassed rules in the last month.", (tables.BYPASS,), organization_target,
         _fetch_bypasses, _shape_bypass, window=_month, corroborate=audit_phrase),
)
