"""Tables of rules on production branches. NULL always means: GitHub did not say."""

from __future__ import annotations

from compliancectl.collectors.github.columns import (
    ADMINISTRATION,
    METADATA,
    RULE_HISTORY,
    RULESETS,
    column,
    table,
)
from compliancectl.model.table import BOOL, INT, TEXT, TIME, Column, ListOf, Type, struct

_RULE = "GET /repos/{owner}/{repo}/rules/branches/{branch}#"
_CLASSIC = "GET /repos/{owner}/{repo}/branches/{branch}/protection#"
_REVIEWS = _CLASSIC + "required_pull_request_reviews."


def _from_rulesets(name: str, kind: Type, text: str, field: str) -> Column:
    return column(f"ruleset_{name}", kind, f"Active rulesets: {text}", _RULE + field)


def _from_classic(name: str, kind: Type, text: str, field: str) -> Column:
    return column(f"classic_{name}", kind, f"Classic branch protection: {text}", field)


BRANCH_RULE = table(
    "branch_rule",
    "One row per production branch: what active rulesets say about it, and what classic branch protection says. "
    "0, false or an empty list where there are none.",
    (METADATA, ADMINISTRATION),
    column("repository", TEXT, "Name of the repository.", "scope", required=True),
    column("branch", TEXT, "Name of the branch.", "scope", required=True),
    _from_rulesets("reviews", INT, "approvals required.", "parameters.required_approving_review_count"),
    _from_rulesets(
        "dismiss_stale", BOOL, "a push dismisses earlier approvals.", "parameters.dismiss_stale_reviews_on_push"
    ),
    _from_rulesets(
        "last_push_approval",
        BOOL,
        "the last push needs approval by someone else.",
        "parameters.require_last_push_approval",
    ),
    _from_rulesets("code_owner_review", BOOL, "code owners must approve.", "parameters.require_code_owner_review"),
    _from_rulesets("status_checks", INT, "distinct status checks required.", "parameters.required_status_checks"),
    _from_rulesets("blocks_force_push", BOOL, "history cannot be rewritten.", "type non_fast_forward"),
    _from_rulesets("blocks_deletion", BOOL, "the branch cannot be deleted.", "type deletion"),
    _from_classic("reviews", INT, "approvals required.", _REVIEWS + "required_approving_review_count"),
    _from_classic("dismiss_stale", BOOL, "a push dismisses earlier approvals.", _REVIEWS + "dismiss_stale_reviews"),
    _from_classic(
        "last_push_approval",
        BOOL,
        "the last push needs approval by someone else.",
        _REVIEWS + "require_last_push_approval",
    ),
    _from_classic("code_owner_review", BOOL, "code owners must approve.", _REVIEWS + "require_code_owner_reviews"),
    _from_classic(
        "bypass",
        ListOf(TEXT),
        "who may merge without the reviews, e.g. `user bruno`, `team leads`, `app deployer`.",
        _REVIEWS + "bypass_pull_request_allowances",
    ),
    _from_classic("status_checks", INT, "distinct status checks required.", _CLASSIC + "required_status_checks"),
    _from_classic(
        "binds_admins", BOOL, "reviews and status checks bind administrators too.", _CLASSIC + "enforce_admins.enabled"
    ),
    _from_classic("blocks_force_push", BOOL, "history cannot be rewritten.", _CLASSIC + "allow_force_pushes.enabled"),
    _from_classic("blocks_deletion", BOOL, "the branch cannot be deleted.", _CLASSIC + "allow_deletions.enabled"),
    column(
        "required_checks",
        ListOf(TEXT),
        "Names of the status checks that bind everyone: those of rulesets, and of classic protection if it binds administrators.",
        _RULE + "parameters.required_status_checks[].context",
    ),
    column(
        "signatures_required",
        BOOL,
        "Commits must be signed, by a ruleset or by classic protection that binds administrators.",
        _RULE + "type required_signatures",
    ),
    column(
        "ruleset_code_scanning",
        ListOf(TEXT),
        "For each tool that a ruleset makes a merge wait for, which security alerts stop it: none, critical, high_or_higher, "
        "medium_or_higher or all.",
        _RULE + "parameters.code_scanning_tools[].security_alerts_threshold",
    ),
    column(
        "rulesets",
        ListOf(INT),
        "Numbers of the active rulesets that speak about the branch, of whatever level.",
        _RULE + "ruleset_id",
    ),
    column(
        "sources",
        ListOf(TEXT),
        "Where the rules come from, e.g. `ruleset 12 (organization)`, `classic protection`.",
        _RULE + "ruleset_id",
    ),
)

_SET = "GET /repos/{owner}/{repo}/rulesets/{ruleset_id}#"

RULESET = table(
    "ruleset",
    "One row per ruleset for branches, of the organisation and of each production repository.",
    (METADATA, RULE_HISTORY, RULESETS),
    column("id", INT, "Number that GitHub gave it.", _SET + "id", required=True),
    column("name", TEXT, "Name.", _SET + "name", required=True),
    column("level", TEXT, "organization or repository.", _SET + "source_type", required=True),
    column("repository", TEXT, "Name of the repository; NULL at organisation level.", _SET + "source"),
    column("enforcement", TEXT, "active, evaluate or disabled.", _SET + "enforcement", required=True),
    column(
        "bypass_actors",
        ListOf(struct(type=TEXT, id=INT, mode=TEXT)),
        "Who may bypass it; NULL when hidden from the token.",
        _SET + "bypass_actors[]",
    ),
    column(
        "targets_production",
        BOOL,
        "Its conditions include a production branch; false only when they certainly do not, NULL when they are withheld.",
        _SET + "conditions",
    ),
    column("updated", TIME, "Last change.", _SET + "updated_at"),
)

_HISTORY = "GET /repos/{owner}/{repo}/rulesets/{ruleset_id}/history/{version_id}#"

RULESET_VERSION = table(
    "ruleset_version",
    "One row per version that GitHub keeps of each ruleset.",
    (METADATA, RULE_HISTORY, RULESETS),
    column("ruleset", TEXT, "`resource` of the ruleset.", "derived", required=True),
    column("version", INT, "Version number.", _HISTORY + "version_id", required=True),
    column("updated", TIME, "When it came into force.", _HISTORY + "updated_at", required=True),
    column("actor", TEXT, "Type and number of who changed it, e.g. `User 1001`.", _HISTORY + "actor"),
    column("required_reviews", INT, "Approvals that this version required; 0 when none.", _HISTORY + "state.rules"),
    column("status_checks", INT, "Distinct status checks that this version required.", _HISTORY + "state.rules"),
    column(
        "stale_handled",
        BOOL,
        "A push dismissed approvals, or the last push needed an approval of its own.",
        _HISTORY + "state.rules",
    ),
    column("blocks_force_push", BOOL, "History could not be rewritten.", _HISTORY + "state.rules"),
    column("blocks_deletion", BOOL, "The branch could not be deleted.", _HISTORY + "state.rules"),
    column("enforcement", TEXT, "active, evaluate or disabled in this version.", _HISTORY + "state.enforcement"),
)

_SUITE = "GET /repos/{owner}/{repo}/rulesets/rule-suites#"

BYPASS = table(
    "bypass",
    "One row per push to a production repository that bypassed rules, in the month before the run: GitHub answers for no longer.",
    (METADATA, RULE_HISTORY),
    column("repository", TEXT, "Name of the repository.", "scope", required=True),
    column("actor", TEXT, "Login; NULL when withheld.", _SUITE + "actor_name"),
    column("result", TEXT, "bypass.", _SUITE + "result", required=True),
    column("pushed", TIME, "When.", _SUITE + "pushed_at", required=True),
    column("ref", TEXT, "Branch or tag, with `refs/heads/`.", _SUITE + "ref"),
    column("after_sha", TEXT, "Commit that was pushed.", _SUITE + "after_sha"),
    column(
        "production",
        BOOL,
        "The scope declares this branch of the repository production, or cannot tell which.",
        "scope",
        required=True,
    ),
)
