"""How the tables of GitHub are declared, and the permissions that they need in GitHub's own terms."""

from __future__ import annotations

from compliancectl.collectors.github.redact import DROPPED_IN_WORDS
from compliancectl.model.table import TEXT, Column, Table, Type

OWNER = "an organisation owner's token (GitHub shows this to nobody else)"
METADATA = "Repository permission `Metadata`: read"
CONTENTS = "Repository permission `Contents`: read"
PULL_REQUESTS = "Repository permission `Pull requests`: read"
CHECKS = "Repository permission `Checks`: read"
STATUSES = "Repository permission `Commit statuses`: read"
ENVIRONMENTS = "Repository permission `Actions`: read"
DEPLOYMENTS = "Repository permission `Deployments`: read"
HOOKS = "Repository permission `Webhooks`: read"
ORGANIZATION_HOOKS = "Organization permission `Webhooks`: read"
ADMINISTRATION = "Repository permission `Administration`: read"
DEPENDABOT = "Repository permission `Dependabot alerts`: read"
CODE_SCANNING = "Repository permission `Code scanning alerts`: read"
SECRET_SCANNING = "Repository permission `Secret scanning alerts`: read"  # noqa: S105 - the name of a permission
ACCESS_TOKENS = (
    "Organization permission `Personal access tokens`: read, of a GitHub App (GitHub shows them to nothing else)"
)
RUNNERS = "Organization permission `Self-hosted runners`: read"
MEMBERS = "Organization permission `Members`: read"
ORGANIZATION = "Organization permission `Administration`: read"
AUDIT_LOG = (
    "an organisation owner's token with the organization permission `Administration`: read, or an App with it, on GitHub "
    "Enterprise Cloud (GitHub has the audit log over the API on no other plan)"
)
RULESETS = "Organization permission `Administration`: read and write (GitHub shows rulesets to nothing less)"
RULE_HISTORY = "Repository permission `Administration`: read and write (GitHub shows histories, bypass lists and bypasses to nothing less)"


def table(name: str, description: str, permissions: tuple[str, ...], *columns: Column) -> Table:
    """A table of GitHub: organisation and resource first; `resource` is the key."""
    common = (
        Column("organization", TEXT, "Login of the organisation.", "scope", required=True),
        Column("resource", TEXT, "Name of the item, unique within the table.", "derived", required=True),
    )
    return Table(f"github.{name}", description, common + columns, ("resource",), permissions, DROPPED_IN_WORDS)


def column(name: str, kind: Type, description: str, source: str, *, required: bool = False) -> Column:
    """A column; `source` is the field of the REST answer, or `gql#Type.field`."""
    return Column(name, kind, description, source, required)
