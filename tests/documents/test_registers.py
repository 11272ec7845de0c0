"""Registers kept as CSV: typed rows, and every mistake with its row and column."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from compliancectl import plugins, store
from compliancectl.collect import collect
from compliancectl.collectors.documents.kinds import REGISTERS
from compliancectl.load import load_scope
from compliancectl.model.evidence import EvidenceItem
from compliancectl.query.rows import read_rows

SIDECAR = "kind: {kind}\nsubject: x\ntitle: x\nowner: security\nissued: 2026-03-01\n"
SCOPE = "organization: x\nsystem: x\nsources:\n  documents: {folder: documents}\n"
HEADER = "id,title,owner,due,done,evidence"


def collected(
    place: Path, data: str | bytes, kind: str = "milestone-register", name: str = "m.csv"
) -> tuple[EvidenceItem, Path]:
    """Collect a folder with one register."""
    folder = place / "documents"
    folder.mkdir()
    (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)
    (folder / f"{name}.yaml").write_text(SIDECAR.format(kind=kind))
    scope = place / "compliancectl.yaml"
    scope.write_text(SCOPE)
    collect(load_scope(scope), {"documents": plugins.collector("documents")}, ["document.milestone"], place / "run")
    (item,) = store.read_items(place / "run")
    return item, place / "run"


def rows(item: EvidenceItem, run: Path, table: str) -> list[dict[str, object]]:
    (found,) = [t for t in item.tables if t.table == table]
    return read_rows(run / "evidence" / item.id / found.path)


def test_rows_become_typed_and_other_columns_are_not_read(tmp_path: Path) -> None:
    text = f'\ufeff{HEADER},phone\r\nM-1,"One, two",x,2026-09-30,,,555-0199\r\n,,,,,,\r\n M-2 ,Two,,2026-09-30T10:00:00+02:00,2026-02-01,a.pdf,\r\n'
    item, run = collected(tmp_path, text)
    assert item.status == "collected", item.reason
    first, second = rows(item, run, "document.milestone")
    assert first == {"resource": "m.csv#M-1", "id": "M-1", "title": "One, two", "owner": "x", "due": datetime(2026, 9, 30),
                     "done": None, "evidence": None}  # fmt: skip
    assert (second["id"], second["owner"], second["due"]) == ("M-2", None, datetime(2026, 9, 30, 8))
    kept = b"".join(f.read_bytes() for f in run.rglob("*") if f.is_file())
    assert b"555-0199" not in kept


@pytest.mark.parametrize("kind", REGISTERS)
def test_the_example_of_each_kind_is_a_register(kind: str, tmp_path: Path) -> None:
    register = REGISTERS[kind]
    item, run = collected(tmp_path, f"{register.header}\n{register.example}\n", kind)
    assert item.status == "collected", item.reason
    (row,) = rows(item, run, register.table.name)
    assert row["resource"] == f"m.csv#{row['id']}"


MISTAKES = {
    "no day": (f"{HEADER}\nM-1,x,x,soon,,", "m.csv: row 2: due must be a day such as 2026-08-01, but it is 'soon'"),
    "nothing where something must be": (f"{HEADER}\nM-1,x,x,,,", "m.csv: row 2: due is empty"),
    "too few cells": (f"{HEADER}\nM-1,x", "m.csv: row 2: has 2 cells under 6 columns"),
    "an id twice": (f"{HEADER}\nM-1,x,x,2026-01-01,,\nM-1,x,x,2026-01-01,,", "row 3: M-1 stands in row 2 already"),
    "a misspelt column": (HEADER.replace("due", "duee"), "row 1: there is no column due (is it duee?)"),
    "a column twice": (f"{HEADER},due", "row 1: the column due stands twice"),
    "a header and nothing of it": ("one,two", "row 1: there is no column id; a milestone-register begins: id,title"),
    "no UTF-8": (b"\xff\xfe", "m.csv: is not UTF-8"),
    "an open quotation mark": (f'{HEADER}\n"M-1', "m.csv: is not CSV: unexpected end of data"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_and_then_no_document_counts(name: str, tmp_path: Path) -> None:
    text, message = MISTAKES[name]
    item, _ = collected(tmp_path, text)
    assert item.status == "failed" and item.reason is not None and message in item.reason
    assert not any(table.rows for table in item.tables)


def test_numbers_and_yes_or_no_are_held_to_their_type(tmp_path: Path) -> None:
    register = REGISTERS["risk-register"]
    item, _ = collected(tmp_path, f"{register.header}\nR-1,x,ai,often,5,x,reduce,2026-01-01\n", register.kind)
    assert item.reason is not None and "likelihood must be a whole number, but it is 'often'" in item.reason
    register = REGISTERS["incident-register"]
    (tmp_path / "b").mkdir()
    item, _ = collected(tmp_path / "b", f"{register.header}\nI-1,x,low,2026-01-01,,maybe,no,,\n", register.kind)
    assert item.reason is not None and "root_cause must be yes or no, but it is 'maybe'" in item.reason


def test_a_register_that_is_no_csv_is_refused(tmp_path: Path) -> None:
    item, _ = collected(tmp_path, "# Milestones", name="m.md")
    assert item.reason is not None and "m.md: a milestone-register is kept as CSV" in item.reason


def test_the_rows_are_in_the_reply_that_is_kept(tmp_path: Path) -> None:
    item, run = collected(tmp_path, f"{HEADER}\nM-1,x,x,2026-09-30,,\n")
    (reply,) = item.replies
    (document,) = json.loads((run / "evidence" / item.id / reply.path).read_bytes())["documents"]
    assert document["rows"][0]["due"] == "2026-09-30T00:00:00Z"
