"""Rows are sorted on disk as DuckDB would sort them, however they are cut into chunks; double keys are left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from compliancectl.model.table import BOOL, INT, TEXT, TIME, Column, Table
from compliancectl.query import rows

TABLE = Table(
    "shelf.mixed",
    "One row per thing.",
    (Column("name", TEXT, "N."), Column("size", INT, "S."), Column("good", BOOL, "G."), Column("made", TIME, "A.")),
    key=("name", "size", "good", "made"),
)
TEXTS = ["", "a", "aZ", "a\x00", "a\x00b", "b", "B", "é", "\uffff", "\U0001f600", None]
TIMES = ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.500000Z", "2026-01-01T00:00:01Z", None]
THINGS = [
    {"name": name, "size": size, "good": good, "made": at}
    for name in TEXTS
    for size in (-(2**63), -1, 0, 1, 2**63 - 1, None)
    for good in (True, False, None)
    for at in TIMES
]


def write(folder: Path, things: list[dict[str, Any]]) -> tuple[list[tuple[Any, ...]], list[str], bytes]:
    """The rows in file order, the double keys, and the bytes of the file."""
    lines = b"".join(json.dumps(thing, ensure_ascii=False).encode() + b"\n" for thing in things)
    (folder / "lines").write_bytes(lines)
    written = rows.write_parquet(TABLE, folder / "lines", folder / "out.parquet", folder, longest=200)
    with duckdb.connect() as db:
        found = db.execute(f"SELECT * FROM read_parquet('{folder / 'out.parquet'}')").fetchall()
    assert written.rows == len(found)
    return found, written.doubles, (folder / "out.parquet").read_bytes()


@pytest.mark.parametrize("chunk", [1, 5000, 1 << 23])
def test_the_order_is_duckdbs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(rows, "CHUNK", chunk)
    things = THINGS[:60:2] if chunk == 1 else THINGS[::-1]
    found, doubles, _ = write(tmp_path, things)
    with duckdb.connect() as db:
        db.execute("CREATE TABLE t (name VARCHAR, size BIGINT, good BOOLEAN, made TIMESTAMP)")
        db.executemany("INSERT INTO t VALUES (?, ?, ?, ?::VARCHAR::TIMESTAMP)", [list(t.values()) for t in things])
        wanted = db.execute("SELECT * FROM t ORDER BY name, size, good, made").fetchall()
    assert found == wanted and doubles == []


def test_chunks_change_no_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = write(tmp_path, THINGS)
    monkeypatch.setattr(rows, "CHUNK", 3000)
    assert write(tmp_path, THINGS[400:] + THINGS[:400]) == whole


def test_rows_in_many_files_keep_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, doubles, _ = write(tmp_path, THINGS)
    monkeypatch.setattr(rows, "SMALL", 0)
    monkeypatch.setattr(rows, "PIECE", 3000)
    assert write(tmp_path, THINGS)[:2] == (whole, doubles)
    assert len(list(tmp_path.glob("*.sorted.*"))) > 5


def test_rows_with_one_key_are_left_out_across_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "CHUNK", 3000)
    found, doubles, _ = write(tmp_path, [*THINGS, THINGS[0], THINGS[-1], THINGS[0]])
    assert doubles == [" -9223372036854775808 True 2026-01-01T00:00:00Z", "- - - -"]
    assert len(found) == len(THINGS) - 2
