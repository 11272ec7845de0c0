"""CSV: a folder of tables that every spreadsheet and database reads.

RFC 4180, UTF-8 without a mark, CRLF, a header line. A text that a spreadsheet would take for a formula is preceded by
an apostrophe; numbers are left alone.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

from compliancectl.export import tables
from compliancectl.export.source import Bundle
from compliancectl.export.tables import Row, Sheet, Value
from compliancectl.seal.index import cell


def write(bundle: Bundle, folder: Path) -> None:
    """Write `about`, `controls`, `criteria`, `findings` and `populations`, and each population into `items/`."""
    for sheet, rows in (
        (tables.ABOUT, tables.about(bundle)),
        (tables.CONTROLS, tables.controls(bundle)),
        (tables.CRITERIA, tables.criteria(bundle)),
        (tables.FINDINGS, tables.findings(bundle)),
        (tables.POPULATIONS, tables.populations(bundle)),
    ):
        write_table(folder / f"{sheet.name}.csv", sheet, rows)
    (folder / "items").mkdir()
    for control in bundle.results.controls:
        for test in control.tests:
            if test.items_path is not None:
                sheet, rows = tables.population(bundle, test)
                write_table(folder / "items" / f"{control.id}.{test.id}.csv", sheet, rows)


def write_table(file: Path, sheet: Sheet, rows: Iterable[Row]) -> None:
    """Write one table into a file."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        _table(stream, sheet, rows)


def text(sheet: Sheet, rows: Iterable[Row]) -> str:
    """One table as text."""
    stream = io.StringIO(newline="")
    _table(stream, sheet, rows)
    return stream.getvalue()


def _table(stream: TextIO, sheet: Sheet, rows: Iterable[Row]) -> None:
    writer = csv.writer(stream)
    writer.writerow(_cell(name) for name in sheet.columns)
    writer.writerows([_cell(value) for value in row] for row in rows)


def _cell(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    # A lone carriage return or NUL inside a field is what CSV readers disagree about.
    return (
        str(value)
        if isinstance(value, int)
        else cell(value).replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")
    )
