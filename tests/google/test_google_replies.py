"""Replies of another form than Google documents are never taken for an empty list, and never end the run."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from cloudbox import PROD, Box, Collected

from compliancectl.collectors.gcp.config import CONSTRAINTS
from compliancectl.query.rows import read_rows
from compliancectl.sandbox.google.contract import Method, apis

LISTS = [method for api in apis().values() for method in api.methods if method.page]
TABLES = {
    "artifactregistry.projects.locations.list": "gcp.artifact_repository",
    "artifactregistry.projects.locations.repositories.list": "gcp.artifact_repository",
    "cloudasset.analyzeOrgPolicyGovernedContainers": "gcp.org_policy",
    "cloudasset.assets.list": "gcp.bucket",
    "cloudasset.searchAllResources": "gcp.data_store",
    "certificatemanager.projects.locations.certificates.list": "gcp.managed_certificate",
    "iam.projects.locations.workloadIdentityPools.list": "gcp.identity_provider",
    "accesscontextmanager.accessPolicies.list": "gcp.perimeter",
    "accesscontextmanager.accessPolicies.servicePerimeters.list": "gcp.perimeter",
    "dlp.organizations.locations.columnDataProfiles.list": "gcp.column_profile",
    "dlp.projects.locations.columnDataProfiles.list": "gcp.column_profile",
    "iam.projects.locations.workloadIdentityPools.providers.list": "gcp.identity_provider",
    "iam.projects.serviceAccounts.list": "gcp.service_account",
    "kmsinventory.projects.cryptoKeys.list": "gcp.kms_key",
    "monitoring.projects.alertPolicies.list": "gcp.alert_policy",
    "monitoring.projects.notificationChannels.list": "gcp.notification_channel",
    "monitoring.projects.uptimeCheckConfigs.list": "gcp.uptime_check",
    "monitoring.projects.timeSeries.list": "gcp.sql_load",
    "networkmanagement.projects.locations.vpcFlowLogsConfigs.list": "gcp.flow_log_config",
    "policyanalyzer.organizations.locations.activityTypes.activities.query": "gcp.service_account_use",
    "policyanalyzer.projects.locations.activityTypes.activities.query": "gcp.service_account_use",
    "secretmanager.projects.secrets.list": "gcp.secret",
    "secretmanager.projects.secrets.versions.list": "gcp.secret_version",
    "securitycenter.folders.sources.findings.list": "gcp.security_finding",
    "securitycenter.organizations.sources.findings.list": "gcp.security_finding",
    "securitycenter.projects.sources.findings.list": "gcp.security_finding",
    "serviceusage.services.list": "gcp.enabled_api",
    "cloudresourcemanager.folders.list": "gcp.project",
    "cloudresourcemanager.projects.list": "gcp.project",
    "cloudasset.searchAllIamPolicies": "gcp.public_binding",
    "cloudscheduler.projects.locations.jobs.list": "gcp.scheduler_job",
    "cloudscheduler.projects.locations.list": "gcp.scheduler_job",
    "compute.firewalls.list": "gcp.firewall_rule",
    "compute.networks.list": "gcp.firewall_rule",
    "essentialcontacts.folders.contacts.list": "gcp.essential_contact",
    "essentialcontacts.organizations.contacts.list": "gcp.essential_contact",
    "essentialcontacts.projects.contacts.list": "gcp.essential_contact",
    "containeranalysis.projects.occurrences.list": "gcp.vulnerability",
    "redis.projects.locations.instances.list": "gcp.redis_instance",
    "run.projects.locations.jobs.executions.list": "gcp.run_execution",
    "run.projects.locations.list": "gcp.run_service",
    "run.projects.locations.services.list": "gcp.run_service",
    "sql.backupRuns.list": "gcp.sql_backup_run",
    "sql.instances.list": "gcp.sql_user",
    "sql.operations.list": "gcp.sql_operation",
    "storage.buckets.list": "gcp.bucket",
}
OF_ROOTS = [
    "cloudasset.analyzeOrgPolicyGovernedContainers",
    "cloudasset.assets.list",
    "cloudresourcemanager.folders.list",
    "cloudresourcemanager.projects.list",
    "dlp.organizations.locations.columnDataProfiles.list",
    "policyanalyzer.organizations.locations.activityTypes.activities.query",
    "securitycenter.organizations.sources.findings.list",
]
"""Asked of an organisation."""
ALONE = {
    "dlp.projects.locations.columnDataProfiles.list": {"organization": None},
    "essentialcontacts.projects.contacts.list": {"organization": None},
    "essentialcontacts.folders.contacts.list": {"organization": None, "projects": [], "folders": ["610000000001"]},
    "securitycenter.folders.sources.findings.list": {"organization": None, "projects": [], "folders": ["610000000001"]},
}
"""Asked of a folder or project when the scope names no organisation."""


def request_line(method: Method) -> str:
    path = re.sub(r"\\\{\w+\\\}", "[^/:]+", re.escape(method.path))
    return f"^{method.http} /{re.escape(method.api.service)}/{path}$"


def answered(box: Box, method: str, body: Any, table: str) -> Collected:
    """Collect a table while one method answers with `body`."""
    (found,) = (m for api in apis().values() for m in api.methods if m.id == method)
    box.misbehave(request_line(found), status=200, body=json.dumps(body).encode())
    if method.startswith("cloudresourcemanager"):  # asked when the inventory refuses
        box.cloud.state.denied.add("cloudasset.assets.listResource")
    scope: dict[str, Any] = {"projects": [] if method in OF_ROOTS else [PROD], **ALONE.get(method, {})}
    collected = box.collect(table, **scope)
    assert any(re.search(request_line(found), f"{r.method} {r.path}") for r in box.cloud.web.log), "it was not asked"
    return collected


def test_every_list_is_tried() -> None:
    assert sorted(TABLES) == sorted(method.id for method in LISTS)


@pytest.mark.parametrize("what", [None, 3, "text", {"name": 3}, {}, [None], [3], [[]]], ids=json.dumps)
@pytest.mark.parametrize("method", ["storage.buckets.list", "run.projects.locations.services.list"])
def test_a_list_that_is_none_is_garbage(box: Box, method: str, what: Any) -> None:
    key = next(m.page["items"] for m in LISTS if m.id == method and m.page)
    (item,) = answered(box, method, {key: what}, TABLES[method]).items.values()
    assert item.cause == "garbage" and item.status in ("failed", "partial")
    assert item.reason.isprintable() and item.hint


@pytest.mark.parametrize("method", LISTS, ids=lambda method: method.id)
@pytest.mark.parametrize("record", [{}, {"name": 3, "locationId": [], "policy": 1, "id": {}}], ids=["empty", "odd"])
def test_a_record_that_names_nothing_is_not_lost(box: Box, method: Method, record: Any) -> None:
    assert method.page
    (item,) = answered(box, method.id, {method.page["items"]: [record]}, TABLES[method.id]).items.values()
    rejected = [broken for table in item.tables for broken in table.rejected]
    assert rejected or item.cause == "garbage", "neither counted as nothing nor taken for a row"


def test_a_service_without_containers_is_not_lost(box: Box) -> None:
    method = "run.projects.locations.services.revisions.get"
    (item,) = answered(box, method, {"name": "projects/p/x"}, "gcp.run_service").items.values()
    assert (item.status, item.cause) == ("partial", "garbage")


def test_a_policy_that_says_nothing_is_unknown(box: Box) -> None:
    method = "orgpolicy.projects.policies.getEffectivePolicy"
    found = answered(box, method, {}, "gcp.org_policy")
    (item,) = found.items.values()
    rows = read_rows(found.run / "evidence" / item.id / "gcp.org_policy.parquet")
    assert len(rows) == len(CONSTRAINTS) and {row["enforced"] for row in rows} == {None}
