"""Classic protection and parameters of rules as GraphQL shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compliancectl.sandbox.github.ids import node_id

if TYPE_CHECKING:
    from compliancectl.sandbox.github.nodes import Nodes


def protection(nodes: Nodes, name: str, branch: str) -> dict[str, Any] | None:
    """Classic protection of a branch, which is shown to administrators only."""
    from compliancectl.sandbox.github.nodes import connection

    it = nodes.state.repositories[name].get("protection", {}).get(branch)
    if it is None or not nodes.state.is_owner or not nodes.state.may("administration=read", name):
        return None
    exempt = [{"id": node_id("BPRA", name, login), "actor": nodes.user(login)} for login in it["exempt"]]
    return {
        "id": node_id("BPR", name, branch),
        "pattern": branch,
        "allowsDeletions": it["deletions"],
        "allowsForcePushes": it["force_pushes"],
        "bypassPullRequestAllowances": connection(exempt),
        "dismissesStaleReviews": it["dismiss_stale"],
        "isAdminEnforced": it["admins"],
        "requireLastPushApproval": it["last_push"],
        "requiredApprovingReviewCount": it["approvals"],
        "requiredStatusCheckContexts": it["checks"],
        "requiresApprovingReviews": it["approvals"] is not None,
        "requiresCodeOwnerReviews": it["code_owner"],
        "requiresCommitSignatures": it.get("signatures", False),
        "requiresStatusChecks": bool(it["checks"]),
    }


def parameters(rule: dict[str, Any]) -> dict[str, Any] | None:
    """The parameters of a rule of a ruleset."""
    it = rule.get("parameters")
    if it is None:
        return None
    if rule["type"] == "required_status_checks":
        checks = [{"context": check["context"], "integrationId": None} for check in it["required_status_checks"]]
        return {
            "__typename": "RequiredStatusChecksParameters",
            "doNotEnforceOnCreate": False,
            "requiredStatusChecks": checks,
            "strictRequiredStatusChecksPolicy": it["strict_required_status_checks_policy"],
        }
    if rule["type"] == "code_scanning":
        tools = [
            {
                "tool": tool["tool"],
                "alertsThreshold": tool["alerts_threshold"],
                "securityAlertsThreshold": tool["security_alerts_threshold"],
            }
            for tool in it["code_scanning_tools"]
        ]
        return {"__typename": "CodeScanningParameters", "codeScanningTools": tools}
    return {
        "__typename": "PullRequestParameters",
        "allowedMergeMethods": None,
        "dismissStaleReviewsOnPush": it["dismiss_stale_reviews_on_push"],
        "requireCodeOwnerReview": it["require_code_owner_review"],
        "requireLastPushApproval": it["require_last_push_approval"],
        "requiredApprovingReviewCount": it["required_approving_review_count"],
        "requiredReviewThreadResolution": it["required_review_thread_resolution"],
    }
