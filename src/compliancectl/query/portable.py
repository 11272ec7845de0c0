"""The portable subset: SQL that means the same on another engine, so that a control is not bound to ours."""

from __future__ import annotations

from compliancectl.errors import FileError
from compliancectl.model.control import Control
from compliancectl.query.bind import Bound

# The guard already refuses what reads differently elsewhere: JSON paths, MAP subscripts, len, date_diff, unordered
# aggregates, floating-point numbers. What is left is whether a second parser agrees that this is SQL.


def portable_faults(control: Control, bound: Bound) -> list[FileError]:
    """Texts that a second, independent SQL parser does not read."""
    texts = [(bound.sql, bound.test.population_line)]
    lines = {check.name: check.expect_line for check in bound.test.checks}
    texts += [(f"SELECT (\n{check.sql}\n)", lines[check.name]) for check in bound.checks]
    return [fault for sql, line in texts if (fault := _fault(control, sql, line)) is not None]


def _fault(control: Control, sql: str, line: int) -> FileError | None:
    import sqlglot

    try:
        sqlglot.parse_one(sql, dialect="duckdb")
    except RecursionError:
        return FileError("The SQL nests too deeply.", hint="Write it flatter.", file=control.file, line=line)
    except sqlglot.errors.SqlglotError as error:
        said = str(error).split("\n")[0]
        hint = "Write it in plainer SQL."
        return FileError(f"The SQL is not portable: {said}", hint=hint, file=control.file, line=line)
    return None
