"""Where BigQuery means something else by the same words: one rule for each kind of node.

The rules were written against GoogleSQL's reference implementation, which tests still hold them against. The trap is
always the same: BigQuery answers FALSE, or an empty list, where DuckDB answers NULL, and a control would pass by it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from compliancectl.query.syntax import Refused

if TYPE_CHECKING:
    from sqlglot import exp

    Node = exp.Expression

_EACH = "FROM UNNEST(@list) AS __v"
_IN_ORDER = f"{_EACH} WITH OFFSET AS __n"
# A lambda's parameter must be a column of its own: fields of UNNESTed structs would catch the names of outer columns.
_BOUND = "FROM (SELECT __v AS `$name`, __n FROM UNNEST(@list) AS __v WITH OFFSET AS __n) AS __bound"
_FILTER = f"IF(@list IS NULL, NULL, ARRAY(SELECT `$name` {_BOUND} WHERE @keep ORDER BY __n))"
_TRANSFORM = f"IF(@list IS NULL, NULL, ARRAY(SELECT @made {_BOUND} ORDER BY __n))"
_CONTAINS = f"IF(@list IS NULL OR @wanted IS NULL, NULL, EXISTS(SELECT 1 {_EACH} WHERE __v = @wanted))"
_OVERLAPS = (
    "IF(@list IS NULL OR @other IS NULL, NULL, "
    "EXISTS(SELECT 1 FROM UNNEST(@list) AS __v CROSS JOIN UNNEST(@other) AS __w WHERE __v = __w))"
)
_HAS_ALL = (
    "IF(@list IS NULL OR @other IS NULL, NULL, NOT EXISTS(SELECT 1 FROM UNNEST(@other) AS __w "
    f"WHERE __w IS NOT NULL AND NOT EXISTS(SELECT 1 {_EACH} WHERE __v = __w)))"
)
_ALL_TRUE = f"(SELECT LOGICAL_AND(__v) {_EACH})"
_ANY_TRUE = f"(SELECT LOGICAL_OR(__v) {_EACH})"
_SORTED = f"IF(@list IS NULL, NULL, ARRAY(SELECT __v {_EACH} ORDER BY __v IS NULL, __v))"
_DISTINCT = f"IF(@list IS NULL, NULL, ARRAY(SELECT DISTINCT __v {_EACH} WHERE __v IS NOT NULL))"
_SLICE = f"IF(@list IS NULL, NULL, ARRAY(SELECT __v {_IN_ORDER} WHERE __n + 1 BETWEEN @first AND @last ORDER BY __n))"
_FLAT = (
    "IF(@list IS NULL, NULL, ARRAY(SELECT __w FROM (SELECT @made AS __made, __n FROM (SELECT __v AS `$name`, __n "
    "FROM UNNEST(@list) AS __v WITH OFFSET AS __n)) AS __bound CROSS JOIN UNNEST(__bound.__made) AS __w "
    "WITH OFFSET AS __m ORDER BY __bound.__n, __m))"
)
_JOINED = (
    "IF(ARRAY_LENGTH(@list) > 0 AND ARRAY_TO_STRING(@list, '') = '' "
    "AND LENGTH(ARRAY_TO_STRING(@list, '', 'x')) = ARRAY_LENGTH(@list), NULL, ARRAY_TO_STRING(@list, @mark))"
)
_DISTINCT_LIST = (
    "IF(COUNT(*) = 0, NULL, ARRAY_CONCAT(IFNULL(ARRAY_AGG(DISTINCT @value IGNORE NULLS ORDER BY @value), []), "
    "IF(COUNTIF(@value IS NULL) > 0, [NULLIF(MAX(@value), MAX(@value))], [])))"
)
LEAST = "(SELECT MIN(__v) FROM UNNEST(@list) AS __v)"
GREATEST = "(SELECT MAX(__v) FROM UNNEST(@list) AS __v)"
_TABLE = "UNNEST(ARRAY(SELECT AS STRUCT __v AS `$column` FROM UNNEST(@list) AS __v)) AS `$name`"


@cache
def _parsed(template: str) -> Any:
    import sqlglot

    return sqlglot.parse_one(f"SELECT {template}", dialect="bigquery").expressions[0]


def built(template: str, names: dict[str, str] | None = None, **nodes: Any) -> Any:
    """A template with nodes in the place of `@name`, and identifiers in the place of `$name`."""
    return _filled(_parsed(template).copy(), names or {}, nodes)


def _filled(tree: Any, names: dict[str, str], nodes: dict[str, Any]) -> Any:
    from sqlglot import exp

    for part in list(tree.find_all(exp.Parameter, exp.Identifier)):
        if isinstance(part, exp.Parameter):
            new = nodes[part.name].copy()
            new = exp.paren(new, copy=False) if isinstance(new, exp.Binary | exp.Connector | exp.Not) else new
            if part is tree:
                return new
            part.replace(new)
        elif part.this.startswith("$"):
            part.set("this", names[part.this[1:]])
    return tree


def refuse(what: str, hint: str = "Write it in plainer SQL.") -> Refused:
    """What to raise for something that BigQuery has no words for."""
    return Refused(f"{what} cannot be translated for BigQuery.", hint)


# -- lists ------------------------------------------------------------------------------------------------------------


def _lambda(node: Any) -> tuple[str, Any]:
    from sqlglot import exp

    made = node.expression
    if not isinstance(made, exp.Lambda) or len(made.expressions) != 1:
        raise refuse("A lambda with an index")
    return made.expressions[0].name, made.this


def _array_filter(node: Any) -> Any:
    name, keep = _lambda(node)
    return built(_FILTER, {"name": name}, list=node.this, keep=keep)


def _transform(node: Any) -> Any:
    name, made = _lambda(node)
    return built(_TRANSFORM, {"name": name}, list=node.this, made=made)


def flat(node: Any) -> Any:
    """`flatten(list_transform(list, …))`: BigQuery has no lists of lists."""
    name, made = _lambda(node)
    return built(_FLAT, {"name": name}, list=node.this, made=made)


def is_list(node: Any) -> bool:
    """Whether an expression is a list by what it is made with."""
    from sqlglot import exp

    made = (exp.Array, exp.ArraySort, exp.ArrayFilter, exp.Transform, exp.ArrayDistinct, exp.ArrayConcat, exp.Split)
    return isinstance(node.unnest() if isinstance(node, exp.Paren) else node, made)


def same_list(node: Any) -> Any:
    """Lists are not compared in BigQuery, but their texts are; a NULL in one is equal to a NULL in the other."""
    from sqlglot import exp

    sign = "=" if isinstance(node, exp.EQ) else "<>"
    made = f"IF(@one IS NULL OR @other IS NULL, NULL, TO_JSON_STRING(@one) {sign} TO_JSON_STRING(@other))"
    return built(made, one=node.left, other=node.right)


def table_of(items: Any, name: str, column: str) -> Any:
    """A list as a table of one column."""
    import sqlglot

    text = _TABLE.replace("$name", name).replace("$column", column)
    tree = sqlglot.parse_one(f"SELECT 1 FROM {text}", dialect="bigquery").args["from_"].this
    return _filled(tree, {}, {"list": items})


def _flatten(node: Any) -> Any:
    """`flatten(list(list ORDER BY …))`: lists put together; missing ones count as empty."""
    from sqlglot import exp

    gathered = node.this
    if not isinstance(gathered, exp.ArrayAgg) or not isinstance(gathered.this, exp.Order):
        raise refuse("flatten() of anything but list_transform() or list()", "BigQuery has no lists of lists.")
    together = exp.Anonymous(this="ARRAY_CONCAT_AGG", expressions=[gathered.this.copy()])
    return built("IF(COUNT(*) = 0, NULL, IFNULL(@together, []))", together=together)


def _array_contains(node: Any) -> Any:
    return built(_CONTAINS, list=node.this, wanted=node.expression)


def _two(template: str) -> Callable[[Any], Any]:
    return lambda node: built(template, list=node.this, other=node.expression)


def distinct_list(value: Any) -> Any:
    """`list(DISTINCT x ORDER BY x)`: NULL, if there is one, comes last."""
    return built(_DISTINCT_LIST, value=value)


def _one(template: str) -> Callable[[Any], Any]:
    return lambda node: built(template, list=node.this)


def _array_slice(node: Any) -> Any:
    from sqlglot import exp

    first, last = node.args.get("start"), node.args.get("end")
    if not all(isinstance(part, exp.Literal) for part in (first, last)) or node.args.get("step"):
        raise refuse("A slice whose ends are not whole numbers")
    return built(_SLICE, list=node.this, first=first, last=last)


def _bracket(node: Any) -> Any:
    """`x[1]`: the first entry, or NULL if there is none."""
    from sqlglot import exp

    (index,) = node.expressions
    if isinstance(index, exp.Slice):
        first, last = index.this or exp.Literal.number(1), index.expression or exp.Literal.number(2**53)
        if not isinstance(first, exp.Literal) or not isinstance(last, exp.Literal):
            raise refuse("A slice whose ends are not whole numbers")
        return built(_SLICE, list=node.this, first=first, last=last)
    if not isinstance(index, exp.Literal) or index.is_string:
        raise refuse("An index that is not a whole number from 1")
    # sqlglot has already made it an offset from 0.
    return built("@items[SAFE_OFFSET(@index)]", items=node.this, index=index)


def _array_to_string(node: Any) -> Any:
    """NULL entries are skipped; where there is nothing else, the text is NULL too."""
    if node.args.get("null"):
        raise refuse("array_to_string() with a text for NULL")
    return built(_JOINED, list=node.this, mark=node.expression)


def _array_concat(node: Any) -> Any:
    """A missing list counts as an empty one."""
    parts = [built("IFNULL(@list, [])", list=part) for part in (node.this, *node.expressions)]
    from sqlglot import exp

    return exp.Anonymous(this="ARRAY_CONCAT", expressions=parts)


def _to_unit(node: Any) -> Any:
    from sqlglot import exp

    name = node.name.lower()
    if name.startswith("to_") and name.removeprefix("to_").rstrip("s") in (
        "second", "minute", "hour", "day", "week", "month", "year",
    ):  # fmt: skip
        unit = exp.var(name.removeprefix("to_").rstrip("s").upper())
        return exp.Interval(this=exp.paren(node.expressions[0].copy()), unit=unit)
    called = {"list_has_all": _HAS_ALL, "array_has_all": _HAS_ALL}
    if name in called:
        return built(called[name], list=node.expressions[0], other=node.expressions[1])
    if name in ("list_bool_and", "list_bool_or"):
        return built(_ALL_TRUE if name.endswith("and") else _ANY_TRUE, list=node.expressions[0])
    raise refuse(f"{name}()")


def by_kind() -> dict[type, Callable[[Any], Any]]:
    """Kind of node → what it becomes."""
    from sqlglot import exp

    return {
        exp.ArrayFilter: _array_filter,
        exp.Transform: _transform,
        exp.Flatten: _flatten,
        exp.ArrayContains: _array_contains,
        exp.ArrayOverlaps: _two(_OVERLAPS),
        exp.ArrayContainsAll: _two(_HAS_ALL),
        exp.ArraySort: _one(_SORTED),
        exp.ArrayDistinct: _one(_DISTINCT),
        exp.ArrayMin: _one(LEAST),
        exp.ArrayMax: _one(GREATEST),
        exp.ArraySlice: _array_slice,
        exp.Bracket: _bracket,
        exp.ArrayToString: _array_to_string,
        exp.ArrayConcat: _array_concat,
        exp.Anonymous: _to_unit,
    }
