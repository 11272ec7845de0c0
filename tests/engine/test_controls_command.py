"""`controls list|show|check|test|new`, as an author meets them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from compliancectl import load, plugins
from compliancectl.cli import app
from compliancectl.query.examples import Workbench
from compliancectl.resources import controls_folder
from compliancectl.scaffold import scaffold

ROLE = next(path for path in controls_folder().rglob("DB-03-*.yaml"))


def test_list_shows_each_control_once_and_selects(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["controls", "list", "--format", "json"]) == 0
    everything = json.loads(capsys.readouterr().out)
    assert [control["id"] for control in everything] == sorted({control["id"] for control in everything})
    assert app.run(["controls", "list", "--only", "BCP-*", "--framework", "ferpa", "--format", "json"]) == 0
    chosen = json.loads(capsys.readouterr().out)
    assert chosen == [c for c in everything if c["id"].startswith("BCP-") and c["satisfies"].get("ferpa")]


def test_show_says_what_a_reader_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["controls", "show", "BCP-02"]) == 0
    text = capsys.readouterr().out
    control = load.load_control(next(controls_folder().rglob("BCP-02-*.yaml")))
    assert control.title in text and "daily: evidence up to 24 hours old" in text
    for framework, criteria in control.satisfies.items():
        for criterion in criteria:
            assert any(line.split()[:2] == [framework, criterion] for line in text.splitlines())
    assert "gcp.bucket                   needs storage.buckets.list" in text
    assert "$retention_days = 30" in text
    for test in control.tests:
        assert f"Test {test.id}" in text
        for check in test.checks:
            assert f"{check.name}: an item passes only if {check.expect}" in text
    # the SQL as it runs: parameters are values, and the test made from documents is shown like every other
    assert "30 AS retention_days" in text and "$export_purposes," not in text
    assert "Test documents (made from the documents under `evidence`)" in text and "document.attestation" in text
    assert "May be empty: The project may have no bucket at all" in text


def test_show_of_the_sql_is_what_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["controls", "show", "DB-03"]) == 0
    text = capsys.readouterr().out
    assert "list_contains(['postgres'], u.name) AS declared" in text


def test_check_and_test_pass_on_a_good_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["controls", "check", str(ROLE)]) == 0
    assert capsys.readouterr().out == "1 control, 0 problems\n"
    assert app.run(["controls", "test", str(ROLE)]) == 0
    by_file = capsys.readouterr().out
    assert "1 control: " in by_file and "0 controls fail" in by_file
    assert app.run(["controls", "test", "DB-03"]) == 0
    assert capsys.readouterr().out == by_file, "a control that ships has a name as well as a file"


def test_check_tells_every_mistake_of_every_file_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = ROLE.read_text()
    criterion, column = tmp_path / "DB-03-a.yaml", tmp_path / "DB-03-b.yaml"
    criterion.write_text(text.replace("CC6.1", "CC6.99").replace("NOT (superuser", "NOT (superusr"))
    column.write_text(text.replace("severity: critical", "severity: critcal"))
    assert app.run(["controls", "check", str(criterion), str(column)]) == 2
    said = capsys.readouterr()
    lines = said.err.splitlines()
    assert len(lines) == 3 and said.out.endswith(", 3 problems\n")
    for file, part in (
        (criterion, 'no criterion "CC6.99"'),
        (criterion, 'Did you mean "superuser"?'),
        (column, 'Did you mean "critical"?'),
    ):
        assert any(line.startswith(f"{file}:") and part in line for line in lines), said.err


def test_mistakes_in_many_files_are_told_in_the_order_of_the_files(tmp_path: Path) -> None:
    """In a process of its own: many files are shared out among several, which a process with threads does not begin."""
    for path in sorted(controls_folder().rglob("???-0*.yaml"))[:30]:
        shutil.copy(path, tmp_path)
    files = sorted(tmp_path.glob("*.yaml"))
    mistaken = [files[n] for n in (3, 4, 11, 29)]
    for file in mistaken:
        file.write_text(
            file.read_text(encoding="utf-8").replace("  population: |\n", "  population: |\n      oops\n", 1)
        )
    command = [sys.executable, "-m", "compliancectl", "controls", "check", str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "30 controls, 4 problems\n")
    said = done.stderr.splitlines()
    assert [line.partition(".yaml:")[0] for line in said] == [str(file.with_suffix("")) for file in mistaken]
    assert all("oops" in line and "This is not SQL" in line for line in said)


def test_test_fails_when_an_example_does_not_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / ROLE.name
    file.write_text(
        ROLE.read_text().replace("array_length(admin_memberships) = 0", "array_length(admin_memberships) >= 0")
    )
    assert app.run(["controls", "test", str(file)]) == 1
    said = capsys.readouterr()
    assert f"{file}:" in said.err and "1 control fails" in said.out


def test_a_file_that_does_not_exist_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["controls", "check", str(tmp_path / "none.yaml")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_new_begins_a_file_that_editors_complete(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["controls", "new", "ACME-01", "--reads", "postgres.role", "--folder", str(tmp_path)]
    assert app.run(command) == 0
    file = Path(capsys.readouterr().out.strip())
    first = file.read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=control.schema.json"
    assert (tmp_path / "control.schema.json").read_bytes() == (controls_folder() / "control.schema.json").read_bytes()
    before = file.read_bytes()
    assert app.run(command) == 2 and file.read_bytes() == before
    assert "there is a control file already" in capsys.readouterr().err


def test_new_in_the_catalogue_names_its_schema_and_copies_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    folder = controls_folder() / ".begun-by-a-test"  # hidden: nobody else loads it meanwhile
    try:
        assert app.run(["controls", "new", "ACME-01", "--reads", "postgres.role", "--folder", str(folder)]) == 0
        (file,) = folder.iterdir()
        assert file.read_text().startswith("# yaml-language-server: $schema=../control.schema.json\n")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["acme", "--reads", "postgres.role"], "Write capital letters"),
        (["ACME-01", "--reads", "postgres.rol"], "postgres.role"),
    ],
)
def test_new_refuses_what_it_cannot_begin(
    arguments: list[str], part: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(["controls", "new", *arguments, "--folder", str(tmp_path)]) == 2
    assert part in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_what_new_writes_about_any_table_needs_only_what_its_author_must_say(tmp_path: Path) -> None:
    tables = plugins.all_tables()
    bench = Workbench(tables)
    for number, name in enumerate(sorted(tables), 1):
        file_name, text = scaffold(f"ACME-{number}", [name], tables)
        file = tmp_path / file_name
        file.write_text(text)
        problems = bench.check(load.load_control(file))
        assert [problem.message for problem in problems if "TODO" not in problem.message] == [], name
        file.write_text(text.replace("expect: TODO", "expect: resource = 'good'"))
        assert [str(problem) for problem in bench.test(load.load_control(file)).problems] == [], name
    bench.close()
