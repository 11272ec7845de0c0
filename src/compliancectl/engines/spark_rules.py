"""Where Spark means something else by the same words."""

from __future__ import annotations

from typing import Any

from compliancectl.query.syntax import Refused


def rules(node: Any) -> Any:
    """A node of the syntax tree as Spark must be told it.

    Raises:
        Refused: nothing in Spark means the same.
    """
    from sqlglot import exp

    if isinstance(node, exp.RegexpFullMatch):
        # \z, not $: Java's $ also stands before a line feed at the end.
        whole = exp.func("concat", exp.Literal.string("^(?:"), node.expression, exp.Literal.string(")\\z"))
        return exp.RegexpLike(this=node.this, expression=whole)
    if isinstance(node, exp.ArrayContains):
        return _contains(node.this, node.expression)
    if isinstance(node, exp.ArrayAgg):
        # collect_list drops NULLs and keeps no order.
        raise Refused("list() of rows cannot be translated for Spark.", "Use string_agg(… ORDER BY …), or count.")
    return node


def _contains(items: Any, wanted: Any) -> Any:
    """Spark does not know whether a list holds what it does not find beside a NULL; DuckDB says no."""
    from sqlglot import exp

    entry = exp.to_identifier("__entry")
    same = exp.Lambda(this=exp.EQ(this=exp.column(entry.copy()), expression=wanted.copy()), expressions=[entry])
    found = exp.GT(
        this=exp.func("size", exp.func("filter", items.copy(), same)),
        expression=exp.Literal.number(0),
    )
    missing = exp.or_(
        exp.Is(this=items.copy(), expression=exp.Null()), exp.Is(this=wanted.copy(), expression=exp.Null())
    )
    return exp.Paren(this=exp.Case(ifs=[exp.If(this=missing, true=exp.Null())], default=found))
