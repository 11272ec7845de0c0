"""The guard: what a control's SQL may say, held against DuckDB's own syntax tree.

Everything is an allow-list: kinds of nodes, tables, functions, parameters. What is not known is refused.
The guard runs on text alone; names of columns and their types are the binder's (`bind`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from compliancectl.load.problems import suggestion
from compliancectl.query import functions
from compliancectl.query.intervals import intervals
from compliancectl.query.syntax import (
    Node,
    Refused,
    nodes,
    of_check,
    parse,
    parse_ahead,
    places_in_check,
    position,
    tokens,
    walk,
)

_EXPRESSIONS = frozenset(
    {
        "BETWEEN",
        "CASE",
        "CAST",
        "COLUMN_REF",
        "COMPARISON",
        "CONJUNCTION",
        "CONSTANT",
        "FUNCTION",
        "LAMBDA",
        "OPERATOR",
        "PARAMETER",
        "STAR",
        "SUBQUERY",
        "TYPE",
        "WINDOW",
    }
)
_RELATIONS = frozenset({"BASE_TABLE", "EMPTY", "EXPRESSION_LIST", "JOIN", "SUBQUERY", "TABLE_FUNCTION"})
_QUERIES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE"})
_MODIFIERS = frozenset({"ORDER_MODIFIER", "LIMIT_MODIFIER", "DISTINCT_MODIFIER"})
_ORDERS = frozenset({"ORDER_DEFAULT", "ASCENDING", "DESCENDING"})
_FLOATS = frozenset({"double", "float", "real", "float4", "float8", "double precision"})
_REFUSED_NODES = {
    "RECURSIVE_CTE_NODE": ("A recursive WITH is not accepted.", "It may never end; write a join."),
    "SHOW_REF": ("DESCRIBE, SHOW and SUMMARIZE are not accepted.", "A control reads evidence tables only."),
    "PIVOT": ("PIVOT is not accepted.", "Write count(*) FILTER (WHERE …)."),
    "POSITIONAL_REFERENCE": ("Columns by position (#1) are not accepted.", "Name the column."),
    "COLLATE": ("COLLATE is not accepted.", "Use lower(…)."),
}


@dataclass(frozen=True)
class Reads:
    """What an SQL text reads."""

    tables: tuple[str, ...]
    """Declared evidence tables, sorted."""
    parameters: tuple[str, ...]
    names: frozenset[str]
    """Every part of every column reference, in lower case: columns and struct fields."""
    star: bool
    """Whether `*` occurs, so that every column counts as read."""


def guard_population(sql: str, tables: Collection[str], parameters: Collection[str], catalog: Collection[str]) -> Reads:
    """Hold a population against the allow-lists.

    Args:
        sql: the text as written.
        tables: declared tables, `source.name`.
        parameters: names that may follow `$`.
        catalog: names of DuckDB's own views, which no WITH may take.

    Raises:
        Refused: with the reason and the place.
    """
    return _population(sql, tuple(tables), tuple(parameters), frozenset(catalog))


# What the guard says depends on nothing but its arguments. A run asks twice about the same texts: once to know what to
# collect, once to judge.
@lru_cache(maxsize=4096)
def _population(sql: str, tables: tuple[str, ...], parameters: tuple[str, ...], catalog: frozenset[str]) -> Reads:
    _check_tokens(sql, comments=True)
    root = parse(sql)
    for modifier in root.get("modifiers", ()):
        if modifier["type"] == "LIMIT_MODIFIER":
            raise Refused(
                "A population must not be cut by LIMIT.", "Remove it: every item belongs to it.", position(modifier)
            )
    return _Guard(tables, parameters, catalog).check(nodes(sql))


def read_ahead(populations: Iterable[str], checks: Iterable[str]) -> None:
    """Parse the texts of many tests at once before they are guarded one by one."""
    parse_ahead((*populations, *(of_check(check) for check in checks)))


def guard_check(expression: str, parameters: Collection[str], columns: Collection[str]) -> Reads:
    """Hold a check against the allow-lists: one expression about one item that reads no table.

    Raises:
        Refused: with the reason and the place within `expression`.
    """
    return _check(expression, tuple(parameters), tuple(columns))


@lru_cache(maxsize=4096)
def _check(expression: str, parameters: tuple[str, ...], columns: tuple[str, ...]) -> Reads:
    _check_tokens(expression, comments=False)
    statement = of_check(expression)
    with places_in_check():
        _single_expression(parse(statement))
        return _Guard((), parameters, (), columns=columns).check(nodes(statement))


def _single_expression(root: Node) -> None:
    closed = Refused("A check must be one boolean expression.", "Remove what closes its bracket or follows it.")
    if root["type"] != "SELECT_NODE" or len(root["select_list"]) != 1 or root["modifiers"] or root["cte_map"]["map"]:
        raise closed
    if root["from_table"]["type"] != "EMPTY" or any(
        root[k] for k in ("where_clause", "group_expressions", "having", "qualify", "sample")
    ):
        raise closed
    if root["select_list"][0].get("alias"):
        raise Refused("A check must not name a column.", "Remove AS; the check already has a name.")


def _check_tokens(sql: str, *, comments: bool) -> None:
    for token in tokens(sql):
        if token.kind == "comment" and not comments:
            raise Refused("A check must not hold a comment.", "Put it into the YAML with #.", token.at)
        if token.kind == "dollar":
            raise Refused("Dollar-quoted text is not accepted.", "Write 'text'.", token.at)
        if token.kind == "escaped":
            raise Refused(
                "Escape strings (E'…') are not accepted.", "Write 'text', or chr(…) for special signs.", token.at
            )
        if token.kind == "positional":
            raise Refused(f"The parameter {token.text} has no name.", "Write $name.", token.at)
        if token.text == ";":
            raise Refused("A semicolon is not accepted.", "Remove it: there is one SELECT only.", token.at)


class _Guard:
    def __init__(
        self,
        tables: Collection[str],
        parameters: Collection[str],
        catalog: Collection[str],
        columns: Collection[str] | None = None,
    ) -> None:
        self.tables = {name.lower(): name for name in tables}
        self.parameters = parameters
        self.catalog = catalog
        self.columns = columns
        self.in_check = columns is not None
        self.ctes: set[str] = set()
        self.read: set[str] = set()
        self.used: set[str] = set()
        self.names: set[str] = set()
        self.star = False

    def check(self, nodes: Sequence[Node]) -> Reads:
        self.ctes = {entry["key"].lower() for node in nodes for entry in _ctes(node)}
        for name in sorted(self.ctes):
            if name in self.catalog:
                raise Refused(f'The name "{name}" in WITH belongs to the database.', "Choose another name.")
        made_by_parser = {id(node) for shell in intervals(nodes) for node in shell}
        made_by_parser |= {id(node["function"]) for node in nodes if node.get("type") == "TABLE_FUNCTION"}
        lambdas = {id(node) for call in nodes if call.get("class") == "FUNCTION" for node in _lambda_arguments(call)}
        for node in nodes:
            self._node(node, made_by_parser, lambdas)
        return Reads(tuple(sorted(self.read)), tuple(sorted(self.used)), frozenset(self.names), self.star)

    def _node(self, node: Node, made_by_parser: set[int], lambdas: set[int]) -> None:
        kind = str(node.get("class") or node.get("type") or "")
        if not isinstance(node.get("type"), str) and "class" not in node:
            return
        if kind in _REFUSED_NODES:
            raise Refused(*_REFUSED_NODES[kind], position(node))
        if "class" in node:
            self._expression(kind, node, made_by_parser, lambdas)
        elif kind in _RELATIONS:
            self._relation(kind, node)
        elif kind in _QUERIES:
            self._query(node)
        elif kind in _MODIFIERS or kind in _ORDERS:
            pass
        else:
            raise Refused(f"{kind.replace('_', ' ').capitalize()} is not accepted.", "Write plain SQL.", position(node))

    def _expression(self, kind: str, node: Node, made_by_parser: set[int], lambdas: set[int]) -> None:
        if kind not in _EXPRESSIONS:
            raise Refused(f"{kind.replace('_', ' ').capitalize()} is not accepted.", "Write plain SQL.", position(node))
        match kind:
            case "FUNCTION" | "WINDOW" if id(node) not in made_by_parser:
                self._call(node, kind == "WINDOW")
            case "COLUMN_REF":
                self._column(node)
            case "PARAMETER":
                self._parameter(node)
            case "CAST" if id(node) not in made_by_parser:
                _refuse_float(node)
            case "CONSTANT":
                _refuse_exponent(node)
            case "LAMBDA" if node["syntax_type"] != "LAMBDA_KEYWORD" or id(node) not in lambdas:
                raise Refused(
                    "The arrow -> is not accepted.", "Write column.field, or lambda x: … for lists.", position(node)
                )
            case "STAR":
                self._star(node)
            case "OPERATOR" if node["type"] == "ARRAY_EXTRACT":
                _refuse_text_subscript(node)
            case "SUBQUERY" if self.in_check:
                _refuse_tables(node)

    def _call(self, node: Node, window: bool) -> None:
        name, at = str(node["function_name"]).lower(), position(node)
        if len(node["qualified_name"]["path"]) > 1:
            raise Refused(f"Write {name}(value), not value.{name}().", None, at)
        if name == "count_star":
            name = "count"
        allowed = functions.ALL if window else functions.SCALAR | functions.AGGREGATE
        if name not in allowed:
            self._refuse_function(name, at)
        aggregate = name in functions.AGGREGATE
        if self.in_check and (aggregate or window):
            hint = "Aggregate in the population, and compare here."
            raise Refused(f"A check speaks about one item, so {name}() cannot stand in it.", hint, at)
        if self.in_check and name == "unnest":
            raise Refused("A check must give one answer, so unnest() cannot stand in it.", "Use list_filter.", at)
        orders = node["orders"] + node["arg_orders"] if window else node["order_bys"]["orders"]
        if not orders and (name in functions.ORDERED or (window and name in functions.WINDOW_ONLY)):
            form = f"{name}() OVER (… ORDER BY …)" if window else f"{name}(… ORDER BY …)"
            raise Refused(f"{name}() needs an ORDER BY, or its answer changes from run to run.", f"Write {form}.", at)

    def _refuse_function(self, name: str, at: int | None) -> None:
        why, hint = functions.why_not(name)
        otherwise = hint or suggestion(name, functions.ALL, otherwise="`compliancectl controls check` knows the list.")
        called = f"The function {name}()" if name.isidentifier() else f"The operator {name}"
        raise Refused(f"{called} is not accepted. {why}", otherwise, at)

    def _column(self, node: Node) -> None:
        parts = [str(part) for part in node["column_names"]]
        lowered = [part.lower() for part in parts]
        known = self.columns is not None and lowered[0] in {column.lower() for column in self.columns}
        if lowered[-1] == "rowid" or (len(parts) == 1 and lowered[0] in functions.VALUE_WORDS and not known):
            why, hint = functions.STORAGE if lowered[-1] == "rowid" else functions.why_not(lowered[0])
            if lowered[-1] != "rowid":
                hint = f"If it is a column, write table.{parts[0]}. {hint or ''}".strip()
            raise Refused(f"{parts[-1]} is not accepted here. {why}", hint, position(node))
        self.names.update(lowered)

    def _parameter(self, node: Node) -> None:
        name = str(node["identifier"])
        if name not in self.parameters:
            hint = suggestion(name, self.parameters)
            raise Refused(f'There is no parameter "${name}".', hint, position(node))
        self.used.add(name)

    def _star(self, node: Node) -> None:
        if node["columns"] or self.in_check:
            raise Refused("COLUMNS(…) and * are not accepted here.", "Name the columns.", position(node))
        self.star = True

    def _relation(self, kind: str, node: Node) -> None:
        if node.get("sample"):
            raise Refused(
                "A sample is not accepted: it differs from run to run.", "Read the whole table.", position(node)
            )
        self.names.update(str(name).lower() for name in node.get("using_columns", ()))
        match kind:
            case "BASE_TABLE":
                self._table(node)
            case "TABLE_FUNCTION":
                name = str(node["function"]["function_name"]).lower()
                if name not in functions.TABLE:
                    self._refuse_function(name, position(node))
            case "JOIN" if node["ref_type"] not in ("REGULAR", "CROSS") or node["nearest_approx"]:
                what = str(node["ref_type"])
                raise Refused(
                    f"{'An' if what[0] in 'AEIOU' else 'A'} {what} join is not accepted.",
                    "Write JOIN … ON or USING.",
                    position(node),
                )

    def _table(self, node: Node) -> None:
        schema, table, at = str(node["schema_name"]).lower(), str(node["table_name"]), position(node)
        if not schema and not node["catalog_name"] and table.lower() in self.ctes:
            return
        name = ".".join(part for part in (node["catalog_name"], node["schema_name"], table) if part)
        if node["catalog_name"] or f"{schema}.{table.lower()}" not in self.tables:
            raise self._unknown_table(name, at)
        if node["at_clause"]:
            raise Refused("AT is not accepted.", "Evidence has one state.", at)
        self.read.add(self.tables[f"{schema}.{table.lower()}"])

    def _unknown_table(self, name: str, at: int | None) -> Refused:
        if "/" in name or name.endswith((".csv", ".json", ".parquet", ".jsonl", ".txt", ".db")) or "*" in name:
            return Refused(f'"{name}" is a file; SQL may not read files.', "Read evidence tables only.", at)
        exact = [table for table in self.tables.values() if table.partition(".")[2] == name]
        hint = f'Did you mean "{exact[0]}"?' if exact else suggestion(name, [*self.tables.values(), *self.ctes])
        return Refused(f'There is no table "{name}".', hint, at)

    def _query(self, node: Node) -> None:
        if node.get("sample"):
            raise Refused("A sample is not accepted: it differs from run to run.", "Read the whole table.")
        kinds = {modifier["type"]: modifier for modifier in node["modifiers"]}
        limit, distinct = kinds.get("LIMIT_MODIFIER"), kinds.get("DISTINCT_MODIFIER")
        if limit and limit.get("limit_type") == "PERCENTAGE":
            raise Refused("LIMIT in percent is not accepted.", "A population is complete.", position(limit))
        if limit and "ORDER_MODIFIER" not in kinds:
            raise Refused(
                "LIMIT without ORDER BY picks other rows each time.",
                "Add an ORDER BY that names a unique column.",
                position(limit),
            )
        if distinct and distinct["distinct_on_targets"] and "ORDER_MODIFIER" not in kinds:
            raise Refused(
                "DISTINCT ON without ORDER BY picks other rows each time.", "Add an ORDER BY.", position(distinct)
            )


def _ctes(node: Node) -> list[Mapping[str, Any]]:
    entries = node.get("cte_map")
    return entries["map"] if isinstance(entries, dict) else []


def _lambda_arguments(call: Node) -> Iterator[Node]:
    for argument in call.get("arguments", ()):
        if argument["expression"].get("class") == "LAMBDA":
            yield argument["expression"]


def _refuse_float(node: Node) -> None:
    name = str(node["type_expr"].get("type_name", "")).lower()
    if name in _FLOATS:
        hint = "Use BIGINT, or DECIMAL with fixed places."
        raise Refused(
            "Floating-point numbers are not accepted: sums of them depend on the order of rows.", hint, position(node)
        )
    if "timestamptz" in name or "time zone" in name or name == "timetz":
        hint = "Use TIMESTAMP; every instant here is UTC."
        raise Refused(f"The type {name.upper()} depends on the time zone of the session.", hint, position(node))
    if name in ("json", "variant", "map"):
        raise Refused(
            f"The type {name.upper()} is not accepted.", "Use typed columns and struct fields.", position(node)
        )


def _refuse_exponent(node: Node) -> None:
    written = node.get("literal")
    if isinstance(written, dict) and written.get("kind") == "NUMERIC" and "e" in str(written.get("text")).lower():
        raise Refused(f"{written['text']} is a floating-point number.", "Write the whole number out.", position(node))


def _refuse_text_subscript(node: Node) -> None:
    index = node["children"][1]
    if index.get("class") == "CONSTANT" and index.get("literal", {}).get("kind") == "STRING":
        name = index["literal"]["text"]
        raise Refused(
            f"['{name}'] is not accepted: a misspelt key would be NULL in silence.", f"Write .{name}", position(node)
        )


def _refuse_tables(node: Node) -> None:
    for inner in walk(node["subquery"]):
        if inner.get("type") == "BASE_TABLE":
            hint = "Join it in the population, and compare here."
            raise Refused(f'A check reads no table, but this one reads "{inner["table_name"]}".', hint, position(inner))
