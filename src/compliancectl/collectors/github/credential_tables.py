"""Tables of what acts on GitHub without being a person: deploy keys, apps, webhooks, access tokens. NULL always means: GitHub did not say."""

from __future__ import annotations

from compliancectl.collectors.github.columns import (
    ACCESS_TOKENS,
    ADMINISTRATION,
    HOOKS,
    METADATA,
    ORGANIZATION,
    ORGANIZATION_HOOKS,
    column,
    table,
)
from compliancectl.model.table import BOOL, INT, TEXT, TIME, ListOf

_KEY = "GET /repos/{owner}/{repo}/keys#"

DEPLOY_KEY = table(
    "deploy_key",
    "One row per deploy key of a repository that is not archived.",
    (METADATA, ADMINISTRATION),
    column("repository", TEXT, "Name of the repository.", "gql#Repository.name", required=True),
    column("id", INT, "Number that GitHub gave it.", _KEY + "id", required=True),
    column("read_only", BOOL, "It cannot push.", _KEY + "read_only"),
    column("enabled", BOOL, "It is not switched off.", _KEY + "enabled"),
    column("created", TIME, "Added.", _KEY + "created_at", required=True),
    column("last_used", TIME, "Last used; NULL when it never was.", _KEY + "last_used"),
    column("added_by", TEXT, "Login of who added it; NULL when withheld.", _KEY + "added_by"),
)

_APP = "GET /orgs/{org}/installations#installations[]."

INSTALLATION = table(
    "installation",
    "One row per GitHub App that is installed on the organisation.",
    (ORGANIZATION,),
    column("app", TEXT, "Short name of the app.", _APP + "app_slug", required=True),
    column("selection", TEXT, "Repositories that it reaches: all or selected.", _APP + "repository_selection"),
    column("writes", ListOf(TEXT), "What it may do beyond reading, e.g. `contents=write`.", _APP + "permissions"),
    column("created", TIME, "Installed.", _APP + "created_at"),
    column("suspended", TIME, "Suspended; NULL when it is at work.", _APP + "suspended_at"),
)

_HOOK = "GET /orgs/{org}/hooks, GET /repos/{owner}/{repo}/hooks#"

HOOK = table(
    "hook",
    "One row per webhook, of the organisation and of each repository that is not archived.",
    (HOOKS, ORGANIZATION_HOOKS),
    column("repository", TEXT, "Name of the repository; NULL for the organisation's.", "derived"),
    column("id", INT, "Number that GitHub gave it.", _HOOK + "id", required=True),
    column("active", BOOL, "It is not switched off.", _HOOK + "active"),
    column(
        "origin", TEXT, "Scheme and host that it calls; the rest of the address may be a secret.", _HOOK + "config.url"
    ),
    column("verifies_tls", BOOL, "The certificate of the other side is checked.", _HOOK + "config.insecure_ssl"),
    column("signed", BOOL, "A secret is set, with which the other side can check who calls.", _HOOK + "config.secret"),
)
"""Nothing of an address but its origin is kept: that of a chat's incoming webhook is a credential."""

_GRANT = "GET /orgs/{org}/personal-access-tokens#"

ACCESS_TOKEN = table(
    "access_token",
    "One row per fine-grained access token of a member that was let into the organisation.",
    (ACCESS_TOKENS,),
    column("id", INT, "Number of the grant.", _GRANT + "id", required=True),
    column("owner", TEXT, "Login of whose token it is.", _GRANT + "owner.login"),
    column("selection", TEXT, "Repositories that it reaches: all, subset or none.", _GRANT + "repository_selection"),
    column("writes", ListOf(TEXT), "What it may do beyond reading, e.g. `contents=write`.", _GRANT + "permissions"),
    column("granted", TIME, "Let in.", _GRANT + "access_granted_at", required=True),
    column("ends", BOOL, "It ends by itself some day.", _GRANT + "token_expires_at"),
    column("expires", TIME, "Ends; NULL when it never does.", _GRANT + "token_expires_at"),
    column("expired", BOOL, "It has ended.", _GRANT + "token_expired"),
    column("last_used", TIME, "Last used; NULL when it never was.", _GRANT + "token_last_used_at"),
)
