"""What rulesets and classic protection say about one branch, by the names of our columns; pure."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from compliancectl.collectors.github.session import at

_RULES = {
    "dismiss_stale": "dismiss_stale_reviews_on_push",
    "last_push_approval": "require_last_push_approval",
    "code_owner_review": "require_code_owner_review",
}
_CLASSIC = {
    "dismiss_stale": "dismiss_stale_reviews",
    "last_push_approval": "require_last_push_approval",
    "code_owner_review": "require_code_owner_reviews",
}
_NAMES = {"users": "login", "teams": "slug", "apps": "slug"}


def from_rulesets(rules: list[Any]) -> dict[str, Any]:
    """Columns from GitHub's merged list of the active rules of a branch."""
    pulls = [at(rule, "parameters") for rule in rules if at(rule, "type") == "pull_request"]
    kinds = {at(rule, "type") for rule in rules}
    checks = {
        str(at(check, "context"))
        for rule in rules
        if at(rule, "type") == "required_status_checks"
        for check in at(rule, "parameters", "required_status_checks") or []
    }
    tools = [
        tool
        for rule in rules
        if at(rule, "type") == "code_scanning"
        for tool in at(rule, "parameters", "code_scanning_tools") or []
    ]
    return {
        "ruleset_checks": sorted(checks),
        "ruleset_signatures": "required_signatures" in kinds,
        "ruleset_code_scanning": sorted(str(at(tool, "security_alerts_threshold")) for tool in tools),
        "ruleset_reviews": max([at(p, "required_approving_review_count") or 0 for p in pulls], default=0),
        **{f"ruleset_{name}": any(at(p, field) is True for p in pulls) for name, field in _RULES.items()},
        "ruleset_status_checks": len(checks),
        "ruleset_blocks_force_push": "non_fast_forward" in kinds,
        "ruleset_blocks_deletion": "deletion" in kinds,
        "rulesets": sorted({at(rule, "ruleset_id") for rule in rules if at(rule, "ruleset_id") is not None}),
    }


def from_classic(protection: Any) -> dict[str, Any]:
    """Columns from classic protection; an empty object when the branch has none."""
    reviews = at(protection, "required_pull_request_reviews")
    checks = at(protection, "required_status_checks")
    contexts = {str(at(c, "context")) for c in at(checks, "checks") or []}
    contexts |= {str(c) for c in at(checks, "contexts") or []}
    there = bool(protection)
    return {
        "classic_reviews": at(reviews, "required_approving_review_count") or 0,
        **{f"classic_{name}": at(reviews, field) is True for name, field in _CLASSIC.items()},
        "classic_bypass": _bypass(at(reviews, "bypass_pull_request_allowances")),
        "classic_status_checks": len(contexts),
        "classic_checks": sorted(contexts),
        "classic_signatures": at(protection, "required_signatures", "enabled") is True,
        "classic_binds_admins": at(protection, "enforce_admins", "enabled") is True,
        "classic_blocks_force_push": there and at(protection, "allow_force_pushes", "enabled") is False,
        "classic_blocks_deletion": there and at(protection, "allow_deletions", "enabled") is False,
    }


def binding(found: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of what binds everyone: all of the rulesets, and of classic protection what administrators cannot pass by."""
    classic = found["classic_binds_admins"] is True
    return {
        "required_checks": sorted({*found["ruleset_checks"], *(found["classic_checks"] if classic else ())}),
        "signatures_required": found["ruleset_signatures"] or (classic and found["classic_signatures"]),
    }


def _bypass(allowances: Any) -> list[str]:
    found = [f"{kind[:-1]} {at(actor, name)}" for kind, name in _NAMES.items() for actor in at(allowances, kind) or []]
    return sorted(found)


def sources(rules: list[Any], protection: Any) -> list[str]:
    """Where the rules come from."""
    found = {f"ruleset {at(rule, 'ruleset_id')} ({str(at(rule, 'ruleset_source_type')).lower()})" for rule in rules}
    return sorted(found | ({"classic protection"} if protection else set()))


def bypass_actors(ruleset: Any) -> list[dict[str, Any]] | None:
    """Who may bypass a ruleset; None when GitHub left the list out, as it does for tokens that may not edit it."""
    actors = at(ruleset, "bypass_actors")
    if not isinstance(actors, list):
        return None
    found = [{"type": at(a, "actor_type"), "id": at(a, "actor_id"), "mode": at(a, "bypass_mode")} for a in actors]
    return sorted(found, key=lambda a: (str(a["type"]), a["id"] or 0))


def targets(ruleset: Any, production: Mapping[str, Mapping[str, Any]]) -> bool | None:
    """Whether a ruleset speaks about a production branch; false only when it certainly does not.

    Args:
        ruleset: as GitHub describes it.
        production: repository → its production `branches`, and whether those are known to be the default (`default`).

    Returns:
        None when the conditions are withheld. Conditions on ids and properties of repositories count as met.
    """
    refs, repositories = at(ruleset, "conditions", "ref_name"), at(ruleset, "conditions", "repository_name")
    if not isinstance(at(refs, "include"), list):
        return None
    return any(
        _met(refs, f"refs/heads/{branch}", facts["default"])
        for name, facts in production.items()
        if repositories is None or _met(repositories, name, False)
        for branch in facts["branches"]
    )


def _met(condition: Any, name: str, default: bool) -> bool:
    """True unless `name` is certainly not included, or certainly excluded."""
    include = [str(p) for p in at(condition, "include") or []]
    exclude = [str(p) for p in at(condition, "exclude") or []]
    inside = "~DEFAULT_BRANCH" in include or any(p == "~ALL" or fnmatchcase(name, p) for p in include)
    outside = (default and "~DEFAULT_BRANCH" in exclude) or any(p == "~ALL" or _segments(name, p) for p in exclude)
    return inside and not outside


def _segments(name: str, pattern: str) -> bool:
    """The narrow reading of a pattern: each part between slashes on its own."""
    names, patterns = name.split("/"), pattern.split("/")
    return len(names) == len(patterns) and all(fnmatchcase(n, p) for n, p in zip(names, patterns, strict=True))


def of_version(rules: Any) -> dict[str, Any]:
    """Columns of one version of a ruleset; none when its rules are withheld."""
    if not isinstance(rules, list):
        return {}
    found = from_rulesets(rules)
    return {
        "required_reviews": found["ruleset_reviews"],
        "status_checks": found["ruleset_status_checks"],
        "stale_handled": found["ruleset_dismiss_stale"] or found["ruleset_last_push_approval"],
        "blocks_force_push": found["ruleset_blocks_force_push"],
        "blocks_deletion": found["ruleset_blocks_deletion"],
    }
