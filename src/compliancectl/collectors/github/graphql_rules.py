"""Rules of a branch as GraphQL gives them, in the form in which REST does; pure."""

from __future__ import annotations

import re
from typing import Any

from compliancectl.collectors.github.session import at

_HUMP = re.compile(r"(?<!^)(?=[A-Z])")
_NAMES = {"User": ("users", "login"), "Team": ("teams", "slug"), "App": ("apps", "slug")}


def is_whole(repository: Any) -> bool:
    """True if GraphQL shows every rule of the branch and, for certain, whether it has classic protection.

    Only administrators are shown classic protection; to others its absence says nothing. A rule whose ruleset or kind is
    withheld, or a second page of rules or of those who may bypass, is left to REST.
    """
    ref = at(repository, "ref")
    rules, protection = at(ref, "rules"), at(ref, "branchProtectionRule")
    if not _all_there(rules) or any(at(node, "repositoryRuleset", "databaseId") is None for node in rules["nodes"]):
        return False
    if protection is None:
        return at(repository, "viewerCanAdminister") is True
    exempt = at(protection, "bypassPullRequestAllowances")
    return _all_there(exempt) and all(at(node, "actor") is not None for node in exempt["nodes"])


def _all_there(connection: Any) -> bool:
    nodes = at(connection, "nodes")
    if not isinstance(nodes, list) or any(node is None for node in nodes):
        return False
    return len(nodes) == at(connection, "totalCount") and at(connection, "pageInfo", "hasNextPage") is False


def rules(ref: Any) -> list[dict[str, Any]]:
    """The active rules of a branch, as `GET /repos/{owner}/{repo}/rules/branches/{branch}` lists them."""
    return [
        {
            "type": str(at(node, "type")).lower(),
            "parameters": _snake(at(node, "parameters")),
            "ruleset_id": at(node, "repositoryRuleset", "databaseId"),
            "ruleset_source_type": at(node, "repositoryRuleset", "source", "__typename"),
        }
        for node in at(ref, "rules", "nodes")
    ]


def _snake(value: Any) -> Any:
    """Names of GraphQL as REST writes them: `requireCodeOwnerReview`, `require_code_owner_review`."""
    if isinstance(value, dict):
        return {_HUMP.sub("_", name).lower(): _snake(item) for name, item in value.items()}
    return [_snake(item) for item in value] if isinstance(value, list) else value


def protection(ref: Any) -> dict[str, Any]:
    """Classic protection, as `GET …/branches/{branch}/protection` gives it; empty when there is none."""
    it = at(ref, "branchProtectionRule")
    if it is None:
        return {}
    found: dict[str, Any] = {
        "enforce_admins": {"enabled": at(it, "isAdminEnforced")},
        "required_signatures": {"enabled": at(it, "requiresCommitSignatures")},
        "allow_force_pushes": {"enabled": at(it, "allowsForcePushes")},
        "allow_deletions": {"enabled": at(it, "allowsDeletions")},
    }
    if at(it, "requiresStatusChecks") is True:
        found["required_status_checks"] = {"contexts": at(it, "requiredStatusCheckContexts") or []}
    if at(it, "requiresApprovingReviews") is True:
        found["required_pull_request_reviews"] = {
            "required_approving_review_count": at(it, "requiredApprovingReviewCount"),
            "dismiss_stale_reviews": at(it, "dismissesStaleReviews"),
            "require_code_owner_reviews": at(it, "requiresCodeOwnerReviews"),
            "require_last_push_approval": at(it, "requireLastPushApproval"),
            "bypass_pull_request_allowances": _exempt(at(it, "bypassPullRequestAllowances", "nodes")),
        }
    return found


def _exempt(nodes: Any) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for node in nodes:
        kind, name = _NAMES[str(at(node, "actor", "__typename"))]
        found.setdefault(kind, []).append({name: at(node, "actor", name)})
    return found
