"""Writing rows: checked JSON lines in, one Parquet file with declared types out."""

from __future__ import annotations

import heapq
import os
import struct
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO

from compliancectl.contract import key_reader
from compliancectl.disk import FULL
from compliancectl.model.table import Table
from compliancectl.query import content
from compliancectl.query.syntax import text_literal

if TYPE_CHECKING:
    import duckdb

MIN_BUFFER = 1 << 20
SMALL = 1 << 20
"""Rows of at most so many bytes share one database."""
CHUNK, EARLY_CHUNK, EARLY = 8 << 20, 2 << 20, 64
"""So many bytes of rows are sorted in memory; more are merged from sorted files. The first files are smaller: few tables have
more than those, and the largest may not need more files than a process may open."""
PIECE = 8 << 20
"""Sorted rows lie in files of so many bytes: DuckDB's reader of JSON holds up to 32 MB of a file at once."""
ROW_GROUP = 20_480
MEMORY_LIMITS = ("64MB", "128MB", "512MB", "2GB")
"""Tried in turn: nearly every table fits the first; one with very long rows needs more."""


@dataclass(frozen=True)
class Written:
    """What a Parquet file holds."""

    content: content.Content
    doubles: list[str]
    """Keys that occurred more than once, sorted; their rows are left out."""

    @property
    def rows(self) -> int:
        """How many there are."""
        return self.content.rows


def write_parquet(table: Table, lines: Path | IO[bytes], out: Path, scratch: Path, *, longest: int) -> Written:
    """Turn JSON lines that keep the table's contract into a Parquet file, sorted by key.

    Rows that share a key are left out, because nobody can say which of them is so.

    Args:
        table: declares columns, types and key.
        lines: the rows, one JSON object a line with every column, times in UTC: a file, or a stream that is read from its start.
        out: the Parquet file to write.
        scratch: folder for DuckDB's spill files.
        longest: length of the longest line in bytes; DuckDB's buffers are made to hold it.

    Raises:
        OSError: if `out` cannot be written, on a full disk for example.
    """
    with full_disk(), lines.open("rb") if isinstance(lines, Path) else nullcontext(lines) as stream:
        return _in_memory_that_does(table, stream, out, scratch, longest)


def _in_memory_that_does(table: Table, lines: IO[bytes], out: Path, scratch: Path, longest: int) -> Written:
    import duckdb

    size, buffer = lines.seek(0, os.SEEK_END), max(longest, MIN_BUFFER)
    lines.seek(0)
    if size == 0:
        out.write_bytes(_empty(table))
        return Written(content.empty(table), [])
    ordered, doubles = _sort(table, lines, scratch)
    if size <= SMALL:
        with _shared().cursor() as db, ordered[0].open("rb") as written:
            _write(db, table, ordered, out, buffer)
            return Written(content.of_lines(table, written), doubles)
    for limit in MEMORY_LIMITS:
        try:
            with duckdb.connect(config=_settings(limit, str(scratch))) as db:
                _write(db, table, ordered, out, buffer)
                return Written(content.of_open(db, [out]), doubles)
        except duckdb.OutOfMemoryException:
            if limit == MEMORY_LIMITS[-1]:
                raise
    raise AssertionError("unreachable")


@cache
def _shared() -> duckdb.DuckDBPyConnection:
    """One database for all small tables: it costs far more to open one than to write or read them."""
    import duckdb

    return duckdb.connect(config=_settings("512MB", ""))


@cache
def _empty(table: Table) -> bytes:
    """The file of a table without rows: many items have one, and it is always the same."""
    with tempfile.TemporaryDirectory() as folder, _shared().cursor() as db:
        lines, out = Path(folder) / "lines", Path(folder) / "rows"
        lines.touch()
        _write(db, table, [lines], out, MIN_BUFFER)
        return out.read_bytes()


def _write(db: duckdb.DuckDBPyConnection, table: Table, lines: Sequence[Path], out: Path, buffer: int) -> None:
    """Give the lines of some files their declared types, in the order in which they are."""
    columns = ", ".join(f"'{c.name}': '{c.type.sql}'" for c in table)
    db.execute(
        f"COPY (SELECT * FROM read_json($1, format = 'newline_delimited', columns = {{{columns}}}, "
        f"maximum_object_size = {buffer})) TO {text_literal(str(out))} "
        f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP})",
        [[str(file) for file in lines]],
    )


# -- sorting ----------------------------------------------------------------------------------------------------------
# DuckDB would hold every row in memory to sort what it reads from JSON. Memory must not grow with the evidence, so
# the lines are sorted before: in chunks, which are then merged.

_Keyed = tuple[bytes, bytes]
"""A line behind its key, in bytes that sort as the values do."""
_SIZES = struct.Struct("<II")


def _sort(table: Table, lines: IO[bytes], scratch: Path) -> tuple[list[Path], list[str]]:
    """Write the lines sorted by key, without those that share one; returns the files, and the shared keys as text, sorted."""
    doubles: set[str] = set()
    files: list[Path] = []
    with ExitStack() as stack:
        stream = _piece(table, scratch, files)
        stack.callback(lambda: stream.close())  # whichever is open then
        for _, same in groupby(_merged(table, lines, scratch, stack), key=itemgetter(0)):
            (_, line), *others = islice(same, 2)
            if others:
                doubles.add(_readable(table, line))
                continue
            if stream.tell() >= PIECE:
                stream.close()
                stream = _piece(table, scratch, files)
            stream.write(line)
    return files, sorted(doubles)


def _piece(table: Table, scratch: Path, files: list[Path]) -> BinaryIO:
    """The next file of sorted lines."""
    files.append(scratch / f"{table.name}.sorted.{len(files):05d}")
    return files[-1].open("wb")


def _merged(table: Table, lines: IO[bytes], scratch: Path, stack: ExitStack) -> Iterator[_Keyed]:
    """The lines in order, from memory if they are few, else from sorted files in `scratch`."""
    files: list[Path] = []
    chunk: list[_Keyed] = []
    keys, read = tuple(table.column(name).type.sql for name in table.key), key_reader(table)
    while text := lines.readlines(CHUNK if len(files) >= EARLY else min(CHUNK, EARLY_CHUNK)):
        if chunk:
            files.append(_spill(chunk, scratch / f"{table.name}.{len(files):04d}"))
        chunk = sorted((_key(keys, read(line)), line) for line in text)
    streams = [_spilled(stack.enter_context(file.open("rb"))) for file in files]
    return heapq.merge(*streams, chunk)


def _spill(chunk: list[_Keyed], file: Path) -> Path:
    with file.open("wb") as stream:
        for key, line in chunk:
            stream.write(_SIZES.pack(len(key), len(line)) + key + line)
    return file


def _spilled(stream: BinaryIO) -> Iterator[_Keyed]:
    while sizes := stream.read(_SIZES.size):
        key, line = _SIZES.unpack(sizes)
        yield stream.read(key), stream.read(line)


def _key(kinds: tuple[str, ...], values: tuple[Any, ...]) -> bytes:
    return b"".join(_sortable(value, kind) for value, kind in zip(values, kinds, strict=True))


def _sortable(value: Any, kind: str) -> bytes:
    """Bytes that sort as DuckDB sorts the value: text by its UTF-8, NULL last; none is the beginning of another."""
    if value is None:
        return b"\x01"
    if kind == "BIGINT":
        return b"\x00" + (int(value) + 2**63).to_bytes(8, "big")
    if kind == "BOOLEAN":
        return b"\x00\x01" if value else b"\x00\x00"
    text = str(value).removesuffix("Z") if kind == "TIMESTAMP" else str(value)
    return b"\x00" + text.encode().replace(b"\x00", b"\x00\xff") + b"\x00"


def _readable(table: Table, line: bytes) -> str:
    return " ".join("-" if value is None else str(value) for value in key_reader(table)(line))


@contextmanager
def full_disk() -> Iterator[None]:
    """Raise a full disk, which the engine wraps in an error of its own, as the `OSError` that it is."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        number = next((number for number in FULL if os.strerror(number) in str(error)), None)
        if number is None:
            raise
        raise OSError(number, os.strerror(number)) from None


def gather(table: Table, files: Sequence[Path], out: Path) -> int:
    """Put several Parquet files of a table into one, in the declared order of columns; returns the number of rows."""
    columns = ", ".join(f'"{column.name}"' for column in table)
    with full_disk(), _shared().cursor() as db:
        found = db.execute(
            f"COPY (SELECT {columns} FROM {content.parquet(files)}) TO {text_literal(str(out))} (FORMAT parquet, COMPRESSION zstd)"
        ).fetchone()
    assert found is not None
    return int(found[0])


def read_rows(file: Path) -> list[dict[str, object]]:
    """All rows of a Parquet file as dictionaries, in file order; for small tables and for people."""
    with _shared().cursor() as db:
        cursor = db.execute(f"SELECT * FROM read_parquet({text_literal(str(file))})")
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def compare_rows(old: Path, new: Path) -> str | None:
    """How the rows of two Parquet files differ, as a sentence with an example; None if they are the same.

    The two are compared as multisets: neither order nor row groups nor the writer's version count.
    """
    import duckdb

    with duckdb.connect(config={"threads": 1}) as db:
        files = {"old": f"read_parquet({text_literal(str(old))})", "new": f"read_parquet({text_literal(str(new))})"}
        try:
            columns = [db.execute(f"DESCRIBE SELECT * FROM {file}").fetchall() for file in files.values()]
        except duckdb.Error as error:
            return f"a file of rows cannot be read: {str(error).splitlines()[0]}"
        described = [[(name, kind) for name, kind, *_ in column] for column in columns]
        if described[0] != described[1]:
            only = sorted({name for name, _ in set(described[0]) ^ set(described[1])})
            return f"the columns differ: {', '.join(only) or 'their order'}"
        (was, example), (now, other) = (
            _only(db, files[one], files[two]) for one, two in (("old", "new"), ("new", "old"))
        )
    if not was and not now:
        return None
    return f"{was} rows are only in the bundle, {now} only here, for example {str(example or other)[:120]}"


def _only(db: duckdb.DuckDBPyConnection, one: str, other: str) -> tuple[int, str | None]:
    """How many rows of `one` are not in `other`, and the first of them as JSON."""
    row = db.execute(
        f"SELECT count(*), min(to_json(r)::VARCHAR) FROM (SELECT * FROM {one} EXCEPT ALL SELECT * FROM {other}) r"
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def _settings(limit: str, spill: str) -> dict[str, str | bool | int | float | list[str]]:
    # One thread: the order of rows and row groups, and so the bytes, do not depend on the machine.
    return {"threads": 1, "memory_limit": limit, "temp_directory": spill}
