"""Each format is what its published schema says, and what a program made by others reads in it."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from compliancectl.export.sarif import write as write_sarif
from compliancectl.export.source import opened
from compliancectl.export.workbook import write_sheets

Exported = Callable[[str], Path]
Schema = Callable[[str], Path]


def items(made: Any) -> list[tuple[str, dict[str, Any]]]:
    return [
        (control.id, json.loads(line))
        for control in made.results.controls
        for test in control.tests
        if test.items_path
        for line in (made.folder / test.items_path).read_text(encoding="utf-8").splitlines()
    ]


# JUnit


@pytest.mark.parametrize("name", ["junit-10.xsd", "junit-ant.xsd"])
def test_junit_follows_both_schemas(name: str, exported: Exported, schema: Schema) -> None:
    from lxml import etree

    judge = etree.XMLSchema(etree.parse(str(schema(name))))
    judge.assertValid(etree.parse(str(exported("junit"))))


def test_junit_reads_as_the_results_say(exported: Exported, made: Any) -> None:
    from junitparser import Error, Failure, JUnitXml, Skipped

    suites = {suite.name.split()[0]: suite for suite in JUnitXml.fromfile(str(exported("junit")))}
    assert list(suites) == [control.id for control in made.results.controls]
    seen = {
        id: [(case.name, [type(result) for result in case.result]) for case in suite] for id, suite in suites.items()
    }
    assert seen["TST-01"] == [("protected-branches: population", []), ("protected-branches: protected", [])]
    assert seen["TST-02"] == [("reviewed-merges: population", [Error]), ("reviewed-merges: reviewed", [Error])]
    assert seen["TST-03"] == [("daily-backups: population", [Error]), ("daily-backups: successful", [Error])]
    assert seen["TST-04"] == [("private-buckets: population", [Error]), ("private-buckets: private", [Error])]
    assert seen["TST-05"] == [
        ("protected-branches: population", [Skipped]),
        ("protected-branches: protected", [Skipped]),
    ]
    assert seen["TST-06"] == [("protected-branches: population", []), ("protected-branches: protected", [Failure])]
    for suite in suites.values():
        counted = Counter(type(result) for case in suite for result in case.result)
        assert (suite.failures, suite.errors, suite.skipped) == (counted[Failure], counted[Error], counted[Skipped])
    text = next(case for case in suites["TST-02"] if case.name.endswith(": reviewed")).result[0]
    assert text.message == "1 of 254 items could not be judged; 251 more deviate."
    assert "app#2: Merge app#2 (=HYPERLINK" in text.text and "and 52 more in results/items/TST-02" in text.text


# SARIF


def test_sarif_follows_its_schema(exported: Exported, schema: Schema) -> None:
    judge = jsonschema_rs.validator_for(json.loads(schema("sarif-2.1.0.json").read_bytes()))
    assert not [str(error) for error in judge.iter_errors(json.loads(exported("sarif").read_bytes()))]


def test_sarif_keeps_the_rules_of_github(exported: Exported, made: Any) -> None:
    (run,) = json.loads(exported("sarif").read_bytes())["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert len(run["results"]) <= 25_000 and len({rule["id"] for rule in rules}) == len(rules)
    assert all(len(rule["properties"]["tags"]) <= 20 for rule in rules)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["message"]["text"]
        (location,) = result["locations"]
        file = location["physicalLocation"]["artifactLocation"]["uri"]
        lines = (made.folder / file).read_text(encoding="utf-8").splitlines()
        line = lines[location["physicalLocation"]["region"]["startLine"] - 1]
        assert (result["ruleId"].split("/")[2] + ":" if result["ruleId"].count("/") == 2 else "id:") in line
    prints = [result["partialFingerprints"]["primaryLocationLineHash"] for result in run["results"]]
    assert len(set(prints)) == len(prints)


def test_sarif_says_what_is_not_true_and_what_is_not_known(exported: Exported, made: Any) -> None:
    (run,) = json.loads(exported("sarif").read_bytes())["runs"]
    seen = Counter((r["ruleId"].split("/")[0], r["kind"], "suppressions" in r) for r in run["results"])
    assert seen == {
        ("TST-02", "fail", False): 251,
        ("TST-02", "fail", True): 1,
        ("TST-02", "review", False): 3,  # one unknown, one broken record, and the test as a whole
        ("TST-03", "review", False): 1,
        ("TST-04", "review", False): 1,
        ("TST-06", "fail", False): 1,
    }
    assert all((r["level"] == "none") == (r["kind"] == "review") for r in run["results"])
    assert not run["invocations"][0]["executionSuccessful"]
    (waived,) = [r for r in run["results"] if "suppressions" in r]
    assert "Needed until the move." in waived["suppressions"][0]["justification"]
    assert waived["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == "app#4"


def test_sarif_says_how_many_results_were_left_out(made: Any, tmp_path: Path) -> None:
    out = tmp_path / "few.sarif"
    with opened(made.folder) as bundle, out.open("wb") as stream:
        write_sarif(bundle, stream, max_results=100)
    (run,) = json.loads(out.read_bytes())["runs"]
    notes = [note["message"]["text"] for note in run["invocations"][0]["toolExecutionNotifications"]]
    assert len(run["results"]) == 100 and any(note.startswith("158 further results are left out") for note in notes)
    assert {result["ruleId"].split("/")[0] for result in run["results"]} == {"TST-02"}  # the critical ones first


def test_sarif_reads_in_a_program_of_others(exported: Exported, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sarif", "csv", "--output", str(tmp_path / "out.csv"), str(exported("sarif"))]
    subprocess.run(command, check=True, capture_output=True)
    with (tmp_path / "out.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert Counter(row["Severity"] for row in rows) == {"error": 253, "none": 5}
    assert all(row["Location"].startswith("catalog/controls/testing/") and int(row["Line"]) >= 1 for row in rows)


# OSCAL


@pytest.mark.parametrize(("kind", "version"), [("oscal", "1.2.1"), ("oscal-1.1.3", "1.1.3")])
def test_oscal_follows_its_schema(kind: str, version: str, exported: Exported, schema: Schema) -> None:
    document = json.loads(exported(kind).read_bytes())
    assert document["assessment-results"]["metadata"]["oscal-version"] == version
    judge = jsonschema_rs.validator_for(json.loads(schema(f"oscal-ar-{version}.json").read_bytes()))
    assert not [str(error) for error in judge.iter_errors(document)]


def test_oscal_reads_in_a_program_of_others(exported: Exported) -> None:
    from trestle.oscal.assessment_results import AssessmentResults

    read = AssessmentResults.oscal_read(exported("oscal"))
    states = {finding.target.target_id: finding.target.status for finding in read.results[0].findings}
    assert {id: str(getattr(s.state, "value", s.state)) for id, s in states.items()} == {
        "TST-01": "satisfied",
        **{f"TST-0{n}": "not-satisfied" for n in (2, 3, 4, 6)},
    }  # nothing occurred to TST-05, so there is nothing to find


def test_every_reference_in_oscal_leads_somewhere(exported: Exported, made: Any) -> None:
    document = json.loads(exported("oscal").read_bytes())["assessment-results"]
    (result,) = document["results"]
    resources = {resource["uuid"]: resource for resource in document["back-matter"]["resources"]}
    inventory = {item["uuid"] for item in result["local-definitions"]["inventory-items"]}
    observations = {observation["uuid"] for observation in result["observations"]}
    assert document["import-ap"]["href"][1:] in resources
    for observation in result["observations"]:
        assert {subject["subject-uuid"] for subject in observation.get("subjects", [])} <= inventory
        assert {evidence["href"][1:] for evidence in observation["relevant-evidence"]} <= set(resources)
    for finding in result["findings"]:
        assert {link["observation-uuid"] for link in finding["related-observations"]} <= observations
    listed = dict(reversed(line.split("  ", 1)) for line in (made.folder / "SHA256SUMS").read_text().splitlines())
    for resource in resources.values():
        (link,) = resource["rlinks"]
        assert link["hashes"] == [{"algorithm": "SHA-256", "value": listed[link["href"]]}]


# OCSF


def test_ocsf_reads_in_a_program_of_others_and_loses_nothing(exported: Exported, made: Any) -> None:
    from py_ocsf_models.events.findings.compliance_finding import ComplianceFinding

    events = [json.loads(line) for line in exported("ocsf").read_bytes().splitlines()]
    for event in events:
        read = json.loads(ComplianceFinding.model_validate(event).model_dump_json(exclude_none=True))
        event["compliance"].pop("status")  # the schema has it; this reader does not
        assert lost(event, read) == []
    # one event per item, and one for each test that could not be judged as a whole
    assert len(events) == len(items(made)) + 3
    assert len({event["metadata"]["uid"] for event in events}) == len(events)


def lost(sent: Any, read: Any, path: str = "") -> list[str]:
    """What is in `sent` and not, or not the same, in `read`."""
    if isinstance(sent, dict) and isinstance(read, dict):
        return [found for key, value in sent.items() for found in lost(value, read.get(key), f"{path}.{key}")]
    if isinstance(sent, list) and isinstance(read, list) and len(sent) == len(read):
        return [found for n, value in enumerate(sent) for found in lost(value, read[n], f"{path}[{n}]")]
    return [] if sent == read else [f"{path}: {sent!r} became {read!r}"]


def test_ocsf_says_of_every_item_what_came_of_it(exported: Exported) -> None:
    events = [json.loads(line) for line in exported("ocsf").read_bytes().splitlines()]
    seen = Counter((event["unmapped"]["outcome"], event["compliance"]["status_id"]) for event in events)
    assert seen == {("pass", 1): 2, ("fail", 3): 252, ("waived", 3): 1, ("excluded", 99): 2, ("unknown", 2): 5}
    assert {e["status"] for e in events if e["unmapped"]["outcome"] == "waived"} == {"Suppressed"}
    denied = next(event for event in events if event["compliance"]["control"] == "TST-04")
    assert "storage.buckets.list was denied" in denied["message"]


# CSV and XLSX


def read_csv(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, strict=True))


def test_csv_holds_the_matrix_the_findings_and_every_population(exported: Exported, made: Any) -> None:
    import duckdb

    folder = exported("csv")
    assert [row["Outcome"] for row in read_csv(folder / "controls.csv")] == [c.outcome for c in made.results.controls]
    findings = read_csv(folder / "findings.csv")
    assert Counter((row["Control"], row["Outcome"]) for row in findings)["TST-02", "fail"] == 251
    assert {row["Control"] for row in findings if row["Outcome"] == "unknown"} == {f"TST-0{n}" for n in (2, 3, 4)}
    population = folder / "items" / "TST-02.reviewed-merges.csv"
    rows = read_csv(population)
    assert [row["Resource"] for row in rows] == [i["resource"] for id, i in items(made) if id == "TST-02"]
    assert rows[0]["approvals"] == "1" and rows[0]["merged"] == "2026-10-30T10:00:00Z"
    (count,) = duckdb.execute(f"select count(*) from read_csv('{population}', all_varchar = true)").fetchone() or (0,)
    assert count == len(rows)
    for file in folder.rglob("*.csv"):
        for row in read_csv(file):
            assert not [cell for cell in row.values() if cell.lstrip().startswith(("=", "+", "-", "@"))]


def test_the_workbook_reads_in_a_program_of_others(exported: Exported, made: Any) -> None:
    import openpyxl

    book = openpyxl.load_workbook(exported("xlsx"))
    assert book.sheetnames == ["About", "Controls", "Criteria", "Findings", "Populations", "Items"]
    controls = list(book["Controls"].iter_rows(min_row=2, values_only=True))
    assert [row[2] for row in controls] == [control.outcome for control in made.results.controls]
    assert [row[7] for row in controls] == [sum(t.counts.total for t in c.tests) for c in made.results.controls]
    rows = list(book["Items"].iter_rows(min_row=2, values_only=True))
    assert [(row[0], row[2], row[3]) for row in rows] == [(id, i["resource"], i["outcome"]) for id, i in items(made)]
    for sheet in book:
        assert not [cell for row in sheet.iter_rows() for cell in row if cell.data_type == "f"]


def test_dates_in_a_workbook_are_dates_and_names_are_not(tmp_path: Path) -> None:
    import openpyxl

    from compliancectl.export.tables import Sheet

    sheet = Sheet("x", "Dates", ("No.", "Resource", "Seen"))
    seen = ("2026-03-01T02:00:05Z", "2026-03-01", "2026-02-30", "1800-01-01", "2026-03-01T02:00:00", "=2026-03-01")
    with (tmp_path / "x.xlsx").open("wb") as stream:
        write_sheets(stream, [(sheet, [(n, "2026-03-01", value) for n, value in enumerate(seen)])])
    found = openpyxl.load_workbook(tmp_path / "x.xlsx")["Dates"]
    assert found.freeze_panes == "C2" and {row[1].value for row in found.iter_rows(min_row=2)} == {"2026-03-01"}
    read = [row[2].value for row in found.iter_rows(min_row=2)]
    assert read[:2] == [datetime(2026, 3, 1, 2, 0, 5), datetime(2026, 3, 1)] and read[2:] == list(seen[2:])


def test_a_workbook_goes_on_in_another_sheet_and_cuts_no_text_silently(tmp_path: Path) -> None:
    import openpyxl

    from compliancectl.export.tables import Sheet

    rows = [(n, "🦉" * 20_000 if n == 3 else f"row {n}", n % 2 == 0) for n in range(10)]
    with (tmp_path / "x.xlsx").open("wb") as stream:
        write_sheets(stream, [(Sheet("x", "Rows", ("N", "Text", "Even")), rows)], max_rows=4)
    book = openpyxl.load_workbook(tmp_path / "x.xlsx")
    assert book.sheetnames == ["Rows", "Rows (2)", "Rows (3)", "Rows (4)"]
    read = [row for sheet in book for row in sheet.iter_rows(min_row=2, values_only=True)]
    assert [row[0] for row in read] == list(range(10)) and read[4] == (4, "row 4", True)
    assert len(read[3][1].encode("utf-16-le")) // 2 <= 32_767
    assert read[3][1].endswith("(cut here: 20,000 characters; the bundle has the whole text)")
