"""The way through the Cloud SQL connector, unmodified: whole, and with everything that can go wrong before PostgreSQL speaks."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from compliancectl.collectors.postgres import collector
from compliancectl.errors import Denied, Missing, SourceFailed, Unreachable
from compliancectl.sandbox import company, google, postgres
from compliancectl.sandbox.web import Misbehaviour

SETTINGS = "GET .*/connectSettings"
CERTIFICATE = "POST .*:generateEphemeralCert"


@pytest.fixture(scope="module")
def cloud(box, tmp_path_factory: pytest.TempPathFactory) -> Iterator[google.Part]:
    with box.server.connect("app") as connection:
        connection.execute(f'grant connect on database app to "{postgres.IAM_READER}"'.encode())
    part = google.start(
        company.load(), tmp_path_factory.mktemp("google"), database_socket=box.server.folder / ".s.PGSQL.5432"
    )
    yield part
    part.stop()


@pytest.fixture
def section(cloud: google.Part, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    for name, value in cloud.env.items():
        monkeypatch.setenv(name, value)
    where = {
        "instance": postgres.INSTANCE,
        "database": "app",
        "user": postgres.IAM_READER,
        "iam": True,
        "ip_type": "PRIVATE",
    }
    said = company.load().sections["postgres"]["declarations"]
    yield {
        "databases": [{**copy.deepcopy(said), "cloud_sql": where}],
        "endpoints": {"sqladmin": cloud.sqladmin_endpoint},
        "timeouts_s": {"connect": 5},
    }
    cloud.web.misbehaviours.clear()


def test_the_evidence_says_how_to_find_its_logins_in_the_audit_log(section, context, tmp_path):
    def said(**where: Any) -> str:
        config = collector.config.model_validate(changed(section, **where))
        with collector.open(config, context(tmp_path)) as session:
            (target,) = collector.feeds[0].targets(session)
            return str(collector.feeds[0].corroborate(session, target))

    project, _, instance = postgres.INSTANCE.split(":")
    filter = said()
    assert f'resource.labels.database_id="{project}:{instance}"' in filter
    assert f'principalEmail="{postgres.IAM_READER}.gserviceaccount.com"' in filter
    assert 'timestamp>="' in filter and 'timestamp<="' in filter
    assert 'principalEmail="jo@example.org"' in said(user="jo@example.org")
    assert "principalEmail" not in said(user="reader", iam=False), "a password login has no account"


def changed(section: dict[str, Any], **where: Any) -> dict[str, Any]:
    section["databases"][0]["cloud_sql"].update(where)
    return section


def test_it_leads_to_the_database_read_only_and_with_the_iam_login(section, collect):
    (row,) = collect(section, "server").rows
    assert row["collected_by"] == postgres.IAM_READER
    assert row["managed"]
    assert not row["collector_superuser"]


@pytest.mark.parametrize("ip_type", ["PUBLIC", "PSC"])
def test_an_address_of_a_type_that_the_instance_does_not_have_is_missing(ip_type, section, collect):
    with pytest.raises(Missing, match=f"no {ip_type} address") as raised:
        collect(changed(section, ip_type=ip_type), "server")
    assert "ip_type" in str(raised.value.hint)


def test_an_unknown_instance_is_missing(section, collect):
    with pytest.raises(Missing, match="no such instance"):
        collect(changed(section, instance="larkspur-prod:europe-west3:no-such-db"), "server")


def test_an_instance_in_another_region_is_missing(section, collect):
    with pytest.raises(Missing, match="region"):
        collect(changed(section, instance="larkspur-prod:us-east1:app-db"), "server")


@pytest.mark.parametrize("path", [SETTINGS, CERTIFICATE])
@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_of_the_admin_api_is_denied_and_names_the_roles(status, path, section, cloud, collect):
    cloud.web.misbehaviours.append(Misbehaviour(path, status=status))
    with pytest.raises(Denied, match="Cloud SQL Admin API refused") as raised:
        collect(section, "server")
    assert "roles/cloudsql.client" in str(raised.value.hint)


def test_a_failing_admin_api_is_a_failure_of_the_source(section, cloud, collect):
    cloud.web.misbehaviours.append(Misbehaviour(SETTINGS, status=400))
    with pytest.raises(SourceFailed, match="answered 400"):
        collect(section, "server")


def test_a_refused_token_is_denied_and_shows_no_token(section, cloud, collect):
    cloud.web.misbehaviours.append(
        Misbehaviour("POST .*token", status=400, body=b'{"error": "invalid_grant", "error_description": "expired"}')
    )
    with pytest.raises(Denied, match="no usable Google credentials") as raised:
        collect(section, "server")
    assert "invalid_grant" in str(raised.value)
    assert "ya29" not in str(raised.value)


def test_no_credentials_at_all_is_denied(section, collect, monkeypatch, tmp_path: Path):
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    with pytest.raises(Denied, match="no usable Google credentials"):
        collect(section, "server")


def test_a_key_file_that_is_not_one_is_denied(section, collect, monkeypatch, tmp_path: Path):
    key = tmp_path / "key.json"
    key.write_text("{}")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
    with pytest.raises(Denied):
        collect(section, "server")


def test_a_proxy_without_a_database_behind_it_is_unreachable(section, cloud, collect):
    backend, cloud.proxy.backend = cloud.proxy.backend, None
    try:
        with pytest.raises(Unreachable):
            collect(section, "server")
    finally:
        cloud.proxy.backend = backend


def test_an_unknown_database_behind_it_is_missing(section, collect):
    with pytest.raises(Missing, match="does not exist"):
        collect(changed(section, database="no_such_database"), "server")


def test_a_login_that_the_database_does_not_know_is_denied(section, collect):
    with pytest.raises(Denied, match="login refused"):
        collect(changed(section, user="stranger@larkspur-prod.iam"), "server")
