"""Registers: lists that people keep as CSV (milestones, risks, incidents, breaches), read as typed tables.

A register is a document like any other: its sidecar says what it is and when it was last looked at. Its rows become
evidence, but only the columns declared here; whatever else the list holds (names, notes) is not read. A cell that is
not what its column says is a mistake with its row and column, and then the whole folder does not count.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Any

from compliancectl import clock
from compliancectl.load.problems import nearest
from compliancectl.model.table import BOOL, INT, TEXT, TIME, Column, Table

MAX_ROWS = 100_000
READ = ("read access to the folder",)
_ID = Column("id", TEXT, "What the register calls it.", "column id", required=True)
_TITLE = Column("title", TEXT, "What it is, in a few words.", "column title", required=True)
_OWNER = Column("owner", TEXT, "Who answers for it.", "column owner")


@dataclass(frozen=True)
class Register:
    """One kind of register."""

    kind: str
    """Kind of the document, as its sidecar says it."""
    table: Table
    example: str
    """One row of a well-kept register, after the header."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """What is read of each row."""
        return self.table.columns[1:]

    @property
    def header(self) -> str:
        """The first line of the file."""
        return ",".join(column.name for column in self.columns)


def _register(kind: str, table: str, what: str, example: str, *columns: Column) -> Register:
    resource = Column("resource", TEXT, "`path of the register#id`.", required=True)
    drops = ("columns that are not listed here are not read",)
    return Register(kind, Table(f"document.{table}", what, (resource, *columns), ("resource",), READ, drops), example)


def _time(name: str, what: str, *, required: bool = False) -> Column:
    return Column(name, TIME, what, f"column {name}", required=required)


def _text(name: str, what: str, *, required: bool = False) -> Column:
    return Column(name, TEXT, what, f"column {name}", required=required)


def _bool(name: str, what: str) -> Column:
    return Column(name, BOOL, what, f"column {name}")


REGISTERS: dict[str, Register] = {
    register.kind: register
    for register in (
        _register(
            "milestone-register",
            "milestone",
            "One row per milestone that the organisation has announced (kind `milestone-register`).",
            "M-01,SOC 2 Type 1 report,security lead,2026-09-30,,",
            _ID,
            _TITLE,
            _OWNER,
            _time("due", "When it is to be reached: its first instant is too late.", required=True),
            _time("done", "When it was reached; empty while it is open."),
            _text("evidence", "Path of the document in this folder that shows it was reached."),
        ),
        _register(
            "risk-register",
            "risk",
            "One row per risk (kind `risk-register`).",
            "R-01,A vendor trains on customers' data,vendor,2,5,security lead,reduce,2026-06-30",
            _ID,
            _TITLE,
            _text("category", "`fraud`, `vendor`, `change`, `privacy`, `ai` …", required=True),
            Column("likelihood", INT, "1 (rare) to 5 (expected).", "column likelihood"),
            Column("impact", INT, "1 (small) to 5 (ruinous).", "column impact"),
            _OWNER,
            _text("treatment", "`accept`, `avoid`, `reduce` or `transfer`."),
            _time("reviewed", "When somebody last looked at it."),
        ),
        _register(
            "incident-register",
            "incident",
            "One row per security incident (kind `incident-register`).",
            "I-01,Expired certificate,low,2026-05-02T08:00:00Z,2026-05-02T09:10:00Z,yes,no,2026-05-30,2026-05-12",
            _ID,
            _TITLE,
            _text("severity", "`low`, `medium`, `high` or `critical`."),
            _time("detected", "When it was noticed.", required=True),
            _time("resolved", "When it was over; empty while it is open."),
            _bool("root_cause", "Whether its root cause is written down."),
            _bool("personal_data", "Whether personal data was touched; empty if nobody decided."),
            _time("actions_due", "When what was decided after it must be done."),
            _time("actions_done", "When it was done; empty while it is open."),
        ),
        _register(
            "breach-register",
            "breach",
            "One row per breach of personal data (kind `breach-register`).",
            "B-01,Mail to the wrong customer,2026-05-02T08:00:00Z,risk,2026-05-02T20:00:00Z,yes,2026-05-03T08:00:00Z,no,",
            _ID,
            _TITLE,
            _time("aware", "When the organisation knew of it.", required=True),
            _text("risk", "`none`, `risk` or `high`: what was decided about people's rights."),
            _time("customers_told", "When the customers for whom the data is processed were told."),
            _bool("authority_due", "Whether the authority must be told (where the organisation is controller)."),
            _time("authority_told", "When it was."),
            _bool("people_due", "Whether the people concerned must be told by the organisation."),
            _time("people_told", "When they were."),
        ),
    )
}
"""Kind of document → register."""

TABLES = tuple(register.table for register in REGISTERS.values())
_TIMES = {r.kind: {c.name for c in r.columns if c.type == TIME} for r in REGISTERS.values()}


def read(kind: str, name: str, data: bytes, problems: list[str]) -> list[dict[str, Any]]:
    """The rows of a register, JSON-ready; every mistake is noted with its row and column."""
    register = REGISTERS[kind]
    found: list[dict[str, Any]] = []
    noted = len(problems)
    lines = _lines(name, data, problems)
    header = [cell.strip() for cell in lines[0]] if lines else []
    if lines and not _header_fits(register, name, header, problems):
        return []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines[1:], 2):
        if not any(cell.strip() for cell in line):
            continue
        if len(line) != len(header):
            problems.append(f"{name}: row {number}: has {len(line)} cells under {len(header)} columns")
            continue
        cells = {column: cell.strip() for column, cell in zip(header, line, strict=True)}
        row = {
            column.name: _cell(column, cells.get(column.name, ""), f"{name}: row {number}", problems)
            for column in register.columns
        }
        id = row["id"]
        if id in seen:
            problems.append(f"{name}: row {number}: {id} stands in row {seen[id]} already")
        seen.setdefault(id, number)
        found.append(row)
    return found if len(problems) == noted else []


def times(kind: str) -> set[str]:
    """Columns of a register that hold instants."""
    return _TIMES[kind]


def _lines(name: str, data: bytes, problems: list[str]) -> list[list[str]]:
    try:
        text = data.decode("utf-8-sig")
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except UnicodeDecodeError:
        problems.append(f"{name}: is not UTF-8")
        return []
    except csv.Error as error:
        problems.append(f"{name}: is not CSV: {error}")
        return []
    if not lines:
        problems.append(f"{name}: has no header")
    if len(lines) > MAX_ROWS:
        problems.append(f"{name}: has more than {MAX_ROWS:,} rows")
        return []
    return lines


def _header_fits(register: Register, name: str, header: list[str], problems: list[str]) -> bool:
    wanted = [column.name for column in register.columns]
    noted = len(problems)
    twice = sorted({column for column in header if header.count(column) > 1})
    if twice:
        problems.append(f"{name}: row 1: the column {twice[0]} stands twice")
    for column in wanted:
        if column not in header:
            meant = nearest(column, [other for other in header if other not in wanted])
            hint = f" (is it {meant}?)" if meant else ""
            problems.append(
                f"{name}: row 1: there is no column {column}{hint}; a {register.kind} begins: {register.header}"
            )
    return len(problems) == noted


def _cell(column: Column, text: str, place: str, problems: list[str]) -> Any:
    """A cell as its column says, JSON-ready; an empty one is nothing."""
    if not text:
        if column.required:
            problems.append(f"{place}: {column.name} is empty")
        return None
    try:
        if column.type == TIME:
            return clock.text(clock.parse(text))
        if column.type == INT:
            return int(text)
        if column.type == BOOL:
            return {"yes": True, "no": False, "true": True, "false": False}[text.lower()]
    except (ValueError, KeyError):
        wanted = {TIME: "a day such as 2026-08-01", INT: "a whole number", BOOL: "yes or no"}[column.type]  # type: ignore[index]
        problems.append(f"{place}: {column.name} must be {wanted}, but it is {text!r}")
        return None
    return text
