"""Before anything is collected: the section of the scope file, `doctor`, and how to grant permissions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from compliancectl import clock, load, plugins
from compliancectl.cli import app
from compliancectl.collectors.base import Context, Diagnosis
from compliancectl.collectors.github import client, collector
from compliancectl.collectors.github.doctor import NEEDED_FOR
from compliancectl.errors import FileError
from compliancectl.model.evidence import Window
from compliancectl.sandbox.run import environment
from compliancectl.sections import validate_sections

ORG = "larkspur-learning"


def doctor(hub: Any, **section: Any) -> dict[str, Diagnosis]:
    """The lines of the diagnosis by subject."""
    installed = plugins.collector("github")
    scope = load.load_scope(hub.scope(**section))
    valid = validate_sections(scope, {"github": installed})["github"]
    now = clock.now()
    context = Context(Window(start=now - timedelta(days=1), end=now), now, "production", scope.folder, deadline_s=5)
    with environment(hub.sandbox.env), installed.collector.open(valid, context) as session:
        return {line.subject: line for line in session.doctor()}


def test_the_command_says_what_is_in_order_and_ends_well(hub, capsys):
    with environment(hub.sandbox.env):
        code = app.run(["doctor", "--scope", str(hub.scope())])
    assert code == 0
    said = capsys.readouterr().out
    assert "dilnoza-karimova" in said
    assert "missing" not in said


def test_doctor_finds_everything_in_order(hub):
    lines = doctor(hub)
    assert {line.outcome for line in lines.values()} == {"ok"}, lines
    assert "dilnoza-karimova" in lines["credentials"].detail
    assert "organization_administration" not in lines["credentials"].detail  # a fine-grained token does not say
    assert f"pull requests of {ORG}/infrastructure" in lines


def test_doctor_says_which_permission_is_missing_and_how_to_grant_it(hub):
    hub.state.denied |= {"secret_scanning_alerts", f"administration {ORG}/lesson-editor"}
    lines = doctor(hub)
    bad = {subject for subject, line in lines.items() if line.outcome != "ok"}
    assert "secret alerts" in bad
    assert f"security settings of {ORG}/lesson-editor" in bad
    assert f"security settings of {ORG}/infrastructure" not in bad
    assert "secret_scanning_alerts" in lines["secret alerts"].fix
    assert "github.secret_alert" in lines["secret alerts"].fix
    assert "github.repository_invitation" in lines[f"invitations to {ORG}/lesson-editor"].fix
    assert all(lines[subject].fix for subject in bad)


def test_doctor_says_what_only_an_owner_sees(hub):
    hub.state.viewer["role"] = "member"
    lines = doctor(hub)
    assert lines["second factors of members"].outcome != "ok"
    assert "owner" in lines["second factors of members"].fix
    assert "owner" in lines[f"organisation {ORG}"].fix


def test_doctor_tries_something_for_every_table(hub):
    named = {name for names in NEEDED_FOR.values() for name in names.split()}
    assert {f"github.{name}" for name in named} == {table.name for table in collector.tables}
    subjects = set(doctor(hub)) - {"credentials"}
    for start in NEEDED_FOR:
        assert any(subject.startswith(start) for subject in subjects), start
    for subject in subjects:
        assert [start for start in NEEDED_FOR if subject.startswith(start)], subject


def test_doctor_without_a_token_says_so_and_stops(hub):
    lines = doctor(hub, token_env="NOT_SET_ANYWHERE")
    assert set(lines) == {"credentials"}
    assert (lines["credentials"].outcome, "NOT_SET_ANYWHERE" in lines["credentials"].fix) == ("missing", True)


def test_doctor_when_github_does_not_answer(hub):
    lines = doctor(hub, base_url="http://127.0.0.1:9")
    assert lines["credentials"].outcome == "unknown"
    assert "no connection" in lines["credentials"].detail


def test_permissions_name_every_table_and_what_it_needs(capsys):
    assert app.run(["collectors", "permissions", "github"]) == 0
    text = capsys.readouterr().out
    for table in collector.tables:
        assert f"* {table.name}: " in text
        assert table.permissions
        assert all(permission in text for permission in table.permissions)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"production": {}}, "production"),
        ({"organization": ""}, "organization"),
        ({"tokens": "x"}, "tokens"),
        ({"page_limit": 0}, "page_limit"),
        ({"app": {"id": 1}}, "app"),
        ({"base_url": "github.example.com"}, "base_url"),
    ],
)
def test_a_section_that_is_wrong_is_refused_with_its_line(start, change, said):
    scope = load.load_scope(start().scope(**change))
    with pytest.raises(FileError, match=said) as raised:
        validate_sections(scope, {"github": plugins.collector("github")})
    assert raised.value.file == str(scope.file)
    assert raised.value.line


def test_doctor_says_what_the_newer_tables_lack(hub):
    lines = doctor(hub)
    wanted = {
        "people who can open repositories",
        "access tokens of members",
        "code that names app.org_id",
        "code that names openrouter.ai",
        "deployments of study-companion",
    }
    assert wanted <= lines.keys()
    hub.state.viewer["role"] = "member"
    hub.state.denied |= {"deployments", "contents"}
    lines = doctor(hub, tokens_app=None)
    assert {subject: lines[subject].outcome for subject in wanted} == dict.fromkeys(wanted, "missing")
    assert "tokens_app" in lines["access tokens of members"].fix
    assert "Deployments" in lines["deployments of study-companion"].fix


def test_proxy_and_certificates_come_from_the_environment_and_nothing_from_netrc(monkeypatch):
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/ssl/company.pem")
    http = client.session("https://github.example/api/v3")
    assert http.proxies["https"] == "http://proxy.example:3128"
    assert (http.verify, http.trust_env) == ("/etc/ssl/company.pem", False)
    monkeypatch.setenv("NO_PROXY", "github.example")
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    http = client.session("https://github.example/api/v3")
    assert (dict(http.proxies), http.verify) == ({}, True)
