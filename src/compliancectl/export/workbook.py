"""XLSX: one workbook for people who work in spreadsheets (ECMA-376, the transitional form that Excel writes).

Written by hand: a handful of XML parts in a ZIP, the same bytes every time. Texts are inline strings, so that nothing
is ever taken for a formula; dates and instants are dates. A text longer than a cell can hold is cut, and says so.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import BinaryIO
from xml.sax.saxutils import escape, quoteattr

from compliancectl import clock
from compliancectl.export import tables
from compliancectl.export.source import Bundle
from compliancectl.export.tables import Row, Sheet, Value
from compliancectl.export.words import visible

MAX_ROWS = 1_048_576
MAX_TEXT = 32_767
"""Characters of one cell, in UTF-16 units."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_ESCAPED = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
"""What a spreadsheet reads as an escaped character."""
_WIDTHS = {
    "Key": 40, "Value": 80, "Title": 50, "Objective": 60, "Remediation": 60, "Finding": 80, "Findings": 60, "Resource": 60,
    "SQL": 60, "Reason": 50, "Criteria": 50, "Parameters": 50, "Tables": 50, "Observed": 60, "File": 50, "SHA-256": 68,
    "No.": 6, **dict.fromkeys(("Tests", "Items", "Pass", "Fail", "Waived", "Excluded", "Unknown", "Severity"), 11),
}  # fmt: skip
_USUAL = 18
_PRINTED = (
    '<pageMargins left="0.4" right="0.4" top="0.5" bottom="0.5" header="0.3" footer="0.3"/>'
    '<pageSetup orientation="landscape" fitToWidth="1" fitToHeight="0"/>'
)
_ONE_LINE = frozenset({"SQL", "Observed", "File", "SHA-256"})
"""Columns whose texts would make rows higher than a screen, or have no place to break."""
_NAMES = frozenset({"Resource", "Control", "Test"})
"""Columns whose texts are names, even if one reads like a date."""
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?Z)?")
_DAY_0, _FIRST = datetime(1899, 12, 30, tzinfo=UTC), datetime(1900, 3, 1, tzinfo=UTC)
"""A spreadsheet counts days from the one; before the other, not every program counts alike."""
_PLAIN, _HEADING, _WRAPPED, _MOMENT, _DATE = range(5)
"""Styles of cells: their places in `_STYLES`."""
_ALIGNED = 'fillId="0" borderId="0" xfId="0" applyAlignment="1"><alignment vertical="top"'
_STYLES = (
    f'{_HEAD}<styleSheet xmlns="{_MAIN}"><numFmts count="2"><numFmt numFmtId="164" '
    'formatCode="yyyy\\-mm\\-dd\\ hh:mm:ss\\ &quot;UTC&quot;"/><numFmt numFmtId="165" formatCode="yyyy\\-mm\\-dd"/></numFmts>'
    '<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
    '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts><fills count="3"><fill><patternFill patternType="none"/>'
    '</fill><fill><patternFill patternType="gray125"/></fill><fill><patternFill patternType="solid"><fgColor '
    'rgb="FFE9ECF3"/></patternFill></fill></fills><borders count="1"><border><left/><right/><top/>'
    '<bottom/><diagonal/></border></borders><cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/>'
    f'</cellStyleXfs><cellXfs count="5"><xf numFmtId="0" fontId="0" {_ALIGNED}/></xf>'
    '<xf numFmtId="0" fontId="1" fillId="2" borderId="0" xfId="0" applyFont="1" applyFill="1" applyAlignment="1">'
    f'<alignment vertical="top" wrapText="1"/></xf><xf numFmtId="0" fontId="0" {_ALIGNED} wrapText="1"/></xf>'
    f'<xf numFmtId="164" fontId="0" applyNumberFormat="1" {_ALIGNED} horizontal="left"/></xf>'
    f'<xf numFmtId="165" fontId="0" applyNumberFormat="1" {_ALIGNED} horizontal="left"/></xf></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
)


def write(bundle: Bundle, stream: BinaryIO) -> None:
    """Write the control matrix, criteria, findings, populations and every item as one workbook."""
    write_sheets(
        stream,
        (
            (tables.ABOUT, tables.about(bundle)),
            (tables.CONTROLS, tables.controls(bundle)),
            (tables.CRITERIA, tables.criteria(bundle)),
            (tables.FINDINGS, tables.findings(bundle)),
            (tables.POPULATIONS, tables.populations(bundle)),
            (tables.ITEMS, tables.items(bundle)),
        ),
    )


def write_sheets(stream: BinaryIO, sheets: Iterable[tuple[Sheet, Iterable[Row]]], *, max_rows: int = MAX_ROWS) -> None:
    """Write a workbook; a table with more rows than a sheet can hold goes on in a further sheet."""
    titles: list[str] = []
    with zipfile.ZipFile(stream, "w") as target:
        for sheet, rows in sheets:
            rest: Iterator[Row] | None = iter(rows)
            part = 0
            while rest is not None:
                part += 1
                titles.append(sheet.title if part == 1 else f"{sheet.title} ({part})")
                rest = _sheet(target, len(titles), sheet, rest, max_rows)
        for name, text in _parts(titles):
            with target.open(_info(name), "w") as member:
                member.write(text.encode())


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3
    info.external_attr = 0o644 << 16
    return info


def _sheet(
    target: zipfile.ZipFile, number: int, sheet: Sheet, rows: Iterator[Row], max_rows: int
) -> Iterator[Row] | None:
    """Write one sheet; returns the rows that found no place, or None when there are none."""
    columns = "".join(
        f'<col min="{n}" max="{n}" width="{_WIDTHS.get(name, _USUAL)}" customWidth="1"/>'
        for n, name in enumerate(sheet.columns, 1)
    )
    styles = [_WRAPPED if _WIDTHS.get(name, 0) > _USUAL and name not in _ONE_LINE else _PLAIN for name in sheet.columns]
    names = [name in _NAMES for name in sheet.columns]
    # What a row is about stays in sight, as the heading does.
    beside = 2 if sheet.columns[1:2] == ("Resource",) else 1
    with target.open(_info(f"xl/worksheets/sheet{number}.xml"), "w", force_zip64=True) as member:
        member.write(
            f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetPr><pageSetUpPr fitToPage="1"/></sheetPr><sheetViews><sheetView '
            f'workbookViewId="0"><pane xSplit="{beside}" ySplit="1" topLeftCell="{_letters(beside + 1)}2" '
            f'activePane="bottomRight" state="frozen"/></sheetView></sheetViews><cols>{columns}</cols><sheetData>'
            f"{_row(1, sheet.columns, [_HEADING] * len(names), [True] * len(names))}".encode()
        )
        at, rest = 1, None
        for row in rows:
            if at == max_rows:
                rest = _again(row, rows)
                break
            at += 1
            member.write(_row(at, row, styles, names).encode())
        last = f"{_letters(len(sheet.columns))}{at}"
        member.write(f'</sheetData><autoFilter ref="A1:{last}"/>{_PRINTED}</worksheet>'.encode())
    return rest


def _again(first: Row, rest: Iterator[Row]) -> Iterator[Row]:
    yield first
    yield from rest


def _row(number: int, row: Row, styles: Sequence[int], names: Sequence[bool]) -> str:
    cells = "".join(
        _cell(f"{_letters(n)}{number}", value, style, named)
        for n, (value, style, named) in enumerate(zip(row, styles, names, strict=True), 1)
    )
    return f'<row r="{number}">{cells}</row>'


def _cell(place: str, value: Value, style: int, named: bool) -> str:
    mark = f' s="{style}"' if style else ""
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return f'<c r="{place}"{mark} t="b"><v>{int(value)}</v></c>'
    if isinstance(value, int):
        return f'<c r="{place}"{mark}><v>{value}</v></c>'
    if not named and (at := _moment(value)) is not None:
        return f'<c r="{place}" s="{_DATE if len(value) == len("2026-01-01") else _MOMENT}"><v>{at}</v></c>'
    return f'<c r="{place}"{mark} t="inlineStr"><is><t xml:space="preserve">{_text(value)}</t></is></c>'


def _moment(value: str) -> str | None:
    """A date or an instant in UTC as a spreadsheet counts it, so that it can be sorted and reckoned with; None for other texts."""
    if not _INSTANT.fullmatch(value):
        return None
    try:
        at = clock.parse(value)
    except ValueError:
        return None
    return f"{(at - _DAY_0) / timedelta(days=1):.9f}".rstrip("0").rstrip(".") if at >= _FIRST else None


def _text(value: str) -> str:
    text = _ESCAPED.sub("_x005F_", visible(value))
    if len(text.encode("utf-16-le")) // 2 > MAX_TEXT:
        note = f" … (cut here: {len(value):,} characters; the bundle has the whole text)"
        text = text.encode("utf-16-le")[: 2 * (MAX_TEXT - len(note))].decode("utf-16-le", "ignore") + note
    return escape(text)


def _letters(number: int) -> str:
    """`A`, `Z`, `AA`: the name of a column, counted from 1."""
    name = ""
    while number:
        number, rest = divmod(number - 1, 26)
        name = chr(65 + rest) + name
    return name


def _parts(titles: list[str]) -> Iterator[tuple[str, str]]:
    """Everything but the sheets."""
    numbers = range(1, len(titles) + 1)
    overrides = "".join(
        f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{_TYPE}.worksheet+xml"/>' for n in numbers
    )
    yield (
        "[Content_Types].xml",
        f'{_HEAD}<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" '
        f'ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/>{overrides}</Types>',
    )
    yield (
        "_rels/.rels",
        f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" Type="{_OFFICE}/officeDocument" '
        'Target="xl/workbook.xml"/></Relationships>',
    )
    names = "".join(f'<sheet name={quoteattr(t)} sheetId="{n}" r:id="rId{n}"/>' for n, t in enumerate(titles, 1))
    heads = "".join(
        f'<definedName name="_xlnm.Print_Titles" localSheetId="{n}">\'{escape(t)}\'!$1:$1</definedName>'
        for n, t in enumerate(titles)
    )
    yield (
        "xl/workbook.xml",
        f'{_HEAD}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{names}</sheets>'
        f"<definedNames>{heads}</definedNames></workbook>",
    )
    links = "".join(
        f'<Relationship Id="rId{n}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{n}.xml"/>' for n in numbers
    )
    yield (
        "xl/_rels/workbook.xml.rels",
        f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">{links}<Relationship Id="rId{len(titles) + 1}" '
        f'Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>',
    )
    yield "xl/styles.xml", _STYLES
