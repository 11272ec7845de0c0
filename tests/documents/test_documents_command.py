"""`documents`: what is there, what ends soon, and what somebody must still supply."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from claimed import Call
from claimed import call as call

from compliancectl import plugins, store
from compliancectl.collect import collect
from compliancectl.collectors.documents.kinds import REGISTERS
from compliancectl.load import load_scope

SCOPE = """\
organization: Larkspur Learning, Inc.
system: Study Companion
controls: {only: [GOV-04, GOV-08, IR-02, BCP-02]}
sources:
  documents: {folder: documents}
"""
AS_OF = "2026-06-30T00:00:00Z"


def put(place: Path, name: str, kind: str, subject: str, issued: str, more: str = "", text: str = "x") -> None:
    file = place / "documents" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    sidecar = f"kind: {kind}\nsubject: {subject}\ntitle: About {subject}\nowner: someone\nissued: {issued}\n{more}"
    file.with_name(f"{name}.yaml").write_text(sidecar)


@pytest.fixture(scope="module")
def scope(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("shelf")
    header = REGISTERS["incident-register"].header
    put(place, "deletion.pdf", "deletion-statement", "backups", "2025-07-10", "status: adopted\n")
    put(place, "risk-old.pdf", "risk-assessment", "organization", "2024-06-30")
    put(place, "risk-older.pdf", "risk-assessment", "organization", "2023-06-30")
    put(place, "incidents.csv", "incident-register", "incidents", "2026-06-20", text=f"{header}\n")
    put(place, "lease.pdf", "lease", "office", "2020-01-01", "expires: 2026-07-01\n")
    put(place, "plan.pdf", "lease", "warehouse", "2020-01-01", "status: planned\n")
    (place / "compliancectl.yaml").write_text(SCOPE)
    return place / "compliancectl.yaml"


def test_what_is_asked_for_and_what_is_there(scope: Path, call: Call) -> None:
    said = call("documents", "request", "--scope", scope, "--as-of", AS_OF, "--within", "14d", "--format", "json")
    found = {(row["kind"], row["subject"]): row for row in said.data}
    assert {key: row["state"] for key, row in found.items()} == {
        ("deletion-statement", "backups"): "expiring",
        ("risk-assessment", "organization"): "expired",
        ("incident-register", "incidents"): "supplied",
        ("milestone-register", "any"): "missing",
        ("risk-register", "any"): "missing",
    }
    assert said.code == 1
    assert found["risk-assessment", "organization"]["document"] == "risk-old.pdf", "the one that was of use longest"
    assert found["deletion-statement", "backups"]["due"] == "2026-07-10", "a year after it took effect"
    assert found["milestone-register", "any"]["controls"] == "GOV-08"
    assert [row["owner"] for row in said.data] == sorted(row["owner"] for row in said.data)


def test_the_list_comes_as_text_table_and_spreadsheet(scope: Path, call: Call) -> None:
    arguments = ("documents", "request", "--scope", scope, "--as-of", AS_OF)
    text = call(*arguments).out
    assert "✕ missing   milestone-register: any" in text and "2 of 5 documents are there and of use." in text
    rows = list(csv.DictReader(io.StringIO(call(*arguments, "--format", "csv").out)))
    assert [row["state"] for row in rows].count("missing") == 2 and rows[0].keys() >= {"owner", "controls", "due"}
    table = call(*arguments, "--format", "markdown").out.splitlines()
    assert len(table) == 2 + 5 and all(line.startswith("| ") for line in table[2:])


def test_what_ends_soon_ends_by_itself_or_by_age(scope: Path, call: Call) -> None:
    said = call("documents", "expiring", "--within", "30d", "--scope", scope, "--as-of", AS_OF, "--format", "json")
    assert said.code == 1
    assert [(row["path"], row["valid_until"]) for row in said.data] == [
        ("risk-older.pdf", "2024-06-29"),
        ("risk-old.pdf", "2025-06-30"),
        ("lease.pdf", "2026-07-01"),
        ("deletion.pdf", "2026-07-10"),
        ("incidents.csv", "2026-07-21"),
    ]
    said = call("documents", "expiring", "--within", "5", "--scope", scope, "--as-of", AS_OF, "--format", "json")
    assert [row["path"] for row in said.data][-1] == "lease.pdf"


def test_everything_is_listed(scope: Path, call: Call) -> None:
    out = call("documents", "list", "--scope", scope, "--as-of", AS_OF).out
    assert "6 documents." in out and "2020-01-01  until 2026-07-01  lease" in out and "without end" in out


def test_a_document_that_was_begun_does_not_count_before_it_is_filled_in(
    scope: Path, tmp_path: Path, call: Call
) -> None:
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "a.pdf").write_bytes(b"x")
    (tmp_path / "compliancectl.yaml").write_text(SCOPE)
    assert call("documents", "new", "risk-assessment", tmp_path / "documents" / "a.pdf").code == 0
    said = call("documents", "new", "incident-register", tmp_path / "documents" / "i.csv")
    assert "A row looks like this: I-01," in said.err
    assert (tmp_path / "documents" / "i.csv").read_text() == REGISTERS["incident-register"].header + "\n"
    assert "owner: security lead" in (tmp_path / "documents" / "a.pdf.yaml").read_text()
    project = load_scope(tmp_path / "compliancectl.yaml")
    for number, filled in enumerate((False, True)):
        for sidecar in (tmp_path / "documents").glob("*.yaml"):
            if filled:
                sidecar.write_text(sidecar.read_text().replace("issued: TODO", "issued: 2026-01-01"))
        run = tmp_path / f"run-{number}"
        collect(project, {"documents": plugins.collector("documents")}, ["document.attestation"], run)
        (item,) = store.read_items(run)
        assert (item.status == "collected") is filled, item.reason


@pytest.mark.parametrize(("kind", "asked"), [("restore-tset", False), ("restore-test", True), ("rule-change", True)])
def test_a_kind_that_nothing_asks_for_and_a_file_that_is_not_there_are_said(
    kind: str, asked: bool, tmp_path: Path, call: Call
) -> None:
    said = call("documents", "new", kind, tmp_path / "a.pdf")
    assert said.code == 0 and "a.pdf is not there yet" in said.err
    assert ("No control that ships asks for" in said.err) is not asked


@pytest.mark.parametrize("kind", ["agreement", "restore-test", "vendor-register", "breach-register"])
def test_what_a_kind_must_say_is_in_the_file_that_is_begun(kind: str, tmp_path: Path, call: Call) -> None:
    from compliancectl import clock
    from compliancectl.collectors.documents import sidecar
    from compliancectl.errors import FileError

    file = tmp_path / "x.csv"
    assert call("documents", "new", kind, file).code == 0
    text = (tmp_path / "x.csv.yaml").read_text()
    for name, value in (
        ("issued: ", "2026-01-01"), ("signed: ", "2026-01-01"), ("performed: ", "2026-01-01"), ("_minutes: ", "1"),
        ("_hours: ", "1"), ("checks_passed: ", "true"), ("_right: ", "true"), ("_term: ", "true"), ("_training: ", "true"),
        ("personal_data: ", "true"), ("ai: ", "true"),
    ):  # fmt: skip
        text = text.replace(f"{name}TODO", f"{name}{value}")
    (tmp_path / "x.csv.yaml").write_text(text)
    try:
        said, _ = sidecar.read(tmp_path / "x.csv.yaml", clock.now())
    except FileError as error:
        pytest.fail(str(error))
    assert said["kind"] == kind


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["new", "Bad Kind", "x.pdf"], "'Bad Kind' is no kind of document"),
        (["new", "risk-register", "x.xlsx"], "a risk-register is kept as CSV"),
        (["new", "lease", "{folder}/lease.pdf"], "lease.pdf.yaml: this document is described already"),
        (["expiring", "--within", "soon", "--scope", "{scope}"], "--within: 'soon' is no number of days"),
    ],
)
def test_what_does_not_fit_is_said(arguments: list[str], message: str, scope: Path, call: Call) -> None:
    said = call("documents", *[a.format(scope=scope, folder=scope.parent / "documents") for a in arguments])
    assert said.code == 2 and message in said.err and "hint: " in said.err and said.out == ""
