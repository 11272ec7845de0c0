"""The tables that GitHub's replies are shaped into. NULL always means: GitHub did not say."""

from __future__ import annotations

from compliancectl.collectors.github.redact import DROPPED_IN_WORDS
from compliancectl.model.table import BOOL, INT, TEXT, TIME, Column, ListOf, Table, Type, struct

READ_ORG = ("Organization permission `Administration`: read (organisation owner's token for the owner-only settings)",)
READ_MEMBERS = ("Organization permission `Members`: read", "an organisation owner's token for two-factor status")
READ_REPOSITORY = (
    "Repository permission `Metadata`: read",
    "Repository permission `Contents`: read",
    "Repository permission `Administration`: read",
    "Repository permission `Dependabot alerts`: read",
    "Repository permission `Secret scanning alerts`: read",
)
READ_RULES = ("Repository permission `Metadata`: read", "Repository permission `Administration`: read")
READ_RULESETS = (
    "Organization permission `Administration`: read and write (GitHub shows organisation rulesets to no less)",
    "Repository permission `Administration`: read",
    "Repository permission `Metadata`: read",
)
READ_CHANGES = (
    "Repository permission `Metadata`: read",
    "Repository permission `Contents`: read",
    "Repository permission `Pull requests`: read",
)


def _table(name: str, description: str, key: tuple[str, ...], permissions: tuple[str, ...], *columns: Column) -> Table:
    common = (
        Column("organization", TEXT, "Login of the organisation.", "scope", required=True),
        Column("resource", TEXT, "Name of the item, unique within the table.", "derived", required=True),
    )
    return Table(f"github.{name}", description, common + columns, key or ("resource",), permissions, DROPPED_IN_WORDS)


def _c(name: str, kind: Type, description: str, source: str, *, required: bool = False) -> Column:
    return Column(name, kind, description, source, required)


_ORG = "GET /orgs/{org}#"

ORGANIZATION = _table(
    "organization",
    "One row: the organisation and its settings.",
    (),
    READ_ORG,
    _c(
        "two_factor_required",
        BOOL,
        "Members must use two factors; NULL when the token is not an owner's.",
        _ORG + "two_factor_requirement_enabled",
    ),
    _c(
        "default_repository_permission",
        TEXT,
        "What every member may do: none, read, write or admin.",
        _ORG + "default_repository_permission",
    ),
    _c(
        "members_can_create_public_repositories",
        BOOL,
        "Members may create public repositories.",
        _ORG + "members_can_create_public_repositories",
    ),
    _c(
        "members_can_delete_repositories",
        BOOL,
        "Members may delete repositories.",
        _ORG + "members_can_delete_repositories",
    ),
    _c(
        "members_can_change_repo_visibility",
        BOOL,
        "Members may make repositories public.",
        _ORG + "members_can_change_repo_visibility",
    ),
    _c(
        "members_can_invite_outside_collaborators",
        BOOL,
        "Members may let outsiders in.",
        _ORG + "members_can_invite_outside_collaborators",
    ),
    _c(
        "members_can_fork_private_repositories",
        BOOL,
        "Members may fork private repositories.",
        _ORG + "members_can_fork_private_repositories",
    ),
    _c(
        "plan",
        TEXT,
        "Name of the plan, e.g. team or enterprise; NULL when the token may not see it.",
        _ORG + "plan.name",
    ),
    _c(
        "saml_enabled",
        BOOL,
        "A SAML identity provider is configured; NULL when the token is not an owner's.",
        "gql#Organization.samlIdentityProvider",
    ),
    _c("ip_allow_list", TEXT, "ENABLED or DISABLED; NULL when withheld.", "gql#Organization.ipAllowListEnabledSetting"),
)

MEMBER = _table(
    "member",
    "One row per member of the organisation and per outside collaborator.",
    (),
    READ_MEMBERS,
    _c("login", TEXT, "Login.", "GET /orgs/{org}/members#login", required=True),
    _c(
        "role", TEXT, "admin (an owner), member or outside_collaborator.", "GET /orgs/{org}/members?role", required=True
    ),
    _c(
        "two_factor_disabled",
        BOOL,
        "No second factor; NULL when the token is not an owner's.",
        "GET /orgs/{org}/members?filter=2fa_disabled",
    ),
    _c(
        "two_factor_insecure",
        BOOL,
        "A second factor by SMS; NULL when the token is not an owner's.",
        "GET /orgs/{org}/members?filter=2fa_insecure",
    ),
)

_REPO = "GET /orgs/{org}/repos#"
_ANALYSIS = _REPO + "security_and_analysis."

REPOSITORY = _table(
    "repository",
    "One row per repository of the organisation that the scope covers, archived ones and forks included.",
    (),
    READ_REPOSITORY,
    _c("name", TEXT, "Name within the organisation.", "gql#Repository.name", required=True),
    _c("archived", BOOL, "Read-only for everyone.", "gql#Repository.isArchived", required=True),
    _c("fork", BOOL, "A fork of another repository.", "gql#Repository.isFork", required=True),
    _c("visibility", TEXT, "public, private or internal.", "gql#Repository.visibility", required=True),
    _c("default_branch", TEXT, "NULL when the repository is empty.", "gql#Repository.defaultBranchRef.name"),
    _c("pushed", TIME, "Last push to any branch.", "gql#Repository.pushedAt"),
    _c("production", BOOL, "The scope declares it production.", "scope", required=True),
    _c("secret_scanning", TEXT, "enabled or disabled; NULL when withheld.", _ANALYSIS + "secret_scanning.status"),
    _c(
        "push_protection",
        TEXT,
        "enabled or disabled; NULL when withheld.",
        _ANALYSIS + "secret_scanning_push_protection.status",
    ),
    _c(
        "non_provider_patterns",
        TEXT,
        "enabled or disabled; NULL when withheld.",
        _ANALYSIS + "secret_scanning_non_provider_patterns.status",
    ),
    _c(
        "dependabot_security_updates",
        TEXT,
        "enabled or disabled; NULL when withheld.",
        _ANALYSIS + "dependabot_security_updates.status",
    ),
    _c("vulnerability_alerts", BOOL, "Dependabot alerts are on.", "gql#Repository.hasVulnerabilityAlertsEnabled"),
    _c(
        "automated_fixes",
        BOOL,
        "Dependabot raises security fixes; NULL when withheld.",
        "GET /repos/{owner}/{repo}/automated-security-fixes#enabled",
    ),
    _c(
        "automated_fixes_paused",
        BOOL,
        "Dependabot has paused itself for inactivity; NULL when withheld.",
        "GET /repos/{owner}/{repo}/automated-security-fixes#paused",
    ),
    _c(
        "update_config",
        BOOL,
        "A dependabot.yml or renovate.json is on the default branch; NULL when withheld.",
        "gql#Repository.object",
    ),
    _c(
        "sbom_packages",
        INT,
        "Packages in the dependency graph's SBOM; NULL when there is none.",
        "GET /repos/{owner}/{repo}/dependency-graph/sbom#sbom.packages",
    ),
    _c(
        "backfill_completed",
        BOOL,
        "Every scan of the whole history has completed; false when none was run, NULL when withheld.",
        "GET /repos/{owner}/{repo}/secret-scanning/scan-history#backfill_scans[].status",
    ),
)

_RULE = "gql#Ref.rules"

BRANCH_RULE = _table(
    "branch_rule",
    "One row per production branch: the merged view of rulesets and classic protection.",
    (),
    READ_RULES,
    _c("repository", TEXT, "Name of the repository.", "scope", required=True),
    _c("branch", TEXT, "Name of the branch.", "scope", required=True),
    _c(
        "required_reviews",
        INT,
        "Approvals required before merging; 0 when none; NULL when a source is hidden and the rest asks for none.",
        _RULE + ".parameters.requiredApprovingReviewCount",
    ),
    _c("dismiss_stale", BOOL, "A push dismisses earlier approvals.", _RULE + ".parameters.dismissStaleReviewsOnPush"),
    _c(
        "last_push_approval",
        BOOL,
        "The last push needs approval by someone else.",
        _RULE + ".parameters.requireLastPushApproval",
    ),
    _c("code_owner_review", BOOL, "Code owners must approve.", _RULE + ".parameters.requireCodeOwnerReview"),
    _c(
        "status_checks",
        INT,
        "Number of distinct status checks that must pass.",
        _RULE + ".parameters.requiredStatusChecks",
    ),
    _c("blocks_force_push", BOOL, "History cannot be rewritten.", _RULE + ".type NON_FAST_FORWARD"),
    _c("blocks_deletion", BOOL, "The branch cannot be deleted.", _RULE + ".type DELETION"),
    _c(
        "applies_to_admins",
        BOOL,
        "A source that requires reviews binds administrators too; NULL when hidden.",
        "GET /repos/{owner}/{repo}/branches/{branch}/protection#enforce_admins.enabled, gql#RepositoryRuleset.bypassActors",
    ),
    _c(
        "sources",
        ListOf(TEXT),
        "Where the rules come from, e.g. `ruleset 12 (organization)`, `classic protection`.",
        _RULE + ".repositoryRuleset",
    ),
)

_SET = "GET /repos/{owner}/{repo}/rulesets/{ruleset_id}#"

RULESET = _table(
    "ruleset",
    "One row per ruleset for branches, of the organisation and of each production repository.",
    (),
    READ_RULESETS,
    _c("id", INT, "Number that GitHub gave it.", _SET + "id", required=True),
    _c("name", TEXT, "Name.", _SET + "name", required=True),
    _c("level", TEXT, "organization or repository.", _SET + "source_type", required=True),
    _c("repository", TEXT, "Name of the repository; NULL at organisation level.", _SET + "source"),
    _c("enforcement", TEXT, "active, evaluate or disabled.", _SET + "enforcement", required=True),
    _c(
        "bypass_actors",
        ListOf(struct(type=TEXT, id=INT, mode=TEXT)),
        "Who may bypass it; NULL when hidden from the token.",
        _SET + "bypass_actors[]",
    ),
    _c(
        "targets_default_branch",
        BOOL,
        "Its conditions include the default branch; NULL when they are withheld.",
        _SET + "conditions.ref_name",
    ),
    _c("updated", TIME, "Last change.", _SET + "updated_at"),
)

_HISTORY = "GET /repos/{owner}/{repo}/rulesets/{ruleset_id}/history/{version_id}#"

RULESET_VERSION = _table(
    "ruleset_version",
    "One row per version that GitHub keeps of each ruleset.",
    (),
    READ_RULESETS,
    _c("ruleset", TEXT, "`resource` of the ruleset.", "derived", required=True),
    _c("version", INT, "Version number.", _HISTORY + "version_id", required=True),
    _c("updated", TIME, "When it came into force.", _HISTORY + "updated_at", required=True),
    _c("actor", TEXT, "Type and number of who changed it, e.g. `User 1001`.", _HISTORY + "actor"),
    _c("required_reviews", INT, "Approvals that this version required; 0 when none.", _HISTORY + "state.rules"),
    _c("enforcement", TEXT, "active, evaluate or disabled in this version.", _HISTORY + "state.enforcement"),
)

COMMIT = _table(
    "commit",
    "One row per commit that reached a production branch, by commit date within the period.",
    (),
    READ_CHANGES,
    _c("repository", TEXT, "Name of the repository.", "scope", required=True),
    _c("sha", TEXT, "Commit id.", "gql#Commit.oid", required=True),
    _c("branch", TEXT, "Production branch.", "scope", required=True),
    _c("committed", TIME, "Commit date.", "gql#Commit.committedDate", required=True),
    _c(
        "author",
        TEXT,
        "Login of the author; NULL when the commit is linked to no account.",
        "gql#Commit.author.user.login",
    ),
    _c(
        "pull_request",
        INT,
        "Number of the pull request merged into this branch that brought it; NULL when there is none.",
        "gql#Commit.associatedPullRequests",
    ),
    _c("parents", INT, "Number of parents; 2 or more is a merge commit.", "gql#Commit.parents.totalCount"),
)

_PULL = "gql#PullRequest."

PULL_REQUEST = _table(
    "pull_request",
    "One row per pull request merged into a production branch between the start of the period and the run.",
    (),
    READ_CHANGES,
    _c("repository", TEXT, "Name of the repository.", "scope", required=True),
    _c("number", INT, "Number.", _PULL + "number", required=True),
    _c("author", TEXT, "Login; NULL when the account was deleted. Bots end in `[bot]`.", _PULL + "author.login"),
    _c(
        "author_is_bot",
        BOOL,
        "A GitHub App, or declared a machine user in the scope; NULL when the account was deleted.",
        _PULL + "author.__typename",
    ),
    _c("created", TIME, "Opened.", _PULL + "createdAt", required=True),
    _c("merged", TIME, "Merged.", _PULL + "mergedAt", required=True),
    _c("merged_by", TEXT, "Login; NULL when the account was deleted.", _PULL + "mergedBy.login"),
    _c("head_sha", TEXT, "Last commit of the proposed change.", _PULL + "headRefOid", required=True),
    _c("merge_sha", TEXT, "Commit on the base branch.", _PULL + "mergeCommit.oid"),
    _c("base", TEXT, "Branch merged into.", _PULL + "baseRefName", required=True),
    _c("from_fork", BOOL, "The change came from another repository.", _PULL + "isCrossRepository"),
)

_REVIEW = "gql#PullRequestReview."

REVIEW = _table(
    "review",
    "One row per review of a pull request in `github.pull_request`, dismissed ones included.",
    (),
    READ_CHANGES,
    _c("repository", TEXT, "Name of the repository.", "scope", required=True),
    _c("pull_request", INT, "Number of the pull request.", _PULL + "number", required=True),
    _c("author", TEXT, "Login; NULL when the account was deleted.", _REVIEW + "author.login"),
    _c(
        "author_is_bot",
        BOOL,
        "A GitHub App, or declared a machine user; NULL when the account was deleted.",
        _REVIEW + "author.__typename",
    ),
    _c(
        "state", TEXT, "APPROVED, CHANGES_REQUESTED, COMMENTED, DISMISSED or PENDING.", _REVIEW + "state", required=True
    ),
    _c("submitted", TIME, "Submitted; NULL while pending.", _REVIEW + "submittedAt"),
    _c("commit", TEXT, "Commit that was looked at; NULL when it is gone.", _REVIEW + "commit.oid"),
)

_SUITE = "GET /orgs/{org}/rulesets/rule-suites#"

BYPASS = _table(
    "bypass",
    "One row per push that bypassed rules, in the month before the run: GitHub answers for no longer.",
    (),
    READ_RULESETS,
    _c("repository", TEXT, "Name of the repository.", _SUITE + "repository_name", required=True),
    _c("actor", TEXT, "Login; NULL when withheld.", _SUITE + "actor_name"),
    _c("result", TEXT, "bypass.", _SUITE + "result", required=True),
    _c("pushed", TIME, "When.", _SUITE + "pushed_at", required=True),
    _c("ref", TEXT, "Branch or tag, with `refs/heads/`.", _SUITE + "ref"),
    _c("after_sha", TEXT, "Commit that was pushed.", _SUITE + "after_sha"),
    _c(
        "production",
        BOOL,
        "The scope declares this branch of the repository production, or cannot tell which.",
        "scope",
        required=True,
    ),
)

_DEPENDABOT = "GET /orgs/{org}/dependabot/alerts#"

DEPENDABOT_ALERT = _table(
    "dependabot_alert",
    "One row per alert about a vulnerable dependency, in every state.",
    (),
    ("Repository permission `Dependabot alerts`: read",),
    _c("repository", TEXT, "Name of the repository.", _DEPENDABOT + "repository.name", required=True),
    _c("number", INT, "Number within the repository.", _DEPENDABOT + "number", required=True),
    _c("state", TEXT, "open, fixed, dismissed or auto_dismissed.", _DEPENDABOT + "state", required=True),
    _c("created", TIME, "Found; kept when an alert opens again.", _DEPENDABOT + "created_at", required=True),
    _c("fixed", TIME, "Fixed.", _DEPENDABOT + "fixed_at"),
    _c("dismissed", TIME, "Dismissed, by a person or by a rule.", _DEPENDABOT + "dismissed_at, auto_dismissed_at"),
    _c("dismissed_reason", TEXT, "Reason given.", _DEPENDABOT + "dismissed_reason"),
    _c("severity", TEXT, "low, medium, high or critical.", _DEPENDABOT + "security_advisory.severity", required=True),
    _c("scope", TEXT, "runtime or development; NULL when unknown.", _DEPENDABOT + "dependency.scope"),
    _c("package", TEXT, "Name of the package.", _DEPENDABOT + "dependency.package.name"),
    _c("advisory", TEXT, "GHSA id.", _DEPENDABOT + "security_advisory.ghsa_id"),
)

_CODE = "GET /orgs/{org}/code-scanning/alerts#"

CODE_SCANNING_ALERT = _table(
    "code_scanning_alert",
    "One row per alert of code scanning, in every state.",
    (),
    ("Repository permission `Code scanning alerts`: read",),
    _c("repository", TEXT, "Name of the repository.", _CODE + "repository.name", required=True),
    _c("number", INT, "Number within the repository.", _CODE + "number", required=True),
    _c("state", TEXT, "open, dismissed or fixed.", _CODE + "state"),
    _c("created", TIME, "Found.", _CODE + "created_at", required=True),
    _c("fixed", TIME, "Fixed.", _CODE + "fixed_at"),
    _c("dismissed", TIME, "Dismissed.", _CODE + "dismissed_at"),
    _c("dismissed_reason", TEXT, "Reason given.", _CODE + "dismissed_reason"),
    _c(
        "severity",
        TEXT,
        "Security severity: low, medium, high or critical; NULL when the rule is not about security.",
        _CODE + "rule.security_severity_level",
    ),
    _c("rule", TEXT, "Id of the rule.", _CODE + "rule.id"),
    _c("tool", TEXT, "Name of the scanner.", _CODE + "tool.name"),
)

_SECRET = "GET /orgs/{org}/secret-scanning/alerts#"  # noqa: S105 - the name of an endpoint

SECRET_ALERT = _table(
    "secret_alert",
    "One row per secret found in a repository, in every state; never the secret.",
    (),
    ("Repository permission `Secret scanning alerts`: read",),
    _c("repository", TEXT, "Name of the repository.", _SECRET + "repository.name", required=True),
    _c("number", INT, "Number within the repository.", _SECRET + "number", required=True),
    _c("state", TEXT, "open or resolved.", _SECRET + "state", required=True),
    _c("created", TIME, "Found.", _SECRET + "created_at", required=True),
    _c("resolved", TIME, "Resolved.", _SECRET + "resolved_at"),
    _c("resolution", TEXT, "revoked, false_positive, wont_fix, used_in_tests or NULL.", _SECRET + "resolution"),
    _c("validity", TEXT, "active, inactive or unknown.", _SECRET + "validity"),
    _c("push_protection_bypassed", BOOL, "Pushed past push protection.", _SECRET + "push_protection_bypassed"),
    _c(
        "bypass_reviewed_by",
        TEXT,
        "Login of who reviewed the request to bypass; NULL when nobody did.",
        _SECRET + "push_protection_bypass_request_reviewer.login",
    ),
    _c("publicly_leaked", BOOL, "Also found in public.", _SECRET + "publicly_leaked"),
    _c("secret_type", TEXT, "Kind of secret.", _SECRET + "secret_type"),
)
