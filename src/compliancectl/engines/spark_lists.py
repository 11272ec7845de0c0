"""Lists in Spark: what a NULL in a list means, in which order rows come together, where counting begins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from compliancectl.query.syntax import Refused


def by_name(node: Any) -> Any:
    """A function that sqlglot has no node for."""
    rule = _BY_NAME.get(str(node.this).lower())
    if rule is None:
        raise refused(f"{str(node.this).lower()}()")
    return rule(node, *node.expressions)


def refused(what: str, hint: str = "Write it with functions that mean the same everywhere.") -> Refused:
    """What Spark has nothing like, in a sentence."""
    return Refused(f"{what} cannot be translated for Spark.", hint)


def _call(name: str, *parts: Any) -> Any:
    """A call of Spark's own function, exactly by this name."""
    from sqlglot import exp

    return exp.Anonymous(this=name, expressions=[part.copy() for part in parts])


def _number(value: int) -> Any:
    from sqlglot import exp

    return exp.Literal.number(value)


def _lambda(name: str, body: Callable[[Any], Any]) -> Any:
    from sqlglot import exp

    entry = exp.to_identifier(name)
    return exp.Lambda(this=body(exp.column(entry.copy())), expressions=[entry])


def _null(node: Any) -> Any:
    from sqlglot import exp

    return exp.Is(this=node.copy(), expression=exp.Null())


def _when(condition: Any, then: Any, otherwise: Any) -> Any:
    from sqlglot import exp

    return exp.Paren(this=exp.Case(ifs=[exp.If(this=condition, true=then)], default=otherwise))


def _some(items: Any) -> Any:
    """Whether a list is not empty."""
    from sqlglot import exp

    return exp.GT(this=_call("size", items), expression=_number(0))


def _present(items: Any, name: str = "__p") -> Any:
    """A list without its NULLs."""
    from sqlglot import exp

    return _call("filter", items, _lambda(name, lambda entry: exp.Not(this=_null(entry))))


def _contains(node: Any) -> Any:
    """Spark does not know whether a list holds what it does not find beside a NULL; DuckDB says no."""
    from sqlglot import exp

    items, wanted = node.this, node.expression
    same = _lambda("__entry", lambda entry: exp.EQ(this=entry, expression=wanted.copy()))
    return _when(exp.or_(_null(items), _null(wanted)), exp.Null(), _some(_call("filter", items, same)))


def _contains_all(node: Any, items: Any = None, wanted: Any = None) -> Any:
    """Whether the second list has nothing that the first has not; NULLs in it do not count."""
    from sqlglot import exp

    items, wanted = items or node.this, wanted or node.expression
    left = _call("size", _call("array_except", _present(wanted), items))
    none = exp.EQ(this=left, expression=_number(0))
    return _when(exp.or_(_null(items), _null(wanted)), exp.Null(), none)


def _overlaps(node: Any) -> Any:
    both = _call("array_intersect", _present(node.this), node.expression)
    from sqlglot import exp

    return _when(exp.or_(_null(node.this), _null(node.expression)), exp.Null(), _some(both))


def _every(node: Any, items: Any) -> Any:
    from sqlglot import exp

    present = _present(items)
    return _when(_some(present), _call("forall", present, _lambda("__e", lambda entry: entry)), exp.Null())


def _any(node: Any, items: Any) -> Any:
    from sqlglot import exp

    present = _present(items)
    return _when(_some(present), _call("exists", present, _lambda("__e", lambda entry: entry)), exp.Null())


def _distinct(node: Any) -> Any:
    return _call("array_distinct", _present(node.this))


def _flat(node: Any) -> Any:
    return _call("flatten", _present(node.this))


def _joined(node: Any) -> Any:
    """A list that is NULL counts as empty."""
    empty = _call("array")
    return _call("concat", *(_call("coalesce", part, empty) for part in [node.this, *node.expressions]))


def _sorted(node: Any) -> Any:
    first = node.args.get("nulls_first")
    if node.args.get("asc") is not None or (first is not None and first.this):
        raise refused("list_sort() with an order of its own", "Sort upwards.")
    return _call("array_sort", node.this)


def _text(node: Any) -> Any:
    """NULLs are left out; a list of nothing else is NULL, and an empty one is an empty text."""
    from sqlglot import exp

    if node.args.get("null") is not None:
        raise refused("array_to_string() with a text for NULL")
    joined = _call("array_join", node.this, node.expression)
    empty = exp.EQ(this=_call("size", node.this), expression=_number(0))
    return _when(exp.or_(empty, _some(_present(node.this))), joined, exp.Null())


def _entry(node: Any) -> Any:
    """The parser counts from 0 already. Outside of the list is NULL, which ANSI mode takes for a mistake."""
    from sqlglot import exp

    index = node.expressions[0] if len(node.expressions) == 1 else None
    at = index.this if isinstance(index, exp.Neg) else index
    if not isinstance(at, exp.Literal) or at.is_string:
        raise refused("An entry of a list at a place that is not written out", "Write a number: list[1].")
    place = (-1 if isinstance(index, exp.Neg) else 1) * int(at.this) + 1
    if place == 0:
        raise refused("list[0]", "The first entry is list[1].")
    return _call("try_element_at", node.this, _number(place))


def _slice(node: Any, items: Any = None, start: Any = None, end: Any = None) -> Any:
    from sqlglot import exp

    items, start, end = items or node.this, start or node.args.get("start"), end or node.args.get("end")
    places = [int(p.this) if isinstance(p, exp.Literal) and not p.is_string else 0 for p in (start, end)]
    if places[0] < 1 or not isinstance(end, exp.Literal) or node.args.get("step") or len(node.expressions) > 3:
        raise refused("A part of a list between places that are not written out", "Write numbers from 1 on.")
    return _call("slice", items, _number(places[0]), _number(max(places[1] - places[0] + 1, 0)))


def _series(node: Any) -> Any:
    """Spark takes a series that runs backwards for a mistake; DuckDB gives an empty one."""
    from sqlglot import exp

    start, end, step = node.args["start"], node.args["end"], node.args.get("step")
    if node.args.get("is_end_exclusive"):
        raise refused("range()", "Use generate_series(), which includes its end.")
    forward = step is None or (isinstance(step, exp.Interval) and not str(step.this.this).startswith("-"))
    if not forward and not (isinstance(step, exp.Literal) and not step.is_string and step.this != "0"):
        raise refused("generate_series() with a step that is not written out")
    step = step or _number(1)
    none = _call("slice", _call("array", start), _number(1), _number(0))
    whole = _call("sequence", start, end, step)
    return exp.Case(
        ifs=[
            exp.If(this=exp.LTE(this=start.copy(), expression=end.copy()), true=whole),
            exp.If(this=exp.GT(this=start.copy(), expression=end.copy()), true=none),
        ]
    )


def _lambdas(node: Any) -> Any:
    """DuckDB counts from 1 where a lambda takes the place too; Spark from 0."""
    if len(node.expressions) > 1:
        raise refused("A lambda with the place of an entry")
    return node


def _rows(node: Any) -> Any:
    from sqlglot import exp

    return node if isinstance(node.parent, exp.Filter) else _gathered(node, None)


def _filtered(node: Any) -> Any:
    from sqlglot import exp

    return _gathered(node.this, node.expression) if isinstance(node.this, exp.ArrayAgg) else node


def _gathered(node: Any, where: Any) -> Any:
    """Rows in one list, in their order, with their NULLs; NULL if there are none.

    Spark drops NULLs, keeps no order and makes an empty list of no rows. So each value goes into a struct, behind what
    it is sorted by.
    """
    from sqlglot import exp

    inner, keys = node.this, []
    if isinstance(inner, exp.Order):
        inner, keys = inner.this, inner.expressions
    value, distinct = inner, False
    if isinstance(value, exp.Distinct):
        value, distinct = value.expressions[0], True
    if distinct and [key.this for key in keys] != [value]:
        raise refused("list(DISTINCT …) in the order of something else", "Order by what is listed.")
    if not keys or any(key.args.get("desc") or isinstance(key.this, exp.All) for key in keys):
        raise refused("list() of rows without an order, or downwards", "Order upwards: list(x ORDER BY x).")
    parts = []
    for n, key in enumerate(keys):
        last = _null(key.this) if not key.args.get("nulls_first") else exp.Not(this=_null(key.this))
        parts += [exp.alias_(last, f"n{n}"), exp.alias_(key.this.copy(), f"k{n}")]
    entry = _call("struct", *parts, exp.alias_(value.copy(), "v"))
    gathered = _call("collect_set" if distinct else "collect_list", entry)
    if where is not None:
        gathered = exp.Filter(this=gathered, expression=where.copy())
    values = _call(
        "transform",
        _call("array_sort", gathered),
        _lambda("__r", lambda row: exp.Dot(this=row, expression=exp.to_identifier("v"))),
    )
    return _when(_some(gathered), values, exp.Null())


RULES: dict[str, Callable[[Any], Any]] = {
    "ArrayAgg": _rows,
    "Filter": _filtered,
    "ArrayContains": _contains,
    "ArrayContainsAll": _contains_all,
    "ArrayOverlaps": _overlaps,
    "ArrayDistinct": _distinct,
    "Flatten": _flat,
    "ArrayConcat": _joined,
    "ArraySort": _sorted,
    "ArrayToString": _text,
    "ArraySlice": _slice,
    "Bracket": _entry,
    "GenerateSeries": _series,
    "Lambda": _lambdas,
}

_BY_NAME: dict[str, Callable[..., Any]] = {
    "list_has_all": _contains_all,
    "list_bool_and": _every,
    "list_bool_or": _any,
    "list_slice": _slice,
}
