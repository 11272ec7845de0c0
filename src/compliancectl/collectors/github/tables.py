"""Tables of the organisation, its people and its repositories. NULL always means: GitHub did not say."""

from __future__ import annotations

from compliancectl.collectors.github.columns import (
    ADMINISTRATION,
    CONTENTS,
    MEMBERS,
    METADATA,
    OWNER,
    PULL_REQUESTS,
    SECRET_SCANNING,
    column,
    table,
)
from compliancectl.collectors.github.columns import ORGANIZATION as READ_ORGANIZATION
from compliancectl.model.table import BOOL, INT, TEXT, TIME, ListOf

_ORG = "GET /orgs/{org}#"

ORGANIZATION = table(
    "organization",
    "One row: the organisation and its settings.",
    (READ_ORGANIZATION, OWNER),
    column(
        "two_factor_required",
        BOOL,
        "Members must use two factors; NULL when the token is not an owner's.",
        _ORG + "two_factor_requirement_enabled",
    ),
    column(
        "default_repository_permission",
        TEXT,
        "What every member may do: none, read, write or admin.",
        _ORG + "default_repository_permission",
    ),
    column(
        "members_can_create_public_repositories",
        BOOL,
        "Members may create public repositories.",
        _ORG + "members_can_create_public_repositories",
    ),
    column(
        "members_can_delete_repositories",
        BOOL,
        "Members may delete repositories.",
        _ORG + "members_can_delete_repositories",
    ),
    column(
        "members_can_change_repo_visibility",
        BOOL,
        "Members may make repositories public.",
        _ORG + "members_can_change_repo_visibility",
    ),
    column(
        "members_can_invite_outside_collaborators",
        BOOL,
        "Members may let outsiders in.",
        _ORG + "members_can_invite_outside_collaborators",
    ),
    column(
        "members_can_fork_private_repositories",
        BOOL,
        "Members may fork private repositories.",
        _ORG + "members_can_fork_private_repositories",
    ),
    column(
        "plan",
        TEXT,
        "Name of the plan, e.g. team or enterprise; NULL when the token may not see it.",
        _ORG + "plan.name",
    ),
    column(
        "saml_enabled",
        BOOL,
        "A SAML identity provider is configured; NULL when the token is not an owner's.",
        "gql#Organization.samlIdentityProvider",
    ),
    column(
        "ip_allow_list", TEXT, "ENABLED or DISABLED; NULL when withheld.", "gql#Organization.ipAllowListEnabledSetting"
    ),
)

ACTIONS = table(
    "actions",
    "One row: what the organisation lets workflows of GitHub Actions do.",
    (READ_ORGANIZATION,),
    column(
        "enabled_repositories",
        TEXT,
        "Where Actions is on: all, selected or none.",
        "GET /orgs/{org}/actions/permissions#enabled_repositories",
        required=True,
    ),
    column(
        "allowed_actions",
        TEXT,
        "Which actions may be used: all, local_only or selected.",
        "GET /orgs/{org}/actions/permissions#allowed_actions",
    ),
    column(
        "sha_pinning_required",
        BOOL,
        "Actions must be named by a full commit id.",
        "GET /orgs/{org}/actions/permissions#sha_pinning_required",
    ),
    column(
        "default_workflow_permissions",
        TEXT,
        "What a workflow's token may do unless the workflow says otherwise: read or write.",
        "GET /orgs/{org}/actions/permissions/workflow#default_workflow_permissions",
    ),
    column(
        "can_approve_pull_requests",
        BOOL,
        "Workflows may approve pull requests.",
        "GET /orgs/{org}/actions/permissions/workflow#can_approve_pull_request_reviews",
    ),
)

MEMBER = table(
    "member",
    "One row per member of the organisation and per outside collaborator.",
    (MEMBERS, OWNER),
    column("login", TEXT, "Login.", "GET /orgs/{org}/members#login", required=True),
    column(
        "role", TEXT, "admin (an owner), member or outside_collaborator.", "GET /orgs/{org}/members?role", required=True
    ),
    column(
        "two_factor_disabled",
        BOOL,
        "No second factor; NULL when the token is not an owner's.",
        "GET /orgs/{org}/members?filter=2fa_disabled",
    ),
    column(
        "two_factor_insecure",
        BOOL,
        "A second factor by SMS; NULL when the token is not an owner's.",
        "GET /orgs/{org}/members?filter=2fa_insecure",
    ),
)

_REPO = "GET /orgs/{org}/repos#"
_ANALYSIS = _REPO + "security_and_analysis."

REPOSITORY = table(
    "repository",
    "One row per repository of the organisation that the scope covers, archived ones and forks included.",
    (METADATA, CONTENTS, ADMINISTRATION, SECRET_SCANNING),
    column("name", TEXT, "Name within the organisation.", "gql#Repository.name", required=True),
    column("archived", BOOL, "Read-only for everyone.", "gql#Repository.isArchived", required=True),
    column("fork", BOOL, "A fork of another repository.", "gql#Repository.isFork", required=True),
    column("visibility", TEXT, "public, private or internal.", "gql#Repository.visibility", required=True),
    column("default_branch", TEXT, "NULL when the repository is empty.", "gql#Repository.defaultBranchRef.name"),
    column("pushed", TIME, "Last push to any branch.", "gql#Repository.pushedAt"),
    column("production", BOOL, "The scope declares it production.", "scope", required=True),
    column(
        "application", BOOL, "Production, and the scope does not say that it has no code of the application.", "scope"
    ),
    column("api", TEXT, "Path of the file that describes its API; NULL when the scope names none.", "scope"),
    column("class", TEXT, "production, internal or sandbox; NULL when the scope does not say.", "scope"),
    column("languages", ListOf(TEXT), "Languages that GitHub finds in it.", "gql#Repository.languages"),
    column(
        "owned_paths",
        ListOf(TEXT),
        "Patterns of its CODEOWNERS file that name an owner; `auth/` stands for `/auth`, `auth/**` and the like.",
        "gql#Repository.object",
    ),
    column("unowned_paths", ListOf(TEXT), "Patterns there that take owners away.", "gql#Repository.object"),
    column("codeowners_errors", INT, "Errors in its CODEOWNERS file.", "gql#Repository.codeowners.errors"),
    column(
        "private_reporting",
        BOOL,
        "Outsiders can report a weakness in private; NULL when it is not public, or withheld.",
        "GET /repos/{owner}/{repo}/private-vulnerability-reporting#enabled",
    ),
    column("security_policy", BOOL, "It has a security policy.", "gql#Repository.isSecurityPolicyEnabled"),
    column("security_contacts", ListOf(TEXT), "Addresses that its SECURITY.md names.", "gql#Repository.object"),
    column(
        "template_references",
        ListOf(TEXT),
        "Paths that its template for pull requests names.",
        "gql#Repository.object",
    ),
    column("secret_scanning", TEXT, "enabled or disabled; NULL when withheld.", _ANALYSIS + "secret_scanning.status"),
    column(
        "push_protection",
        TEXT,
        "enabled or disabled; NULL when withheld.",
        _ANALYSIS + "secret_scanning_push_protection.status",
    ),
    column(
        "non_provider_patterns",
        TEXT,
        "enabled or disabled; NULL when withheld.",
        _ANALYSIS + "secret_scanning_non_provider_patterns.status",
    ),
    column(
        "dependabot_security_updates",
        TEXT,
        "enabled or disabled; NULL when withheld.",
        _ANALYSIS + "dependabot_security_updates.status",
    ),
    column(
        "vulnerability_alerts",
        BOOL,
        "Dependabot alerts are on; NULL when withheld.",
        "gql#Repository.hasVulnerabilityAlertsEnabled",
    ),
    column(
        "automated_fixes",
        BOOL,
        "Dependabot raises security fixes; NULL when withheld.",
        "GET /repos/{owner}/{repo}/automated-security-fixes#enabled",
    ),
    column(
        "automated_fixes_paused",
        BOOL,
        "Dependabot has paused itself for inactivity; NULL when withheld.",
        "GET /repos/{owner}/{repo}/automated-security-fixes#paused",
    ),
    column(
        "update_config",
        BOOL,
        "A configuration of Dependabot or Renovate is on the default branch; NULL when withheld.",
        "gql#Repository.object",
    ),
    column(
        "sbom_packages",
        INT,
        "Packages in the dependency graph's bill of materials; 0 when there is none, NULL when withheld.",
        "GET /repos/{owner}/{repo}/dependency-graph/sbom#sbom.packages",
    ),
    column(
        "backfill_completed",
        BOOL,
        "Every scan of the whole history has completed; false when none was run, NULL when withheld.",
        "GET /repos/{owner}/{repo}/secret-scanning/scan-history#backfill_scans[].status",
    ),
)

_PACKAGE = "GET /repos/{owner}/{repo}/dependency-graph/sbom#sbom.packages[]."

PACKAGE = table(
    "package",
    "One row per package in the bill of materials of a repository that is not archived.",
    (METADATA, CONTENTS),
    column("repository", TEXT, "Name of the repository.", "derived", required=True),
    column("name", TEXT, "Name, as its registry has it.", _PACKAGE + "name", required=True),
    column("version", TEXT, "Version, or the versions that are accepted.", _PACKAGE + "versionInfo"),
)

_PROPOSAL = "gql#PullRequest."

PROPOSAL = table(
    "proposal",
    "One row per pull request opened, merged or not, in any repository that is not archived, since the start of the "
    "period and at least in the last 90 days.",
    (METADATA, PULL_REQUESTS),
    column("repository", TEXT, "Name of the repository.", "gql#Repository.name", required=True),
    column("number", INT, "Number.", _PROPOSAL + "number", required=True),
    column(
        "author", TEXT, "Login; NULL when the account was deleted. Bots end in `[bot]`.", _PROPOSAL + "author.login"
    ),
    column("created", TIME, "Opened.", _PROPOSAL + "createdAt", required=True),
    column("state", TEXT, "OPEN, MERGED or CLOSED.", _PROPOSAL + "state", required=True),
)
