"""XLSX: one workbook for people who work in spreadsheets (ECMA-376, the transitional form that Excel writes).

Written by hand: a handful of XML parts in a ZIP, the same bytes every time. Texts are inline strings, so that nothing
is ever taken for a formula. A text longer than a cell can hold is cut, and says so.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator
from typing import BinaryIO
from xml.sax.saxutils import escape, quoteattr

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
_WIDTHS = {"Title": 50, "Objective": 60, "Remediation": 60, "Finding": 80, "Findings": 60, "Resource": 60, "SQL": 60}
_STYLES = (
    f'{_HEAD}<styleSheet xmlns="{_MAIN}"><fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
    '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts><fills count="2"><fill><patternFill patternType="none"/>'
    '</fill><fill><patternFill patternType="gray125"/></fill></fills><borders count="1"><border><left/><right/><top/>'
    '<bottom/><diagonal/></border></borders><cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/>'
    '</cellStyleXfs><cellXfs count="2"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/><xf numFmtId="0" '
    'fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/></cellXfs><cellStyles count="1"><cellStyle name="Normal" '
    'xfId="0" builtinId="0"/></cellStyles></styleSheet>'
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
        f'<col min="{n}" max="{n}" width="{_WIDTHS.get(name, 18)}" customWidth="1"/>'
        for n, name in enumerate(sheet.columns, 1)
    )
    with target.open(_info(f"xl/worksheets/sheet{number}.xml"), "w", force_zip64=True) as member:
        member.write(
            f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0"><pane ySplit="1" '
            f'topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews><cols>{columns}</cols>'
            f"<sheetData>{_row(1, sheet.columns, style=1)}".encode()
        )
        at, rest = 1, None
        for row in rows:
            if at == max_rows:
                rest = _again(row, rows)
                break
            at += 1
            member.write(_row(at, row).encode())
        last = f"{_letters(len(sheet.columns))}{at}"
        member.write(f'</sheetData><autoFilter ref="A1:{last}"/></worksheet>'.encode())
    return rest


def _again(first: Row, rest: Iterator[Row]) -> Iterator[Row]:
    yield first
    yield from rest


def _row(number: int, row: Row, style: int = 0) -> str:
    cells = "".join(_cell(f"{_letters(n)}{number}", value, style) for n, value in enumerate(row, 1))
    return f'<row r="{number}">{cells}</row>'


def _cell(place: str, value: Value, style: int) -> str:
    mark = f' s="{style}"' if style else ""
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return f'<c r="{place}"{mark} t="b"><v>{int(value)}</v></c>'
    if isinstance(value, int):
        return f'<c r="{place}"{mark}><v>{value}</v></c>'
    return f'<c r="{place}"{mark} t="inlineStr"><is><t xml:space="preserve">{_text(value)}</t></is></c>'


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
    yield (
        "xl/workbook.xml",
        f'{_HEAD}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{names}</sheets></workbook>',
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
