"""The strict contract at the door: what `shape` yields must be exactly what its table declares.

Nothing is coerced and no schema is inferred: a record of another shape is set aside with the path that broke it,
and every test that reads the table gets an unknown item for it. Coercion is where false passes come from: `"true"`
for true, 0 for "not said".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from functools import cache
from types import GenericAlias
from typing import TYPE_CHECKING, Annotated, Any

from compliancectl.model.table import ListOf, Scalar, Struct, Table, Type

if TYPE_CHECKING:
    import msgspec


class BrokenRow(Exception):
    """A record does not keep its table's contract; `path` says where, e.g. `$.flags[0].value`."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        self.message = message


class RowContract:
    """Checks and encodes the rows of one table."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._row = _row_type(table)
        self._timed = tuple(column.name for column in table if _holds_time(column.type))

    def encode(self, row: Mapping[str, Any]) -> bytes:
        """Return the row as one line of JSON with every column, times in UTC without a zone.

        Raises:
            BrokenRow: if a column is unknown, missing though required, or of another type.
        """
        import msgspec

        try:
            plain = dict(row)
            for name in self._timed:  # DuckDB drops the offset of a text: write UTC or be wrong by hours
                if name in plain:
                    plain[name] = _in_utc(plain[name])
            checked = msgspec.convert(plain, self._row, strict=True, builtin_types=(datetime, date))
            return msgspec.json.encode(checked, enc_hook=_never) + b"\n"
        except msgspec.ValidationError as error:
            message, _, path = str(error).partition(" - at `")
            raise BrokenRow(path.rstrip("`") or "$", message) from None
        except UnicodeEncodeError:
            raise BrokenRow("$", "text that is not valid Unicode") from None

    def key(self, row: Mapping[str, Any]) -> str:
        """What identifies the row, as far as it can be read; for messages."""
        text = " ".join(str(row.get(column)) for column in self.table.key) or "(no key)"
        return text.encode("utf-8", "backslashreplace").decode()


@cache
def key_reader(table: Table) -> Callable[[bytes], tuple[Any, ...]]:
    """What reads the values of the key off a line that `RowContract.encode` gave, and nothing else of it."""
    import msgspec

    fields: list[Any] = [(name, Any) for name in table.key]
    kind = msgspec.defstruct("Key", fields, array_like=False, dict=False)
    decoder = msgspec.json.Decoder(kind)
    return lambda line: msgspec.structs.astuple(decoder.decode(line))


def _holds_time(kind: Type) -> bool:
    if isinstance(kind, ListOf):
        return _holds_time(kind.item)
    if isinstance(kind, Struct):
        return any(_holds_time(inner) for _, inner in kind.fields)
    return kind.sql == "TIMESTAMP"


def _in_utc(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value
    if isinstance(value, list):
        return [_in_utc(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _in_utc(item) for key, item in value.items()}
    return value


def _never(value: Any) -> Any:
    raise TypeError(type(value).__name__)


@cache
def _row_type(table: Table) -> type[msgspec.Struct]:
    import msgspec

    fields: list[Any] = []
    for column in sorted(table.columns, key=lambda c: not c.required):
        kind = _python_type(column.type)
        fields.append((column.name, kind) if column.required else (column.name, kind | None, None))
    return msgspec.defstruct(_class_name(table.name), fields, forbid_unknown_fields=True, kw_only=True, dict=False)


def _python_type(kind: Type) -> Any:
    import msgspec

    if isinstance(kind, ListOf):
        item: Any = _python_type(kind.item)
        return GenericAlias(list, (item | None,))
    if isinstance(kind, Struct):
        fields = [(name, _python_type(inner) | None, None) for name, inner in kind.fields]
        return msgspec.defstruct("Fields", fields, forbid_unknown_fields=True, kw_only=True)
    assert isinstance(kind, Scalar)
    return {
        "VARCHAR": str,
        "BOOLEAN": bool,
        "BIGINT": Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)],
        "TIMESTAMP": Annotated[datetime, msgspec.Meta(tz=True)],
        "DATE": date,
    }[kind.sql]


def _class_name(table: str) -> str:
    return "".join(part.capitalize() for part in table.replace(".", "_").split("_"))
