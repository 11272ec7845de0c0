"""SQL text and DuckDB's own syntax tree of it: tokens, parameters, positions."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from compliancectl.model.table import ListOf, Struct, Type

if TYPE_CHECKING:
    import duckdb

Node = dict[str, Any]
_SELECT = "SELECT "
_NOWHERE = 2**64 - 1
_local = threading.local()

_TOKEN = re.compile(
    r"""(?P<comment>--[^\n]*|/\*.*?\*/)
      | (?P<escaped>[eE]'(?:[^'\\]|\\.|'')*')
      | (?P<text>'(?:[^']|'')*')
      | (?P<name>"(?:[^"]|"")*")
      | (?P<dollar>\$[A-Za-z_0-9]*\$)
      | (?P<param>\$[A-Za-z_][A-Za-z_0-9]*)
      | (?P<positional>\$[0-9]+|\?)
      | (?P<word>[A-Za-z_0-9.]+)
      | (?P<other>\s+|.)""",
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    """One piece of SQL text."""

    kind: str
    text: str
    at: int


class Refused(Exception):
    """The SQL is refused: why, what to do, and at which character of it."""

    def __init__(self, message: str, hint: str | None = None, at: int | None = None) -> None:
        super().__init__(message)
        self.message, self.hint, self.at = message, hint, at


@lru_cache(maxsize=1024)
def tokens(sql: str) -> tuple[Token, ...]:
    """The pieces of an SQL text, white space included."""
    return tuple(Token(match.lastgroup or "other", match.group(), match.start()) for match in _TOKEN.finditer(sql))


def bind_parameters(sql: str, literals: dict[str, str]) -> str:
    """Put literals in the place of `$name`, so that the text printed is the text that runs."""
    return "".join(
        literals.get(token.text[1:], token.text) if token.kind == "param" else token.text for token in tokens(sql)
    )


def literal(value: Any) -> str:
    """A parameter's value as a typed SQL literal."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return f"({value})" if value < 0 else str(value)
        case str():
            return text_literal(value)
        case datetime():
            return f"TIMESTAMP '{value:%Y-%m-%d %H:%M:%S.%f}'".replace(".000000'", "'")
        case list() | tuple():
            return "[" + ", ".join(literal(entry) for entry in value) + "]"
        case dict():
            inner = ", ".join(f"{text_literal(key)}: {literal(entry)}" for key, entry in value.items())
            return "{" + inner + "}"
    raise TypeError(f"{type(value).__name__} is not a parameter value")


def typed_literal(value: Any, kind: Type) -> str:
    """A row's value as an SQL literal of exactly the declared type; None is a typed NULL."""
    if value is None:
        return f"CAST(NULL AS {kind.sql})"
    if isinstance(kind, ListOf):
        inner = ", ".join(typed_literal(entry, kind.item) for entry in value)
        return f"CAST([{inner}] AS {kind.sql})"
    if isinstance(kind, Struct):
        inner = ", ".join(f"{text_literal(n)}: {typed_literal(value.get(n), t)}" for n, t in kind.fields)
        return f"{{{inner}}}"
    if isinstance(value, datetime):
        return literal(value.replace(tzinfo=None))
    return f"CAST({text_literal(str(value))} AS {kind.sql})"


def text_literal(text: str) -> str:
    """An SQL string on one line, so that line numbers in messages stay right."""
    quoted = "'" + text.replace("'", "''") + "'"
    if "\n" not in quoted and "\x00" not in quoted:
        return quoted
    return "(" + quoted.replace("\x00", "").replace("\n", "' || chr(10) || '") + ")"


def of_check(expression: str) -> str:
    """A check as a statement of its own."""
    return _SELECT + expression


@contextmanager
def places_in_check() -> Iterator[None]:
    """Let `Refused` name places within the check, not within the statement made of it."""
    try:
        yield
    except Refused as refused:
        at = None if refused.at is None else max(0, refused.at - len(_SELECT))
        raise Refused(refused.message, refused.hint, at) from None


def quote(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quote_table(name: str) -> str:
    """`"gcp"."sql_instance"` of `gcp.sql_instance`."""
    return ".".join(quote(part) for part in name.split(".", 1))


@lru_cache(maxsize=1024)
def parse(sql: str) -> Node:
    """Parse with DuckDB's own parser; the text must be exactly one SELECT. The tree is shared: nobody changes it.

    Raises:
        Refused: if it is not.
    """
    ahead: dict[str, str] = getattr(_local, "ahead", {})
    serialized = ahead.pop(sql, None) or _serialize([sql])[0]
    try:
        answer: Node = json.loads(serialized)
    except RecursionError:
        raise _too_deep() from None
    if answer["error"]:
        raise _syntax_error(answer)
    statements = answer["statements"]
    if not statements:
        raise Refused("There is no SQL here.", "Write one SELECT.")
    if len(statements) > 1:
        at = min((node["query_location"] for node in walk(statements[1]) if _located(node)), default=None)
        raise Refused(f"There are {len(statements)} statements here; only one SELECT is accepted.", "Keep one.", at)
    node: Node = statements[0]["node"]
    return node


# A run asks twice about the same texts: the second time `parse` knows their trees.
@lru_cache(maxsize=1024)
def parse_ahead(texts: tuple[str, ...]) -> None:
    """Parse many texts at once, for `parse` to find: asking costs more than the answer. What cannot be is left to `parse`."""
    import duckdb

    wanted = list(dict.fromkeys(texts))
    try:
        _local.ahead = dict(zip(wanted, _serialize(wanted), strict=True))
    except duckdb.Error:
        _local.ahead = {}


def _serialize(texts: list[str]) -> list[str]:
    asked = "SELECT json_serialize_sql(text) FROM (SELECT unnest($1::VARCHAR[]) AS text)"
    return [str(row[0]) for row in _parser().execute(asked, [texts]).fetchall()]


def _parser() -> duckdb.DuckDBPyConnection:
    """One parser per thread: it holds no data and is never given any."""
    import duckdb

    found: duckdb.DuckDBPyConnection | None = getattr(_local, "parser", None)
    if found is None:
        found = _local.parser = duckdb.connect(config={"threads": 1, "enable_external_access": False})
    return found


def _syntax_error(answer: Node) -> Refused:
    if answer["error_type"] == "not implemented":
        return Refused("Only a SELECT is accepted.", "A control reads evidence; it changes and sets nothing.", 0)
    if "max_expression_depth" in str(answer["error_message"]):
        return _too_deep()
    position = str(answer.get("position", ""))
    message = str(answer["error_message"]).rstrip(".")
    return Refused(
        f"This is not SQL: {message}.",
        "Check brackets, commas and quotes.",
        int(position) if position.isdigit() else None,
    )


def _too_deep() -> Refused:
    return Refused("The SQL nests too deeply.", "Write it flatter: name the steps with WITH.")


def walk(value: Any) -> Iterator[Node]:
    """Every node below `value`, parents first."""
    # No recursion: an author decides how deep the tree is.
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if type(found) is dict:
            yield found
            children: Iterable[Any] = reversed(found.values())
        else:
            children = reversed(found)
        waiting.extend([child for child in children if type(child) is dict or type(child) is list])


@lru_cache(maxsize=1024)
def nodes(sql: str) -> tuple[Node, ...]:
    """Every node of a text's tree, the root first; shared like the tree.

    Raises:
        Refused: if the text is not one SELECT.
    """
    return tuple(walk(parse(sql)))


def _located(node: Node) -> bool:
    return isinstance(node.get("query_location"), int) and node["query_location"] != _NOWHERE


def position(node: Node) -> int | None:
    """Where a node stands in the text, in characters; None if the parser did not keep it."""
    found = [inner["query_location"] for inner in walk(node) if _located(inner)]
    return int(node["query_location"]) if _located(node) else min(found, default=None)


def line_of(sql: str, at: int | None, first: int) -> int:
    """The line in the file of a character of an SQL text that begins on line `first`."""
    # Positions are in bytes of UTF-8.
    return first if at is None else first + sql.encode()[:at].count(b"\n")
