"""Write probes: refused but for a clone, right about what a write does, and nothing is left behind."""

from __future__ import annotations

import json

import pytest
import yaml

from compliancectl.cli import app
from compliancectl.query.rows import read_rows

TENANT = "nullif(current_setting('app.organization_id', true), '')::uuid"


def attempts(text, table):
    (found,) = json.loads(text)
    return {
        (cell["context"], cell["resource"].rpartition("/")[2]): cell
        for cell in found["cells"]
        if cell["level"] == "write" and cell["relation"] == f"public.{table}"
    }


def test_they_are_refused_in_a_database_that_is_not_a_clone(db, isolation, everything):
    before = everything(db, traces=False)
    code, text, errors = isolation(db, "--write-probes")
    assert code == 2
    assert "not declared a clone" in errors and "clone: true" in errors
    assert text == ""
    assert everything(db, traces=False) == before


def test_a_sound_clone_withstands_every_write_and_is_as_it_was(db, isolation, everything):
    before = everything(db, traces=False)
    code, text, _ = isolation(db, "--write-probes", "--format", "json", clone=True)
    found = attempts(text, "messages")
    assert {cell["verdict"] for cell in found.values()} == {"isolated"}
    assert {name for _, name in found} == {
        "blind update", "keyed update", "take over", "move", "blind delete", "keyed delete", "insert",
    }  # fmt: skip
    assert found["aldermoor", "move"]["sqlstate"] == found["aldermoor", "insert"]["sqlstate"] == "42501"
    assert all(cell["denominator"] > 0 for cell in found.values())
    assert code == 0, text
    assert everything(db, traces=False) == before


OPEN = {
    "delete": (
        "drop policy tenant on public.messages; create policy r on public.messages for select using (organization_id = {t});"
        "create policy d on public.messages for delete using (true)",
        {"blind delete"},
    ),
    "update": (
        "drop policy tenant on public.messages; create policy r on public.messages for select using (organization_id = {t});"
        "create policy u on public.messages for update using (true)",
        {"blind update", "take over", "move"},
    ),
    "insert": (
        "create policy i on public.messages for insert with check (true)",
        {"insert"},
    ),
    "check": ("alter policy tenant on public.messages with check (true)", {"move", "insert"}),
    "everything": (
        "alter policy tenant on public.messages using (true) with check (true)",
        {"blind update", "keyed update", "take over", "move", "blind delete", "keyed delete", "insert"},
    ),
}


@pytest.mark.parametrize("fault", sorted(OPEN))
def test_a_write_that_comes_through_is_seen_by_its_effect_and_taken_back(fault, db, isolation, everything):
    sql, expected = OPEN[fault]
    db.sql(sql.replace("{t}", TENANT))
    before = everything(db, traces=False)
    code, text, _ = isolation(db, "--write-probes", "--format", "json", clone=True)
    came_through = {name for (_, name), cell in attempts(text, "messages").items() if cell["verdict"] == "open"}
    assert came_through == expected
    assert code in (1, 3)
    assert everything(db, traces=False) == before


def test_a_table_without_rows_proves_nothing(db, isolation):
    db.sql("truncate public.audit_events")
    _, text, _ = isolation(db, "--write-probes", "--format", "json", clone=True)
    found = attempts(text, "audit_events")
    assert found["aldermoor", "blind delete"]["verdict"] == "inconclusive"
    assert ("aldermoor", "insert") not in found


def test_a_row_that_is_held_is_not_waited_for_for_ever(db, isolation, everything):
    held = db.box.server.connect(db.name)
    held.autocommit = False
    try:
        held.execute("select from public.messages for update")
        _, text, _ = isolation(db, "--write-probes", "--format", "json", clone=True, timeouts_s={"lock": 1})
    finally:
        held.close()
    found = attempts(text, "messages")
    assert (found["aldermoor", "blind delete"]["verdict"], found["aldermoor", "blind delete"]["sqlstate"]) == (
        "inconclusive",
        "55P03",
    )
    assert found["aldermoor", "insert"]["verdict"] == "isolated"


@pytest.mark.parametrize("command", ["collect", "run"])
def test_a_run_tries_writes_only_where_every_database_is_a_clone(db, command, tmp_path, capsys, everything):
    before = everything(db, traces=False)
    scope = tmp_path / "compliancectl.yaml"

    def tried(out: str, **changes: bool) -> tuple[int, str]:
        sources = {"postgres": json.loads(json.dumps(db.section(**changes)))}
        scope.write_text(yaml.safe_dump({"organization": "Larkspur", "system": "App", "sources": sources}))
        more = ["--no-report", "--key", str(tmp_path / "key.pem")] if command == "run" else []
        arguments = ["--scope", str(scope), "--only", "RLS-04", "--write-probes", "-o", str(tmp_path / out), *more]
        return app.run([command, *arguments]), capsys.readouterr().err

    assert app.run(["keys", "new", str(tmp_path / "key.pem")]) == 0
    code, errors = tried("refused")
    assert code == 2 and "not declared a clone" in errors
    assert not (tmp_path / "refused").exists()
    tried("tried", clone=True)
    files = [f for f in (tmp_path / "tried").rglob("*.parquet") if f.name == "postgres.isolation_probe.parquet"]
    assert "write" in {row["level"] for file in files for row in read_rows(file)}
    assert everything(db, traces=False) == before
