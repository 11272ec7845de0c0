"""doctor and permissions: what is missing on Google Cloud, line by line, and how to grant it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from cloudbox import LOGS, PROD, Box

from compliancectl.cli import app
from compliancectl.sandbox import company
from compliancectl.sandbox.google import logserver
from compliancectl.sandbox.google.contract import apis

PROJECT = f"projects/{PROD}"
ORGANIZATION = "organizations/558124370021"
READER = "compliance-reader@larkspur-prod.iam.gserviceaccount.com"

CONNECTOR = {"cloudsql.instances.connect"}
"""What only the Cloud SQL connector needs; it belongs to the database's source."""

LINKED = {"bigquery.datasets.get", "bigquery.jobs.create", "bigquery.tables.getData"}
"""What is needed only where the scope names a dataset that holds the audit logs."""
ROLES = {"iam.roles.get"}
"""What Google's analysis of policies needs to look into roles of one's own; no method asks for it by itself."""

BELOW = {
    "cloudasset.assets.analyzeOrgPolicy",
    "cloudasset.assets.listIamPolicy",
    "resourcemanager.folders.getIamPolicy",
    "resourcemanager.folders.list",
    "resourcemanager.organizations.getIamPolicy",
    "resourcemanager.projects.list",
}
"""What is needed only where projects are looked for."""


def demanded() -> set[str]:
    """The permissions that the sandbox's contract demands for what the collector asks."""
    rest = {method.permission for api in apis().values() for method in api.methods if method.permission}
    rpcs = logserver.contract()["methods"].values()
    return rest | ROLES | {entry[name] for entry in rpcs for name in ("permission", "private") if name in entry}


def troubled(lines: dict[str, Any]) -> dict[str, str]:
    return {subject: line.outcome for subject, line in lines.items() if line.outcome != "ok"}


def test_all_is_well(box: Box) -> None:
    lines = box.doctor()
    assert troubled(lines) == {}
    assert lines["credentials"].detail == f"{READER} (service account key)"
    named = {subject.partition(" on ")[0] for subject in lines if re.match(r"[a-z]+\.\w+", subject)}
    assert named == demanded() - CONNECTOR - BELOW - LINKED, "each permission has its line"
    for where in (PROJECT, f"projects/{LOGS}"):
        assert lines[f"Cloud SQL Admin API on {where}"].detail == "sqladmin.googleapis.com answers"
        assert f"cloudsql.instances.list on {where}" in lines
    assert f"logging.sinks.list on {ORGANIZATION}" in lines


def test_all_is_well_in_an_organisation(box: Box) -> None:
    lines = box.doctor(projects=[])
    assert troubled(lines) == {}
    assert {subject.partition(" on ")[2] for subject in lines if "googleapis" in lines[subject].detail} == {
        ORGANIZATION
    }
    assert {f"{name} on {ORGANIZATION}" for name in demanded() - CONNECTOR - LINKED} <= set(lines)
    assert lines[f"Cloud SQL Admin API on {ORGANIZATION}"].detail == "sqladmin.googleapis.com answers"
    storage = lines[f"Cloud Storage JSON API on {ORGANIZATION}"]
    assert storage.detail == "Cloud Asset Inventory answers for it"


@pytest.mark.parametrize(
    ("permission", "where", "fix"),
    [
        # the first request of its feed
        ("cloudsql.instances.list", PROJECT, "projects add-iam-policy-binding larkspur-prod .*roles/cloudsql.viewer"),
        (
            "logging.buckets.list",
            PROJECT,
            "projects add-iam-policy-binding larkspur-prod .*roles/logging.privateLogViewer",
        ),
        # later requests of theirs
        ("cloudsql.users.list", PROJECT, "roles/cloudsql.viewer"),
        ("compute.networks.getEffectiveFirewalls", PROJECT, "roles/compute.networkViewer"),
        ("run.revisions.get", PROJECT, "roles/run.viewer"),
        # the organisation's
        (
            "logging.sinks.list",
            ORGANIZATION,
            "organizations add-iam-policy-binding 558124370021 .*roles/logging.privateLogViewer",
        ),
        ("cloudasset.assets.searchAllIamPolicies", ORGANIZATION, "organizations add-iam-.*roles/cloudasset.viewer"),
    ],
)
def test_a_missing_permission_is_one_line_with_its_grant(box: Box, permission: str, where: str, fix: str) -> None:
    box.cloud.state.denied.add(f"{permission} {where}")
    lines = box.doctor()
    assert troubled(lines) == {f"{permission} on {where}": "missing"}
    line = lines[f"{permission} on {where}"]
    assert re.search(fix, line.fix) and f"--member=serviceAccount:{READER}" in line.fix


def test_a_disabled_api_is_one_line_and_says_how_to_enable_it(box: Box) -> None:
    box.cloud.state.disabled.add(f"run.googleapis.com {PROJECT}")
    lines = box.doctor()
    assert troubled(lines) == {f"Cloud Run Admin API on {PROJECT}": "missing"}
    assert (
        f"gcloud services enable run.googleapis.com --project={PROD}" in lines[f"Cloud Run Admin API on {PROJECT}"].fix
    )
    assert f"run.services.list on {PROJECT}" not in lines, "nothing can be said about it"
    assert f"run.services.list on projects/{LOGS}" in lines


def test_an_api_that_fails_is_unknown(box: Box) -> None:
    box.misbehave("redis.googleapis.com", status=503)
    box.misbehave("ListLogEntries", "vendor", name="UNAVAILABLE")
    assert troubled(box.doctor(projects=[PROD])) == {
        f"Memorystore for Redis API on {PROJECT}": "unknown",
        f"Cloud Logging API on {PROJECT}": "unknown",
        f"Cloud Logging API on {ORGANIZATION}": "unknown",
    }


def test_what_google_does_not_tell_is_unknown(box: Box) -> None:
    box.cloud.state.disabled.add("cloudresourcemanager.googleapis.com")
    lines = box.doctor(projects=[PROD])
    unknown = troubled(lines)
    for where in (PROJECT, ORGANIZATION):
        assert unknown.pop(f"Cloud Resource Manager API on {where}") == "missing"
    assert set(unknown.values()) == {"unknown"}
    assert f"cloudsql.users.list on {PROJECT}" in unknown, "no request has shown it"
    assert f"storage.buckets.list on {PROJECT}" not in unknown, "the request itself has shown it"
    assert "gcloud services enable cloudresourcemanager" in lines[f"cloudsql.users.list on {PROJECT}"].fix


def test_a_principal_that_could_change_something_is_named(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    granted = [*box.cloud.state.data["granted_permissions"], "storage.buckets.delete"]
    monkeypatch.setitem(box.cloud.state.data, "granted_permissions", granted)
    lines = box.doctor(projects=[PROD])
    assert troubled(lines) == {"no right to change anything": "unknown"}
    assert "storage.buckets.delete on larkspur-prod" in lines["no right to change anything"].detail


@pytest.mark.parametrize(
    "how", [{"status": 400, "body": b'{"error": "invalid_grant"}'}, {"kind": "garbage"}, {"status": 503}]
)
def test_without_a_token_there_is_nothing_more_to_try(box: Box, how: dict[str, Any]) -> None:
    box.misbehave("oauth2.googleapis.com", **how)
    (line,) = box.doctor().values()
    assert (line.subject, line.outcome) == ("credentials", "missing") and line.fix


def test_without_credentials_there_is_nothing_more_to_try(box: Box, tmp_path: Path) -> None:
    (line,) = box.doctor(env={"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "none.json")}).values()
    assert (line.subject, line.outcome) == ("credentials", "missing") and "gcloud auth" in str(line.fix)


def test_the_command_line_shows_it_and_its_exit_code(
    box: Box, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in box.sandbox.env.items():
        monkeypatch.setenv(name, value)
    scope = str(box.scope())
    assert app.run(["doctor", "--scope", scope]) == 0
    capsys.readouterr()
    box.cloud.state.denied.add("storage.buckets.list")
    assert app.run(["doctor", "--scope", scope]) == 3
    out = re.sub(r"\s+", " ", capsys.readouterr().out)
    assert "missing storage.buckets.list on projects/larkspur-prod" in out
    assert "--role=roles/storage.bucketViewer" in out


def test_the_role_holds_what_the_sandbox_demands_and_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["collectors", "permissions", "gcp"]) == 0
    text = capsys.readouterr().out
    (block,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    role = yaml.safe_load(block)
    assert set(role["includedPermissions"]) == demanded() - CONNECTOR - BELOW - LINKED
    _, _, further = text.partition("Where projects are looked for, the role also needs:")
    further, _, linked = further.partition("What each table needs")[0].partition("With `logs` in the scope")
    assert set(re.findall(r"^- (\S+)$", further, re.MULTILINE)) == BELOW
    assert set(re.findall(r"^- (\S+)$", linked, re.MULTILINE)) == LINKED
    assert sorted({*role["includedPermissions"], *BELOW}) == company.load().sections["google"]["granted_permissions"]
    assert all(host in text for host in (*apis(), "logging.googleapis.com"))
