"""Tables of alerts: vulnerable dependencies, code and leaked secrets. NULL always means: GitHub did not say."""

from __future__ import annotations

from compliancectl.collectors.github.columns import (
    CODE_SCANNING,
    DEPENDABOT,
    SECRET_SCANNING,
    column,
    table,
)
from compliancectl.model.table import BOOL, INT, TEXT, TIME

_DEPENDABOT = "GET /orgs/{org}/dependabot/alerts#"

DEPENDABOT_ALERT = table(
    "dependabot_alert",
    "One row per alert about a vulnerable dependency, in every state.",
    (DEPENDABOT,),
    column("repository", TEXT, "Name of the repository.", _DEPENDABOT + "repository.name", required=True),
    column("number", INT, "Number within the repository.", _DEPENDABOT + "number", required=True),
    column("state", TEXT, "open, fixed, dismissed or auto_dismissed.", _DEPENDABOT + "state", required=True),
    column("created", TIME, "Found; kept when an alert opens again.", _DEPENDABOT + "created_at", required=True),
    column("fixed", TIME, "Fixed.", _DEPENDABOT + "fixed_at"),
    column("dismissed", TIME, "Dismissed, by a person or by a rule.", _DEPENDABOT + "dismissed_at, auto_dismissed_at"),
    column("dismissed_reason", TEXT, "Reason given.", _DEPENDABOT + "dismissed_reason"),
    column(
        "severity", TEXT, "low, medium, high or critical.", _DEPENDABOT + "security_advisory.severity", required=True
    ),
    column("malware", BOOL, "The package itself is malicious.", _DEPENDABOT + "security_advisory.classification"),
    column("scope", TEXT, "runtime or development; NULL when unknown.", _DEPENDABOT + "dependency.scope"),
    column("package", TEXT, "Name of the package.", _DEPENDABOT + "dependency.package.name"),
    column("advisory", TEXT, "GHSA id.", _DEPENDABOT + "security_advisory.ghsa_id"),
)

_CODE = "GET /orgs/{org}/code-scanning/alerts#"

CODE_SCANNING_ALERT = table(
    "code_scanning_alert",
    "One row per alert of code scanning, in every state.",
    (CODE_SCANNING,),
    column("repository", TEXT, "Name of the repository.", _CODE + "repository.name", required=True),
    column("number", INT, "Number within the repository.", _CODE + "number", required=True),
    column("state", TEXT, "open, dismissed or fixed.", _CODE + "state"),
    column("created", TIME, "Found.", _CODE + "created_at", required=True),
    column("fixed", TIME, "Fixed.", _CODE + "fixed_at"),
    column("dismissed", TIME, "Dismissed.", _CODE + "dismissed_at"),
    column("dismissed_reason", TEXT, "Reason given.", _CODE + "dismissed_reason"),
    column(
        "severity",
        TEXT,
        "Security severity: low, medium, high or critical; NULL when the rule is not about security.",
        _CODE + "rule.security_severity_level",
    ),
    column("rule", TEXT, "Id of the rule.", _CODE + "rule.id"),
    column("tool", TEXT, "Name of the scanner.", _CODE + "tool.name"),
)

_SECRET = "GET /orgs/{org}/secret-scanning/alerts#"  # noqa: S105 - the name of an endpoint

SECRET_ALERT = table(
    "secret_alert",
    "One row per secret found in a repository, in every state; never the secret.",
    (SECRET_SCANNING,),
    column("repository", TEXT, "Name of the repository.", _SECRET + "repository.name", required=True),
    column("number", INT, "Number within the repository.", _SECRET + "number", required=True),
    column("state", TEXT, "open or resolved.", _SECRET + "state", required=True),
    column("created", TIME, "Found.", _SECRET + "created_at", required=True),
    column("resolved", TIME, "Resolved.", _SECRET + "resolved_at"),
    column("resolution", TEXT, "revoked, false_positive, wont_fix, used_in_tests or NULL.", _SECRET + "resolution"),
    column("validity", TEXT, "active, inactive or unknown.", _SECRET + "validity"),
    column("push_protection_bypassed", BOOL, "Pushed past push protection.", _SECRET + "push_protection_bypassed"),
    column(
        "bypass_reviewed_by",
        TEXT,
        "Login of who reviewed the request to bypass; NULL when nobody did.",
        _SECRET + "push_protection_bypass_request_reviewer.login",
    ),
    column("publicly_leaked", BOOL, "Also found in public.", _SECRET + "publicly_leaked"),
    column("secret_type", TEXT, "Kind of secret.", _SECRET + "secret_type"),
)
