"""How to grant the least permissions; printed by `compliancectl collectors permissions github`."""

from __future__ import annotations

from compliancectl.model.table import Table

_HEAD = """\
# Least permissions for GitHub

Make a GitHub App in the organisation (or a fine-grained personal access token of an organisation owner, with the
organisation as resource owner and all repositories selected). Grant, and install it on all repositories:

Repository permissions: Metadata: read · Contents: read · Pull requests: read · Administration: read ·
Dependabot alerts: read · Code scanning alerts: read · Secret scanning alerts: read

Organization permissions: Members: read · Administration: read (read and write where rulesets of the organisation are
used: GitHub shows them, and pushes that bypassed rules, to nothing less)

Only an owner's token sees who has no second factor. An App does not: these columns then stay NULL, and the check
is unknown, not passed.

    export GITHUB_TOKEN=…            # or, in compliancectl.yaml:
    # app: {id: 12345, private_key: app.pem, installation: 678910}

| table | permissions |
|---|---|
"""


def text(tables: tuple[Table, ...]) -> str:
    """The page, with one line per table."""
    return _HEAD + "".join(f"| {table.name} | {'; '.join(table.permissions)} |\n" for table in tables)
