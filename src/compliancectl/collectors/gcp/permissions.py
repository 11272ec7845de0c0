"""The least rights that the collector needs, ready to paste; written from what its tables declare."""

from __future__ import annotations

from collections.abc import Iterable

from compliancectl.collectors.gcp.services import SERVICES
from compliancectl.model.table import Table

_TEXT = """\
# Google Cloud

A custom role that holds what the collector reads, and nothing else. Save it as compliance-reader.yaml:

```yaml
title: Compliance reader
description: Reads configuration, backups, audit logs and findings; changes nothing
stage: GA
includedPermissions:
{permissions}
```

Make a service account, switch on the APIs, and grant the role on each project of the scope:

```sh
gcloud iam service-accounts create compliance-reader --project=PROJECT
gcloud services enable --project=PROJECT \\
  {services}
gcloud iam roles create complianceReader --project=PROJECT --file=compliance-reader.yaml
gcloud projects add-iam-policy-binding PROJECT \\
  --member=serviceAccount:compliance-reader@PROJECT.iam.gserviceaccount.com --role=projects/PROJECT/roles/complianceReader
```

With `organization` in the scope, public bindings, log sinks, the organisation's own IAM policy and its changes
are read; without `projects`, all its projects are in scope, or those of `folders`. Make the role there instead, and grant it there (or on the folders
with `gcloud resource-manager folders add-iam-policy-binding`); the projects inherit it:

```sh
gcloud iam roles create complianceReader --organization=NUMBER --file=compliance-reader.yaml
gcloud organizations add-iam-policy-binding NUMBER \\
  --member=serviceAccount:compliance-reader@PROJECT.iam.gserviceaccount.com --role=organizations/NUMBER/roles/complianceReader
```

Where projects are looked for, the role also needs:

{below}

With `logs` in the scope, restores are looked for in a BigQuery dataset that Log Analytics links, and its project takes part with:

{linked}

```sh
gcloud services enable bigquery.googleapis.com --project=LOGS_PROJECT
gcloud projects add-iam-policy-binding LOGS_PROJECT \\
  --member=serviceAccount:compliance-reader@PROJECT.iam.gserviceaccount.com --role=roles/bigquery.jobUser
bq add-iam-policy-binding --member=serviceAccount:compliance-reader@PROJECT.iam.gserviceaccount.com \\
  --role=roles/bigquery.dataViewer LOGS_PROJECT:DATASET
```

No key needs to be made. People act as the service account with their own login and `impersonate:
compliance-reader@PROJECT.iam.gserviceaccount.com` in the scope:

```sh
gcloud iam service-accounts add-iam-policy-binding compliance-reader@PROJECT.iam.gserviceaccount.com \\
  --member=user:PERSON --role=roles/iam.serviceAccountTokenCreator
```

CI acts as it through workload identity federation: make a pool and a provider, let the repository use the account, and point
GOOGLE_APPLICATION_CREDENTIALS to the file that gcloud writes, which holds no secret:

```sh
gcloud iam service-accounts add-iam-policy-binding compliance-reader@PROJECT.iam.gserviceaccount.com \\
  --member=principalSet://iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/attribute.repository/OWNER/NAME \\
  --role=roles/iam.workloadIdentityUser
gcloud iam workload-identity-pools create-cred-config \\
  projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER \\
  --service-account=compliance-reader@PROJECT.iam.gserviceaccount.com --credential-source-file=token.jwt --output-file=federation.json
```

What each table needs:

{tables}

With `quota_project` in the scope, the principal also needs roles/serviceusage.serviceUsageConsumer on that project.
"""


def text(tables: Iterable[Table], services: Iterable[str], below: Iterable[str], linked: Iterable[str]) -> str:
    """Markdown: the role, the APIs, the commands that create and grant it, and what each table needs."""
    found = sorted(tables, key=lambda table: table.name)
    names = sorted({name for table in found for name in table.permissions})
    hosts = sorted({SERVICES[name].host for name in services})
    return _TEXT.format(
        permissions="\n".join(f"- {name}" for name in names),
        linked="\n".join(f"- {name}" for name in sorted(linked)),
        below="\n".join(f"- {name}" for name in sorted(set(below) - set(names))),
        services=" \\\n  ".join(hosts),
        tables="\n".join(f"- {table.name}: {', '.join(sorted(table.permissions))}" for table in found),
    )
