"""How to grant the least permissions; printed by `compliancectl collectors permissions github`."""

from __future__ import annotations

from compliancectl.model.table import Table

_HEAD = """\
# Least permissions for GitHub

Make a fine-grained personal access token of an organisation owner (resource owner: the organisation; all repositories),
or a GitHub App, and install it on all repositories. Grant:

* repository permissions: Metadata: read · Contents: read · Pull requests: read · Checks: read · Commit statuses: read ·
  Actions: read · Deployments: read · Webhooks: read · Administration: read · Dependabot alerts: read · Code scanning alerts: read ·
  Secret scanning alerts: read
* organization permissions: Members: read · Administration: read · Webhooks: read · Self-hosted runners: read

and, for the tables `github.ruleset`, `github.ruleset_version` and `github.bypass` only, Administration: read and write in
both places. Collecting writes nothing, but GitHub shows rulesets of the organisation, the histories of rulesets, who may bypass
them and pushes that did to nothing less. Without it these tables are denied, and the tests that read them inconclusive.

Only an owner's token sees the organisation's settings and who has no second factor. A GitHub App does not: these columns
then stay NULL, and the checks are unknown, not passed. A token of an organisation with single sign-on must be authorised
for it (Settings, Developer settings, the token, Configure SSO).

The audit log is there over the API on GitHub Enterprise Cloud only, for an owner's token or a GitHub App with the organization
permission Administration: read. Where the plan has none, nothing is to be granted: `github.audit_log` then says so.

    export GITHUB_TOKEN=…            # or, in compliancectl.yaml, under sources.github:
    # app: {id: 12345, private_key: app.pem, installation: 678910}

GitHub lists members' access tokens to Apps alone. Where everything else is read with a token, install a GitHub App with the
organization permission Personal access tokens: read and nothing else, and name it too:

    # tokens_app: {id: 12346, private_key: tokens-app.pem, installation: 678911}

A classic token needs the scopes `repo`, `read:org`, `read:repo_hook`, `admin:org_hook`, `read:audit_log` and `security_events`, and
`admin:org` for what is said above of rulesets, for pending invitations to the organisation and for groups of runners; `repo`, `admin:org_hook`
and `admin:org` can write, and evidence says so.

`compliancectl notify --github-issue OWNER/REPO` is the one thing that writes, and not while evidence is collected: it needs
Issues: read and write on that repository. Give it a token of its own (`--token-env`), so that this one need not have it.

What each table needs:

"""


def text(tables: tuple[Table, ...]) -> str:
    """The page, with one line per table."""
    return _HEAD + "".join(f"* {table.name}: {'; '.join(table.permissions)}\n" for table in tables)
