"""A control's SQL as BigQuery's: the syntax tree is rebuilt from its leaves, one rule for each kind of node."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from compliancectl.engines import bigquery_rules as rules
from compliancectl.engines import bigquery_types as types
from compliancectl.engines import bigquery_words as words
from compliancectl.engines.translate import as_evidence_table, view_name
from compliancectl.query.answers import answer_sql
from compliancectl.query.bind import Bound
from compliancectl.query.syntax import Refused


def translate(sql: str) -> str:
    """SQL of DuckDB's dialect as GoogleSQL; evidence tables have the names of `view_name`.

    Raises:
        Refused: it cannot be translated.
    """
    import logging

    import sqlglot

    logging.getLogger("sqlglot").setLevel(logging.ERROR)  # what it warns about is rewritten here
    try:
        tree = _rebuilt(sqlglot.parse_one(sql, dialect="duckdb"))
        return str(
            tree.sql(dialect="bigquery", unsupported_level=sqlglot.ErrorLevel.RAISE, identify=True, comments=False)
        )
    except RecursionError:
        raise Refused("The SQL nests too deeply to be translated.", "Write it flatter.") from None
    except sqlglot.errors.SqlglotError as error:
        said = str(error).split("\n")[0].rstrip(".")
        raise Refused(f"The SQL cannot be translated for BigQuery: {said}.", "Write it in plainer SQL.") from error


@cache
def _rules() -> dict[type, Any]:
    from sqlglot import exp

    return (
        rules.by_kind()
        | words.by_kind()
        | {
            exp.Table: as_evidence_table,
            exp.Unnest: _unnest,
            exp.Select: _select,
            exp.CTE: _named_columns,
            exp.Subquery: _named_columns,
            exp.Filter: _filter,
            exp.ArrayAgg: _ordered_aggregate,
            exp.GroupConcat: _ordered_aggregate,
            exp.Window: _window,
        }
    )


def _rebuilt(node: Any) -> Any:
    from sqlglot import exp

    if isinstance(node, exp.Flatten) and isinstance(node.this, exp.Transform):
        return rules.flat(_children(node.this))
    lists = isinstance(node, exp.EQ | exp.NEQ) and any(rules.is_list(side) for side in (node.left, node.right))
    _children(node)
    if lists:
        return rules.same_list(node)
    rule = _rules().get(type(node))
    return rule(node) if rule is not None else node


def _children(node: Any) -> Any:
    for child in list(node.iter_expressions()):
        made = _rebuilt(child)
        if made is not child:
            child.replace(made)
    return node


# -- lists as tables --------------------------------------------------------------------------------------------------


def _unnest(node: Any) -> Any:
    """Of a list of structs only the one column may be seen, as in DuckDB; BigQuery would show every field."""
    alias = node.args.get("alias")
    if len(node.expressions) != 1 or alias is None or len(alias.columns) != 1 or node.args.get("offset"):
        raise rules.refuse("unnest() without one column of its own", "Write unnest(list) AS t(entry).")
    return rules.table_of(node.expressions[0], alias.name or alias.columns[0].name, alias.columns[0].name)


def _select(node: Any) -> Any:
    """`SELECT unnest(list) AS entry FROM t` is a join of t with the list."""
    from sqlglot import exp

    found = [(place, part) for place, part in enumerate(node.expressions) if part.find(exp.Explode) is not None]
    found = [(place, part) for place, part in found if _own(part, node)]
    if not found:
        return node
    if len(found) > 1:
        raise rules.refuse("unnest() beside another one", "Unnest in FROM.")
    place, part = found[0]
    exploded = part.this if isinstance(part, exp.Alias) else part
    if not isinstance(exploded, exp.Explode):
        raise rules.refuse("unnest() inside of an expression", "Unnest in FROM.")
    name = part.alias or "unnest"
    table = rules.table_of(exploded.this, "__unnested", name)
    column = exp.alias_(exp.column(exp.to_identifier(name), table="__unnested"), name, quoted=True)
    node.expressions[place].replace(column)
    if (group := node.args.get("group")) is not None:
        for key in list(group.expressions):
            if key == exploded:
                key.replace(column.this.copy())
    return node.join(table, join_type="cross", copy=False) if node.args.get("from_") else node.from_(table, copy=False)


def _own(part: Any, select: Any) -> bool:
    from sqlglot import exp

    return any(found.find_ancestor(exp.Select) is select for found in part.find_all(exp.Explode))


def _named_columns(node: Any) -> Any:
    """`name(a, b) AS (SELECT …)`: BigQuery wants the names inside."""
    from sqlglot import exp

    alias = node.args.get("alias")
    names = [column.name for column in alias.columns] if alias is not None else []
    if not names:
        return node
    inner = node.this
    while isinstance(inner, exp.SetOperation | exp.Subquery):
        inner = inner.this
    if isinstance(inner, exp.Select) and inner.is_star and inner.args.get("from_") is not None:
        source = inner.args["from_"].this
        if isinstance(source, exp.Values) and inner is node.this and not inner.args.get("joins"):
            node.set("this", inner := source)
    if isinstance(inner, exp.Values):
        if inner is not node.this:
            raise rules.refuse("VALUES in a set operation")
        node.set("this", _rows(inner, names))
    elif isinstance(inner, exp.Select) and len(inner.expressions) == len(names) and not inner.is_star:
        for part, name in zip(list(inner.expressions), names, strict=True):
            value = part.this if isinstance(part, exp.Alias) else part
            part.replace(exp.alias_(value.copy(), name, quoted=True))
    else:
        raise rules.refuse("A list of column names for SELECT *", "Name the columns inside.")
    alias.set("columns", [])
    return node


def _rows(values: Any, names: list[str]) -> Any:
    from sqlglot import exp

    selects = []
    for row in values.expressions:
        parts = [exp.alias_(v.copy(), n, quoted=True) for v, n in zip(row.expressions, names, strict=True)]
        selects.append(exp.Select(expressions=parts))
    found: Any = selects[0]
    for other in selects[1:]:
        found = exp.Union(this=found, expression=other, distinct=False)
    return found


# -- aggregates -------------------------------------------------------------------------------------------------------


def _nulls_last(keys: list[Any]) -> list[Any]:
    """BigQuery puts NULL first, and knows no NULLS LAST here."""
    from sqlglot import exp

    found = []
    for key in keys:
        desc, first = bool(key.args.get("desc")), bool(key.args.get("nulls_first"))
        if first == desc:  # it would come first when ascending, and last when descending
            missing = exp.Is(this=key.this.copy(), expression=exp.Null())
            found.append(exp.Ordered(this=missing, desc=first, nulls_first=not first))
        found.append(exp.Ordered(this=key.this.copy(), desc=desc, nulls_first=not desc))
    return found


def _ordered_aggregate(node: Any) -> Any:
    from sqlglot import exp

    order = node.this
    if not isinstance(order, exp.Order):
        return node
    value, keys = order.this, order.expressions
    if isinstance(value, exp.Distinct):
        key = keys[0]
        if len(keys) > 1 or key.this != value.expressions[0]:
            raise rules.refuse("DISTINCT with an order of something else", "Order by the value itself.")
        desc = bool(key.args.get("desc"))
        if isinstance(node, exp.ArrayAgg) and not desc and not isinstance(node.parent, exp.Filter):
            return rules.distinct_list(key.this)
        order.set("expressions", [exp.Ordered(this=key.this.copy(), desc=desc, nulls_first=not desc)])
    else:
        order.set("expressions", _nulls_last(keys))
    return node


def _window(node: Any) -> Any:
    order = node.args.get("order")
    if order is not None:
        order.set("expressions", _nulls_last(order.expressions))
    return node


def _filter(node: Any) -> Any:
    """`list(x ORDER BY k) FILTER (WHERE x IS NOT NULL AND …)`: what is filtered out becomes NULL, and is ignored."""
    from sqlglot import exp

    aggregate, keep = node.this, node.expression.this
    if not isinstance(aggregate, exp.ArrayAgg):
        return node
    order = aggregate.this
    value = order.this if isinstance(order, exp.Order) else order
    value = value.expressions[0] if isinstance(value, exp.Distinct) else value
    known = exp.Not(this=exp.Is(this=value.copy(), expression=exp.Null()))
    if known not in list(keep.flatten() if isinstance(keep, exp.And) else [keep]):
        raise rules.refuse(
            "list() with a FILTER that lets NULL through", "Add `x IS NOT NULL` to the filter, with the value as x."
        )
    kept = exp.If(this=keep.copy(), true=value.copy(), false=exp.Null())
    if isinstance(value.parent, exp.Distinct):
        order.expressions[0].set("this", kept.copy())
    value.replace(kept)
    return exp.IgnoreNulls(this=aggregate.copy())


# -- questions --------------------------------------------------------------------------------------------------------


def question(bound: Bound, sources: Mapping[str, str]) -> str:
    """What a test is asked: the population's columns, and the truth of every check.

    Args:
        bound: the test.
        sources: table → a SELECT that gives its rows.

    Raises:
        Refused: it cannot be translated.
    """
    inner = translate(answer_sql(bound))
    rows = ",\n".join(f"{types.name(view_name(table))} AS ({sql})" for table, sql in sources.items())
    columns = [f"{types.answered(name, kind)} AS {types.name(name)}" for name, kind in bound.columns.items()]
    checks = [f"CAST(`__c{n}` AS BOOL) AS `__c{n}`" for n in range(len(bound.checks))]
    return f"WITH {rows}\nSELECT {', '.join(columns + checks)}\nFROM (\n{inner}\n)"
