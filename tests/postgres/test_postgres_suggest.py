"""`compliancectl postgres suggest`: a section to begin with, every guess marked, and safe whatever names there are."""

from __future__ import annotations

import json

import pytest

from compliancectl.cli import app
from compliancectl.collectors.postgres import collector


@pytest.fixture
def suggest(capsys, monkeypatch):
    def run(db, *arguments):
        monkeypatch.setenv("PGPASSFILE", str(db.box.folder / "pgpass"))
        dsn = f"host={db.box.server.folder} dbname={db.name} user=compliance_ro"
        code = app.run(["postgres", "suggest", dsn, *arguments])
        said = capsys.readouterr()
        assert "SEEDED-SECRET" not in said.out + said.err
        assert "seeded-person" not in said.out + said.err
        return code, said.out

    return run


def load(text):
    import yaml

    return yaml.safe_load(text)["sources"]["postgres"]


def test_what_the_company_declares_is_what_is_guessed(box, whole, suggest):
    code, text = suggest(whole(box))
    (said,) = load(text)["databases"]
    assert code == 0
    assert said["app_roles"] == ["app"]
    assert said["tenant_keys"][0] == "organization_id"
    assert said["tenant_root"] == "public.organizations"
    assert said["tenant_key_of"] == {"public.organizations": "id"}
    assert set(said["shared_tables"]) == {
        "public.subject_areas",
        "public.schema_migrations",
        "public.role_permissions",
    }
    assert said["identity_table"] == "public.users"
    assert "app.organization_id" in text
    assert "compliance.user_purge(interval)" in text
    assert "trusted_definers" not in said and "contexts" not in said


def test_every_guess_is_marked_and_the_section_is_one_that_the_collector_takes(box, whole, suggest):
    _, text = suggest(whole(box))
    config = collector.config.model_validate(load(text))
    assert config.databases[0].name == "app"
    guessed = [
        line
        for line in text.splitlines()
        if any(key in line for key in ("tenant_root", "identity_table", "break_glass"))
    ]
    assert guessed and all("GUESS" in line for line in guessed)
    assert all(reason.startswith("GUESS") for reason in config.databases[0].shared_tables.values())


def test_hostile_names_stay_within_their_strings(db, suggest):
    import psycopg.sql as s

    names = ["x: [evil]\n- name: y", '"; drop table users; --', "#", "ü" * 31, "\u202egnp"]
    with db.box.server.connect(db.name) as connection:
        for name in names:
            connection.execute(s.SQL("create table public.{} (id int)").format(s.Identifier(name)))
    code, text = suggest(db)
    (said,) = load(text)["databases"]
    assert code == 0
    assert len(said["shared_tables"]) == 3 + len(names)
    assert "\u202e" not in text


def test_scripts_get_the_same_as_json(box, whole, suggest):
    code, text = suggest(whole(box), "--format", "json")
    assert code == 0
    assert json.loads(text)["settings"] == ["app.organization_id"]


def test_a_password_on_the_command_line_is_refused(capsys):
    assert app.run(["postgres", "suggest", "host=db password=hunter2"]) == 2
    errors = capsys.readouterr().err
    assert "must not hold a password" in errors and "hunter2" not in errors


def test_a_dead_server_is_one_message(tmp_path, capsys):
    assert app.run(["postgres", "suggest", f"host={tmp_path} dbname=app user=x"]) == 3
    errors = capsys.readouterr().err
    assert "no connection" in errors and "Traceback" not in errors
