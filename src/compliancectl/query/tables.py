"""The evidence database: typed views of the Parquet files, then opened read-only and locked.

Nothing is inferred: a Parquet file must hold exactly the declared columns with exactly the declared types.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from compliancectl.errors import OutputError
from compliancectl.model.table import Table
from compliancectl.query.bind import create_tables
from compliancectl.query.limits import Limits, Stopped, within
from compliancectl.query.rows import full_disk
from compliancectl.query.syntax import quote, quote_table, text_literal

if TYPE_CHECKING:
    import duckdb


class EvidenceDatabase:
    """A locked, read-only connection that runs one statement at a time, within limits."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, limits: Limits) -> None:
        self.connection, self.limits = connection, limits

    def run(self, sql: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Run one statement.

        Raises:
            Stopped: if it took too long, needed too much memory, or failed on the data.
        """
        import duckdb

        try:
            with full_disk(), within(self.limits, self.connection):
                return list(self.connection.execute(sql, list(values)).fetchall())
        except duckdb.IOException as error:
            raise OutputError(
                f"The results cannot be written: {_first_sentence(str(error))}", hint="Make room."
            ) from error
        except duckdb.Error as error:
            raise Stopped(f"The SQL failed on this evidence: {_first_sentence(str(error))}") from error


def _first_sentence(text: str) -> str:
    body = text.partition(" Error: ")[2] or text
    return body.split("\n")[0].rstrip(".") + "."


def load_tables(
    file: Path, tables: Mapping[str, Table], rows: Mapping[str, Sequence[Path]], limits: Limits
) -> dict[str, str]:
    """Create the evidence database at `file` over Parquet files; returns table → why its files cannot be read.

    The files are read where they are: a copy of them would take longer than most controls.
    """
    import duckdb

    faults: dict[str, str] = {}
    with full_disk(), duckdb.connect(file, config=_settings(file.parent, limits)) as database:
        # Each commit waits for the disk: all tables are one, and so are all views.
        database.execute("BEGIN")
        create_tables(database, {name: tables[name] for name in sorted(rows)})
        database.execute("COMMIT")
        for name in sorted(rows):
            if reason := _unreadable(database, tables[name], rows[name]):
                faults[name] = f"its rows cannot be read: {reason}"
        database.execute("BEGIN")
        for name in sorted(rows):
            if rows[name] and name not in faults:
                _view(database, tables[name], rows[name])
        database.execute("COMMIT")
    return faults


def _unreadable(database: duckdb.DuckDBPyConnection, table: Table, paths: Sequence[Path]) -> str | None:
    """Why these files cannot be what the table declares, if they cannot."""
    import duckdb

    declared = _columns(database, quote_table(table.name)) if paths else set()
    for path in paths:
        try:
            with full_disk():
                if _columns(database, _parquet([path])) != declared:
                    return f"{path.name} does not hold the declared columns of {table.name}."
        except duckdb.Error as error:
            return _first_sentence(str(error))
    return None


def _columns(database: duckdb.DuckDBPyConnection, source: str) -> set[tuple[str, str]]:
    """Names and types of whatever can be selected from."""
    relation = database.sql(f"SELECT * FROM {source}")  # bound, not run
    return {(name, str(kind)) for name, kind in zip(relation.columns, relation.types, strict=True)}


def _view(database: duckdb.DuckDBPyConnection, table: Table, paths: Sequence[Path]) -> None:
    columns = ", ".join(quote(column.name) for column in table)
    name = quote_table(table.name)
    database.execute(f"DROP TABLE {name}")
    database.execute(f"CREATE VIEW {name} AS SELECT {columns} FROM {_parquet(paths)}")


def _parquet(paths: Sequence[Path]) -> str:
    return f"read_parquet([{', '.join(text_literal(str(path.resolve())) for path in paths)}])"


@contextmanager
def open_locked(
    file: Path, evidence: Sequence[Path], out: Sequence[Path], limits: Limits
) -> Iterator[EvidenceDatabase]:
    """Open the evidence database read-only with everything else shut: `evidence` may be read, `out` are folders of ours."""
    import duckdb

    config = _settings(file.parent, limits)
    connection = duckdb.connect(file, read_only=True, config=config)
    try:
        readable = ", ".join(text_literal(str(path.resolve())) for path in evidence)
        connection.execute(f"SET allowed_paths = [{readable}]")
        folders = ", ".join(text_literal(str(path.resolve())) for path in out)
        connection.execute(f"SET allowed_directories = [{folders}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield EvidenceDatabase(connection, limits)
    finally:
        connection.close()


def _settings(scratch: Path, limits: Limits) -> dict[str, str | bool | int | float | list[str]]:
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": limits.memory,
        "temp_directory": str(scratch / "spill"),
        "max_temp_directory_size": limits.spill,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "python_enable_replacements": False,
    }
    if limits.threads is not None:
        settings["threads"] = limits.threads
    return settings
