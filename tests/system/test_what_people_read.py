"""What a person reads of a company with faults: the summary of a run, and the list of faults to choose from."""

from __future__ import annotations

from pathlib import Path

import pytest
from assessment import Assessment, reassess

from compliancectl.cli import app, summary
from compliancectl.sandbox import company as definition


@pytest.fixture(scope="module")
def broken(healthy: Assessment, tmp_path_factory: pytest.TempPathFactory) -> Assessment:
    """A company with a deviation, and with something that could not be read."""
    faults = ["backups-in-same-region", "buckets-not-readable"]
    company = definition.load(faults, now=healthy.company.now)
    return reassess(company, tmp_path_factory.mktemp("broken"), healthy, "gcp")


@pytest.fixture
def lines(broken: Assessment, capsys: pytest.CaptureFixture[str]) -> list[str]:
    summary.show(broken.results)
    return capsys.readouterr().out.splitlines()


def test_what_could_not_be_read_outranks_a_deviation(broken: Assessment) -> None:
    assert (broken.results.outcome, broken.results.exit_code) == ("inconclusive", 3)


def test_the_summary_stands_in_columns(broken: Assessment, lines: list[str]) -> None:
    controls = {c.id: c for c in broken.results.controls}
    rows = {line.split()[0]: line for line in lines if line.split() and line.split()[0] in controls}
    assert rows.keys() == controls.keys()
    assert len({row.index(controls[id].title) for id, row in rows.items()}) == 1
    assert all(controls[id].outcome in row for id, row in rows.items())


def test_every_item_of_a_control_is_accounted_for(lines: list[str]) -> None:
    assert next(line for line in lines if "BCP-03" in line).endswith("1 of 4 items pass, 1 fails, 2 excluded")
    assert next(line for line in lines if "LOG-02" in line).endswith("1 of 1 items pass; 1 of 2 tests not judged")
    assert next(line for line in lines if "IAM-05" in line).endswith("7 of 7 items pass; 1 of 3 tests not judged")


def test_a_finding_is_printed_with_its_item(lines: list[str]) -> None:
    (finding,) = [line for line in lines if "✕ //" in line]
    assert "instances/app-db: The newest successful backup of app-db is in europe-west3" in finding


def test_why_a_table_could_not_be_read_is_said_once(lines: list[str]) -> None:
    tests = [line.strip() for line in lines if "not judged, because" in line]
    assert tests == [
        f"○ {test}: not judged, because of gcp.bucket (denied)"
        for test in (
            *("export-buckets", "buckets", "stores", "buckets-private", "audit-sink", "copies"),
            *("content-buckets", "locations"),
        )
    ]
    (reason,) = [line for line in lines if "storage.buckets.list" in line]
    assert reason.startswith("  ○ gcp.bucket: gcp/buckets/larkspur-logs is denied: ")


def test_tables_of_one_document_folder_give_one_reason(healthy: Assessment, tmp_path: Path) -> None:
    company = definition.load(["documents-folder-missing"], now=healthy.company.now)
    results = reassess(company, tmp_path, healthy, "documents").results
    (test,) = next(c for c in results.controls if c.id == "VND-02").tests
    assert len(test.tables) == 2 and test.reason is not None
    assert test.reason.count("documents/files/folder") == 1


def test_the_list_of_faults_is_grouped_and_names_what_each_turns(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["demo", "--list-faults"]) == 0
    out = capsys.readouterr().out
    faults = definition.faults().values()
    for fault in faults:
        (line,) = [line for line in out.splitlines() if line.startswith(f"  {fault.id} ")]
        controls = {test.partition(".")[0] for test in fault.turns}
        assert fault.says in line and min(controls) in line
        assert (f" +{len(controls) - 1} " in line) == (len(controls) > 1)
        assert ("○" in line) == (["*"] in fault.turns.values())
    areas = [line for line in out.splitlines() if line[:1].isalpha() and not line.startswith("One of them")]
    assert areas[:2] == ["Google Cloud", "PostgreSQL"] and areas[-1] == "What the company declares"
    assert len(areas) == len({fault.section for fault in faults})
