"""Identities of workloads: service accounts, the keys that people made for them, and when each was last used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from compliancectl.collectors.base import Fetched, Row, Target
from compliancectl.collectors.gcp.everywhere import Everywhere, reworded
from compliancectl.collectors.gcp.feed import Audited, feed
from compliancectl.collectors.gcp.inventory import Inventory, Outside
from compliancectl.collectors.gcp.kinds import Kind, kinds_feed
from compliancectl.collectors.gcp.listing import Listing, Tally, pages
from compliancectl.collectors.gcp.redact import Drop
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.shaping import (
    columns,
    describe,
    dig,
    full_name,
    instant,
    project_column,
    resource_column,
    row,
    text,
)
from compliancectl.collectors.gcp.verdict import Asked
from compliancectl.model.table import BOOL, TEXT, TIME, Column, Table

_a = describe("iam.v1#ServiceAccount")
_k = describe("iam.v1#ServiceAccountKey")
_p = describe("iam.v1#WorkloadIdentityPoolProvider")
_q = describe("policyanalyzer.v1#GoogleCloudPolicyanalyzerV1Activity")
_ACCOUNT = "//iam.googleapis.com/projects/P/serviceAccounts/EMAIL"
_POOL = "//iam.googleapis.com/projects/P/locations/global/workloadIdentityPools/POOL"
LAST_USE = "serviceAccountLastAuthentication"
QUERY = "policyanalyzer.serviceAccountLastAuthenticationActivities.query"

ACCOUNT = Table(
    "gcp.service_account",
    "One row per service account of a project; Google's own service agents are not listed.",
    columns(
        project_column(),
        resource_column(_ACCOUNT),
        _a("email", TEXT, "email", "Address of the account.", required=True),
        Column(
            "disabled", BOOL, "It cannot authenticate; false when it is not said.", "derived: iam.v1 ServiceAccount"
        ),
    ),
    key=("resource",),
    permissions=("iam.serviceAccounts.list",),
    drops=("displayName, description: free text of a person",),
)

KEY = Table(
    "gcp.service_account_key",
    "One row per key of a service account that people manage; those that Google makes and rotates itself are left out.",
    columns(
        project_column(),
        resource_column(f"{_ACCOUNT}/keys/K"),
        Column("account", TEXT, "Address of the account.", "iam.v1#ServiceAccountKey:name", required=True),
        Column("disabled", BOOL, "It cannot be used; false when it is not said.", "derived: iam.v1 ServiceAccountKey"),
        _k("origin", TEXT, "keyOrigin", "USER_PROVIDED or GOOGLE_PROVIDED."),
        _k("valid_from", TIME, "validAfterTime", "Since when it can be used."),
        _k("valid_until", TIME, "validBeforeTime", "Until when it can be used."),
    ),
    key=("resource",),
    permissions=("iam.serviceAccountKeys.list",),
    drops=("publicKeyData, privateKeyData: not needed, secret",),
)

PROVIDER = Table(
    "gcp.identity_provider",
    "One row per provider of a workload identity pool: whose tokens are exchanged for ours.",
    columns(
        project_column(),
        resource_column(f"{_POOL}/providers/PROVIDER"),
        Column("name", TEXT, "Pool and provider.", "iam.v1#WorkloadIdentityPoolProvider:name", required=True),
        _p("state", TEXT, "state", "ACTIVE or DELETED."),
        Column("disabled", BOOL, "It accepts no tokens; false when it is not said.", "derived: iam.v1 … disabled"),
        _p("issuer", TEXT, "oidc.issuerUri", "Who signs the tokens; NULL: not OIDC."),
        _p("condition", TEXT, "attributeCondition", "Which tokens are accepted, as an expression; NULL: all."),
    ),
    key=("resource",),
    permissions=("iam.workloadIdentityPoolProviders.list", "iam.workloadIdentityPools.list"),
    drops=("displayName, description: free text of a person", "oidc.jwksJson: not needed"),
)

ACTIVITY = Table(
    "gcp.service_account_use",
    "One row per service account of which Google knows when it authenticated; those never seen have none.",
    columns(
        project_column(),
        resource_column(_ACCOUNT),
        Column("last_used", TIME, "When it last authenticated.", "activity.lastAuthenticatedTime"),
        _q("known_from", TIME, "observationPeriod.startTime", "Since when uses are known."),
        _q("known_until", TIME, "observationPeriod.endTime", "Until when uses are known; two days behind, or so."),
    ),
    key=("resource",),
    permissions=(QUERY,),
)


def _account(record: Mapping[str, Any], project: str) -> Iterator[Row]:
    given = {
        "project": project,
        "resource": full_name("//iam.googleapis.com/", record.get("name")),
        "disabled": record.get("disabled") is True,
    }
    yield "gcp.service_account", row(ACCOUNT, record, given)


def _key(record: Mapping[str, Any], project: str) -> Iterator[Row]:
    if record.get("keyType") == "SYSTEM_MANAGED":
        return
    name = record.get("name")
    given = {
        "project": project,
        "resource": full_name("//iam.googleapis.com/", name),
        "account": name.split("/")[3] if isinstance(name, str) and name.count("/") > 3 else None,
        "disabled": record.get("disabled") is True,
    }
    yield "gcp.service_account_key", row(KEY, record, given)


def _provider(record: Mapping[str, Any], project: str) -> Iterator[Row]:
    name = record.get("name")
    parts = name.split("/") if isinstance(name, str) else []
    given = {
        "project": project,
        "resource": full_name("//iam.googleapis.com/", name),
        "name": f"{parts[5]}/{parts[7]}" if len(parts) == 8 else None,
        "disabled": record.get("disabled") is True,
    }
    yield "gcp.identity_provider", row(PROVIDER, record, given)


def _texts(session: GcpSession) -> tuple[Drop, ...]:
    return (
        Drop("displayName", "free text"),
        Drop("description", "free text"),
        Drop("publicKeyData", "not needed"),
        Drop("privateKeyData", "secret"),
        Drop("oidc.jwksJson", "not needed"),
    )


# -- last use ---------------------------------------------------------------------------------------------------------


def _listing(place: str, context: Mapping[str, str], drops: tuple[Drop, ...] = ()) -> Listing:
    return Listing(
        Asked("policyanalyzer", QUERY, place),
        f"v1/{place}/locations/global/activityTypes/{LAST_USE}/activities:query",
        "activities",
        ("pageSize", 1000),
        drops=drops,
        context=context,
    )


def _fetch_uses(session: GcpSession, target: Target) -> Fetched:
    tally = Tally()
    for page in pages(session, _listing(f"projects/{target.name}", {"project": target.name}), tally):
        yield page.reply
    return tally.completeness("uses of service accounts")


def _fetch_all_uses(session: GcpSession, inventory: Inventory) -> Fetched:
    """Policy Analyzer answers for a whole organisation; what belongs to projects out of scope is dropped."""
    tally, numbers = Tally(), {project.id: project.number for project in inventory.projects}

    def lies_in(item: Mapping[str, Any]) -> str:
        project = _project_of(text(item, "fullResourceName"))
        return f"projects/{numbers.get(project, project)}"

    root = f"organizations/{session.config.organization}"
    for page in pages(session, _listing(root, {}, (Outside(inventory, tally, "activities", lies_in),)), tally):
        yield page.reply
    done = tally.completeness("uses of service accounts")
    return reworded(done, f"{done.method}; {inventory.words}")


def _project_of(name: Any) -> str:
    return str(name).partition("/projects/")[2].partition("/")[0]


def _shape_uses(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    for record in data.get("activities", []):
        name = record.get("fullResourceName")
        given = {
            "project": context.get("project") or _project_of(name),
            "resource": name,
            "last_used": instant(dig(record, "activity.lastAuthenticatedTime")),
        }
        yield "gcp.service_account_use", row(ACTIVITY, record, given)


FEEDS = (
    kinds_feed(
        "service_accounts",
        "Service accounts and the keys that people manage.",
        (ACCOUNT, KEY),
        (
            Kind(
                "iam.googleapis.com/ServiceAccount",
                "iam.serviceAccounts.list",
                "v1/projects/{project}/serviceAccounts",
                "accounts",
                _account,
                ("pageSize", 100),
                drops=_texts,
            ),
            Kind(
                "iam.googleapis.com/ServiceAccountKey",
                "iam.serviceAccountKeys.list",
                "v1/{parent}/keys",
                "keys",
                _key,
                params=(("keyTypes", "USER_MANAGED"),),
                parent="iam.googleapis.com/ServiceAccount",
                drops=_texts,
            ),
        ),
        Audited("iam", "google.iam.admin.v1.ListServiceAccounts"),
    ),
    kinds_feed(
        "identity_providers",
        "Whose tokens are exchanged for ours.",
        (PROVIDER,),
        (
            Kind(
                "iam.googleapis.com/WorkloadIdentityPool",
                "iam.workloadIdentityPools.list",
                "v1/projects/{project}/locations/global/workloadIdentityPools",
                "workloadIdentityPools",
                lambda record, project: (),
                ("pageSize", 1000),
                drops=_texts,
            ),
            Kind(
                "iam.googleapis.com/WorkloadIdentityPoolProvider",
                "iam.workloadIdentityPoolProviders.list",
                "v1/{parent}/providers",
                "workloadIdentityPoolProviders",
                _provider,
                ("pageSize", 100),
                parent="iam.googleapis.com/WorkloadIdentityPool",
                drops=_texts,
            ),
        ),
        Audited("iam", "google.iam.v1.WorkloadIdentityPools.ListWorkloadIdentityPools"),
    ),
    feed(
        "service_account_uses",
        "When service accounts were last used.",
        (ACTIVITY,),
        _fetch_uses,
        _shape_uses,
        Audited("policyanalyzer", "google.cloud.policyanalyzer.v1.PolicyAnalyzer.QueryActivity"),
        everywhere=Everywhere(fetch=_fetch_all_uses),
    ),
)
