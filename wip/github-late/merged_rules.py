"""Merges what rulesets and classic protection say about one branch. A rule in either satisfies.

`None` means hidden. What a visible source grants is certain; what only a hidden one could grant is NULL.
"""

from __future__ import annotations

from typing import Any

from compliancectl.collectors.github.session import at

_ADMIN_ROLE = 5
"""Number of GitHub's built-in repository role `admin`."""


def classic(protection: Any) -> dict[str, Any]:
    """The settings of classic protection that matter here, by the names of our columns."""
    reviews = at(protection, "required_pull_request_reviews")
    checks = at(protection, "required_status_checks")
    contexts = {str(at(c, "context")) for c in at(checks, "checks") or []} | {str(c) for c in at(checks, "contexts") or []}
    return {
        "required_reviews": (at(reviews, "required_approving_review_count") or 0) if reviews else 0,
        "dismiss_stale": at(reviews, "dismiss_stale_reviews") is True,
        "last_push_approval": at(reviews, "require_last_push_approval") is True,
        "code_owner_review": at(reviews, "require_code_owner_reviews") is True,
        "status_checks": sorted(contexts),
        "blocks_force_push": at(protection, "allow_force_pushes", "enabled") is not True,
        "blocks_deletion": at(protection, "allow_deletions", "enabled") is not True,
        "enforce_admins": at(protection, "enforce_admins", "enabled") is True,
    }


def merge(rules: list[Any], protection: dict[str, Any] | None) -> dict[str, Any]:
    """Column values of one branch.

    Args:
        rules: `Ref.rules` of GraphQL, active rulesets only.
        protection: `classic(…)`; empty when there is none; None when it is hidden.
    """
    active = [r for r in rules if at(r, "repositoryRuleset", "enforcement") in (None, "ACTIVE")]
    pulls = [at(r, "parameters") for r in active if at(r, "type") == "PULL_REQUEST"]
    hidden = protection is None
    old = protection or {}
    checks = {
        str(at(check, "context"))
        for rule in active if at(rule, "type") == "REQUIRED_STATUS_CHECKS"
        for check in at(rule, "parameters", "requiredStatusChecks") or []
    } | set(old.get("status_checks", []))
    reviews = max([int(at(p, "requiredApprovingReviewCount") or 0) for p in pulls] + [old.get("required_reviews", 0)])

    def flag(parameter: str, column: str) -> bool | None:
        return _or(any(at(p, parameter) is True for p in pulls), old.get(column, False), hidden)

    def kind(name: str, column: str) -> bool | None:
        return _or(any(at(r, "type") == name for r in active), old.get(column, False), hidden)

    return {
        "required_reviews": None if hidden and reviews == 0 else reviews,
        "dismiss_stale": flag("dismissStaleReviewsOnPush", "dismiss_stale"),
        "last_push_approval": flag("requireLastPushApproval", "last_push_approval"),
        "code_owner_review": flag("requireCodeOwnerReview", "code_owner_review"),
        "status_checks": None if hidden and not checks else len(checks),
        "blocks_force_push": kind("NON_FAST_FORWARD", "blocks_force_push"),
        "blocks_deletion": kind("DELETION", "blocks_deletion"),
        "applies_to_admins": _binds_admins(active, protection),
        "sources": _sources(active, protection),
    }


def _or(seen: bool, old: bool, hidden: bool) -> bool | None:
    return True if seen or old else (None if hidden else False)


def _binds_admins(active: list[Any], protection: dict[str, Any] | None) -> bool | None:
    """TRUE when one source that requires a review leaves administrators no way around it."""
    says: list[bool | None] = [_ruleset_binds(r) for r in active if at(r, "type") == "PULL_REQUEST"]
    if protection is None:
        says.append(None)
    elif protection.get("required_reviews"):
        says.append(protection["enforce_admins"])
    if True in says:
        return True
    return None if None in says else False


def _ruleset_binds(rule: Any) -> bool | None:
    actors = at(rule, "repositoryRuleset", "bypassActors")
    if actors is None or at(actors, "pageInfo", "hasNextPage"):
        return None
    return not any(
        at(a, "organizationAdmin") or at(a, "repositoryRoleDatabaseId") == _ADMIN_ROLE
        or at(a, "repositoryRoleName") == "admin"
        for a in at(actors, "nodes") or []
    )


def _sources(active: list[Any], protection: dict[str, Any] | None) -> list[str]:
    found = set()
    for rule in active:
        ruleset = at(rule, "repositoryRuleset")
        level = str(at(ruleset, "source", "__typename")).lower()
        found.add(f"ruleset {at(ruleset, 'databaseId')} ({level})")
    if protection:
        found.add("classic protection")
    return sorted(found)


def bypass_actors(ruleset: Any) -> list[dict[str, Any]] | None:
    """Who may bypass a ruleset; None when GitHub left the list out, as it does for tokens that may not edit it."""
    actors = at(ruleset, "bypass_actors")
    if not isinstance(actors, list):
        return None
    found = [{"type": at(a, "actor_type"), "id": at(a, "actor_id"), "mode": at(a, "bypass_mode")} for a in actors]
    return sorted(found, key=lambda a: (str(a["type"]), a["id"] or 0))


def targets_default(ruleset: Any, default_branch: str) -> bool | None:
    """True if the conditions name the default branch, or all; None when they are withheld."""
    names = at(ruleset, "conditions", "ref_name")
    include, exclude = at(names, "include"), at(names, "exclude")
    if not isinstance(include, list):
        return None
    default = {"~DEFAULT_BRANCH", f"refs/heads/{default_branch}"} if default_branch else {"~DEFAULT_BRANCH"}
    return bool(({"~ALL"} | default) & set(include)) and not default & set(exclude or [])


def reviews_of(rules: Any) -> int | None:
    """Approvals that a ruleset's state requires; 0 when it has no such rule, None when the rules are withheld."""
    if not isinstance(rules, list):
        return None
    counts = [
        at(r, "parameters", "required_approving_review_count") or 0 for r in rules if at(r, "type") == "pull_request"
    ]
    return max(counts, default=0)
