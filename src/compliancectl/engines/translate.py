"""A control's SQL in another dialect, with the places where dialects agree in spelling and differ in meaning.

sqlglot knows the spelling. What it does not know is written here, rule by rule, and held against DuckDB by
certification, example by example: a rule that is missing shows as a difference there, never as another verdict.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from compliancectl.query.syntax import Refused

if TYPE_CHECKING:
    from sqlglot import exp


def view_name(table: str) -> str:
    """`gcp__sql_instance` of `gcp.sql_instance`: a temporary view has no schema."""
    return table.replace(".", "__", 1)


def translator() -> str:
    """The library that translates, with its version."""
    from importlib.metadata import version

    return f"sqlglot {version('sqlglot')}"


def translate(
    sql: str, dialect: str, rules: Callable[[Any], Any], finish: Callable[[Any], Any] = lambda tree: tree
) -> str:
    """SQL of DuckDB's dialect in another one.

    Args:
        sql: what a control says, with its parameters put in.
        dialect: sqlglot's name of the other dialect.
        rules: replaces a node of the syntax tree by what means the same there. What is below the node has been
            replaced already, and what it returns is not looked at again.
        finish: changes the whole tree once it has been through the rules.

    Raises:
        Refused: it cannot be translated.
    """
    import sqlglot

    try:
        tree = sqlglot.parse_one(sql, dialect="duckdb")
        tree = finish(_upwards(tree.transform(as_evidence_table), rules))
        return str(tree.sql(dialect=dialect, unsupported_level=sqlglot.ErrorLevel.RAISE))
    except RecursionError:
        raise Refused("The SQL nests too deeply to be translated.", "Write it flatter.") from None
    except sqlglot.errors.SqlglotError as error:
        said = str(error).split("\n")[0].rstrip(".")
        raise Refused(f"The SQL cannot be translated: {said}.", "Write it in plainer SQL.") from error


def matches_once(pattern: str) -> bool:
    """Whether a pattern matches at most once in any text: it stands at one end, and has no other way to match.

    At the end it must begin with a letter that is not optional: nothing could be matched once more behind a match.
    """
    if "|" in pattern or "(?" in pattern:
        return False
    body = pattern.removesuffix("$")
    ends = body != pattern and (len(body) - len(body.rstrip("\\"))) % 2 == 0
    return pattern.startswith("^") or (ends and re.match(r"[^\\.\[\](){}*+?^$](?![*?{])", pattern) is not None)


def _upwards(tree: Any, rules: Callable[[Any], Any]) -> Any:
    """Every node of the tree through the rules, the innermost first: what replaces a node may hold nodes of its own."""
    for node in reversed(list(tree.walk())):
        found = rules(node)
        if found is node:
            continue
        if node is tree:
            tree = found
        else:
            parent, key, index = node.parent, node.arg_key, node.index
            parent.set(key, found, index)
    return tree


def as_evidence_table(node: exp.Expression) -> exp.Expression:
    """`gcp.sql_instance` as the one name that engines know it by; any other node as it is."""
    from sqlglot import exp

    if not isinstance(node, exp.Table) or not node.db:
        return node
    named = exp.to_identifier(view_name(f"{node.db}.{node.name}"), quoted=True)
    alias = exp.TableAlias(this=exp.to_identifier(node.alias or node.name, quoted=True))
    return exp.Table(this=named, alias=alias, joins=node.args.get("joins"))
