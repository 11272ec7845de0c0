"""Open findings: a name that stays, a date that is due, and nothing lost on the way to a spreadsheet or an issue."""

from __future__ import annotations

import csv
import io
import re
import shutil
from datetime import timedelta
from pathlib import Path

import jsonschema_rs
import pytest
from claimed import Call, assess, paper, project_of, write_company

from compliancectl import assessed
from compliancectl.cli import pipeline
from compliancectl.collectors.documents import registers
from compliancectl.gap_formats import as_csv, as_issue, as_markdown
from compliancectl.gaps import find_gaps, identity
from compliancectl.model.gap import Gaps
from compliancectl.schemas import schemas

CLAIMS = """\
pages: {p: {title: P}}
claims:
  - {id: C-1, text: whole control, page: p, testable: hybrid, controls: [TST-02]}
  - {id: C-2, text: the check that fails, page: p, testable: hybrid, controls: [TST-01, TST-02.papers.independent]}
  - {id: C-3, text: another check, page: p, testable: hybrid, controls: [TST-02.papers.named]}
  - {id: C-4, text: nothing to test, page: p, testable: statement, controls: [TST-02]}
"""
MIXED = identity("TST-02", "papers", "independent", "mixed-1.txt")
ACCEPTED = identity("TST-06", "papers", "independent", "accepted-1.txt")
GOOD = identity("TST-01", "papers", "independent", "good-0.txt")


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scope file of a company; its three assessments are `run-0` to `run-2` beside it."""
    place = tmp_path_factory.mktemp("company")
    scope = write_company(place, CLAIMS)
    for number, good in enumerate((False, True, False)):
        paper(place, "good", 0, good)
        assess(scope, place / f"run-{number}")
    return scope


def test_the_list_is_a_register_that_a_control_reads(company: Path, call: Call) -> None:
    text, problems = call("gaps", company.parent / "run-0", "--format", "csv").out, list[str]()
    rows = registers.read("finding-register", "findings.csv", text.encode(), problems)
    assert problems == [] and {(row["id"], row["waiver"]) for row in rows} == {
        (MIXED, None),
        (GOOD, None),
        (ACCEPTED, "W-1"),
    }


def gaps_of(call: Call, *arguments: object) -> dict[str, dict[str, object]]:
    data = call("gaps", *arguments, "--format", "json").data
    return {gap["id"]: gap for gap in data["gaps"]}


def test_every_failing_check_of_every_item_is_one_gap(company: Path, call: Call) -> None:
    said = call("gaps", company.parent / "run-0", "--format", "json")
    found = {gap["id"]: gap for gap in said.data["gaps"]}
    assert set(found) == {MIXED, ACCEPTED, GOOD}
    assert found[MIXED]["sentence"] == "mixed-1.txt is not independent."
    assert found[MIXED]["claims"] == ["C-1", "C-2"], "claims that name what fails, and can be false"
    assert (found[MIXED]["owner"], found[MIXED]["criteria"]) == ("security", {"soc2": ["CC4.1"]})
    assert found[ACCEPTED]["waiver"] == "W-1" and list(found)[-1] == ACCEPTED
    assert (said.data["undecided_items"], said.code) == (2, 3), "what is unknown is no gap, and no pass either"
    schema = jsonschema_rs.validator_for(schemas()["docs/schema/gaps.schema.json"].decode())
    assert list(schema.iter_errors(said.data)) == []


def test_a_gap_is_as_old_as_its_last_unbroken_stretch(company: Path, call: Call) -> None:
    runs = [company.parent / f"run-{number}" for number in range(3)]
    instants = [call("gaps", run, "--format", "json").data["as_of"] for run in runs]
    found = gaps_of(call, runs[2], "--earlier", runs[0], "--earlier", runs[1])
    assert found[MIXED]["first_seen"] == instants[0] and found[GOOD]["first_seen"] == instants[2]
    assert call("gaps", runs[1], "--earlier", runs[0], "--format", "json").data["closed"] == [GOOD]
    assert "1 open, 0 of them overdue; 1 waived; 1 closed." in call("gaps", runs[1], "--earlier", runs[0]).out


def test_a_gap_is_due_by_its_severity_from_the_day_it_was_first_seen(company: Path, tmp_path: Path, call: Call) -> None:
    before = company.parent / "run-0"
    later = shutil.copytree(before, tmp_path / "later")
    first = assessed.read(before).results.as_of
    pipeline.evaluate_stage(project_of(company), later, first + timedelta(days=31))
    found = gaps_of(call, later, "--earlier", before)
    assert found[MIXED]["due"] == f"{first + timedelta(days=30):%Y-%m-%d}" and found[MIXED]["overdue"] is True
    assert found[ACCEPTED]["overdue"] is True
    assert set(gaps_of(call, later, "--earlier", before, "--overdue")) == {MIXED, GOOD}, "a waived one is not late"
    assert gaps_of(call, later, "--earlier", before, "--within", "high=31")[MIXED]["overdue"] is False
    out = call("gaps", later, "--earlier", before).out
    assert f"{MIXED}  TST-02.papers.independent  due {found[MIXED]['due']}  OVERDUE" in out
    assert "2 open, 2 of them overdue; 1 waived; 0 closed." in out


def test_only_an_owners(company: Path, call: Call) -> None:
    assert gaps_of(call, company.parent / "run-0", "--owner", "nobody") == {}


@pytest.fixture
def hostile(company: Path) -> Gaps:
    """Gaps whose texts try to be more than text."""
    found = find_gaps(assessed.read(company.parent / "run-0"))
    texts = {"resource": '=HYPERLINK("http://x")|cell', "sentence": "@channel <img src=x> [a](b) `c`\nsecond # line"}
    return found.model_copy(update={"gaps": tuple(g.model_copy(update=texts) for g in found.gaps)})


def test_a_spreadsheet_gets_texts_and_no_formulas(hostile: Gaps) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(hostile))))
    assert [row["id"] for row in rows] == [gap.id for gap in hostile.gaps]
    assert all(row["resource"] == '\'=HYPERLINK("http://x")|cell' for row in rows)
    assert rows[0]["finding"].startswith("'@channel") and rows[0]["criteria"] == "soc2: CC4.1"


def test_markdown_and_issues_hold_texts_and_no_markup(hostile: Gaps) -> None:
    table = as_markdown(hostile)
    rows = [line for line in table.splitlines() if line.startswith("| GAP-")]
    assert len(rows) == 3 and all(len(re.findall(r"(?<!\\)\|", row)) == 9 for row in rows)
    title, body = as_issue(hostile.gaps[0])
    for text in (table, title, body):
        assert "<img" not in text.replace("\\<img", "") and "@channel" not in text and "[a](b)" not in text
    assert body.startswith(f"<!-- compliancectl: {hostile.gaps[0].id} -->\n") and "\n" not in title


def test_issues_are_written_one_by_one_and_not_for_what_was_waived(company: Path, tmp_path: Path, call: Call) -> None:
    said = call("gaps", company.parent / "run-0", "--format", "issues", "--output", tmp_path / "issues")
    assert said.code == 3
    files = {file.stem: file.read_text() for file in (tmp_path / "issues").iterdir()}
    assert set(files) == {MIXED, GOOD}
    assert files[MIXED].splitlines()[0] == "TST-02 independent: mixed-1.txt"
    assert "Public statements that it contradicts: C-1, C-2" in files[MIXED] and "- soc2: CC4.1" in files[MIXED]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--within", "high"], "--within: 'high' is not SEVERITY=DAYS"),
        (["--within", "urgent=3"], "--within: 'urgent=3' is not SEVERITY=DAYS"),
        (["--format", "issues"], "--format issues and --output belong together"),
    ],
)
def test_arguments_that_do_not_fit(arguments: list[str], message: str, company: Path, call: Call) -> None:
    said = call("gaps", company.parent / "run-0", *arguments)
    assert said.code == 2 and message in said.err and said.out == ""


def test_items_that_were_altered_are_not_believed(company: Path, tmp_path: Path, call: Call) -> None:
    mine = shutil.copytree(company.parent / "run-0", tmp_path / "mine")
    (file,) = (mine / "results" / "items").glob("TST-02.*")
    file.write_bytes(file.read_bytes().replace(b"mixed-1.txt", b"mixed-9.txt"))
    said = call("gaps", mine)
    assert said.code == 2 and "TST-02.papers.jsonl: This file is missing, or is not what results.json says." in said.err
