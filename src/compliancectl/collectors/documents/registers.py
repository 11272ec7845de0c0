"""Registers: lists that people keep as CSV (risks, incidents, people, vendors …), read as typed tables.

A register is a document like any other: its sidecar says what it is and when it was last looked at. Its rows become
evidence, but only the columns declared here; whatever else the list holds (names, notes) is not read. A cell that is
not what its column says is a mistake with its row and column, and then the whole folder does not count.
"""

from __future__ import annotations

import csv
import io
from typing import Any

from compliancectl import clock
from compliancectl.collectors.documents.kinds import REGISTERS, Register
from compliancectl.load.problems import nearest
from compliancectl.model.table import BOOL, INT, TIME, Column

MAX_ROWS = 100_000


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
