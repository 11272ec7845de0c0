"""Where BigQuery means something else by the same words: texts, patterns, numbers and times."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from compliancectl.engines import bigquery_rules as lists
from compliancectl.engines.bigquery_rules import built, refuse
from compliancectl.engines.translate import matches_once

_ZONE = r"r'(:\d\d(?:\.\d+)?) ?(?:Z|[+-]\d\d(?::?\d\d)?)$'"
_PART = "IF(@text IS NULL, NULL, COALESCE(SPLIT(@text, @mark)[SAFE_OFFSET(@index)], ''))"
_FULL_MATCH = "REGEXP_CONTAINS(@text, CONCAT('^(?:', @pattern, r')\\z'))"
_EXTRACT = "IF(@text IS NULL, NULL, COALESCE(REGEXP_EXTRACT(@text, @pattern), ''))"
_GROUP = re.compile(r"(?<!\\)\((?!\?)")


# -- texts ------------------------------------------------------------------------------------------------------------


def _text(node: Any) -> Any:
    """A value as text, as DuckDB prints it."""
    from sqlglot import exp

    if isinstance(node, exp.Literal) and node.is_string:
        return node
    if isinstance(node, exp.Cast) and node.to.this in exp.DataType.TEXT_TYPES:
        return node
    if isinstance(node, exp.DPipe | exp.Lower | exp.Upper | exp.Concat | exp.Replace | exp.SplitPart):
        return node
    return exp.cast(node.copy(), "text", dialect="duckdb")


def _pipe(node: Any) -> Any:
    from sqlglot import exp

    if isinstance(node.this, exp.Array) or isinstance(node.expression, exp.Array):
        raise refuse("|| between lists", "Write list_concat(…).")
    return exp.DPipe(this=_text(node.this), expression=_text(node.expression), safe=node.args.get("safe"))


def _concat(node: Any) -> Any:
    """NULL counts as nothing."""
    from sqlglot import exp

    parts = [built("IFNULL(@text, '')", text=_text(part)) for part in node.expressions]
    return exp.Anonymous(this="CONCAT", expressions=parts)


def _concat_ws(node: Any) -> Any:
    from sqlglot import exp

    mark, *parts = node.expressions
    texts = exp.Array(expressions=[_text(part) for part in parts])
    return exp.Anonymous(this="ARRAY_TO_STRING", expressions=[texts, mark.copy()])


def _split_part(node: Any) -> Any:
    from sqlglot import exp

    place = node.args["part_index"]
    results = [part.args["true"] for part in place.args["ifs"]] if isinstance(place, exp.Case) else [place]
    results += [place.args["default"]] if isinstance(place, exp.Case) and place.args.get("default") else []
    if not all(isinstance(part, exp.Literal) and not part.is_string for part in results):
        raise refuse("split_part() with a place that is not a whole number from 1")
    index = exp.Sub(this=exp.paren(place.copy()), expression=exp.Literal.number(1))
    return built(_PART, text=node.this, mark=node.args["delimiter"], index=index)


def _contains(node: Any) -> Any:
    return built("(STRPOS(@text, @part) > 0)", text=node.this, part=node.expression)


def _trim(node: Any) -> Any:
    """Spaces alone: BigQuery would take every white space."""
    from sqlglot import exp

    side = {"LEADING": "LTRIM", "TRAILING": "RTRIM"}.get(str(node.args.get("position") or "").upper(), "TRIM")
    signs = node.expression or exp.Literal.string(" ")
    return exp.Anonymous(this=side, expressions=[node.this.copy(), signs.copy()])


def _like(node: Any) -> Any:
    from sqlglot import exp

    if not isinstance(node.expression, exp.Literal) or "\\" in node.expression.name:
        raise refuse("LIKE with a pattern that is not a plain text", "Write starts_with, contains or regexp_matches.")
    return node


def _hex(name: str) -> Callable[[Any], Any]:
    return lambda node: built(f"TO_HEX({name}(@text))", text=node.this)


# -- patterns (both engines use RE2) ----------------------------------------------------------------------------------


def _pattern(node: Any, flags: str) -> Any:
    """The pattern with its flags in it."""
    from sqlglot import exp

    given = node.args.get(flags)
    if given is None:
        return node.expression
    wanted = given.name.replace("c", "").replace("g", "")
    if not isinstance(given, exp.Literal) or set(wanted) - {"i", "s"}:
        raise refuse("A pattern with other flags than i and s")
    return built(f"CONCAT('(?{wanted})', @pattern)", pattern=node.expression) if wanted else node.expression


def _full_match(node: Any) -> Any:
    # \z, not $: `$` might also stand before a line feed at the end.
    return built(_FULL_MATCH, text=node.this, pattern=_pattern(node, "options"))


def _matches(node: Any) -> Any:
    return built("REGEXP_CONTAINS(@text, @pattern)", text=node.this, pattern=_pattern(node, "flag"))


def _extract(node: Any) -> Any:
    """No match is an empty text. BigQuery gives the one group that there is, so the others must not be groups."""
    from sqlglot import exp

    group, pattern = node.args.get("group"), node.expression
    if not isinstance(pattern, exp.Literal) or node.args.get("parameters"):
        raise refuse("regexp_extract() with a pattern that is not a plain text")
    places = [found.end() for found in _GROUP.finditer(pattern.name)]
    wanted, text = int(group.name) if group is not None else 0, pattern.name
    for number, end in reversed(list(enumerate(places, 1))):
        if number != wanted:
            text = f"{text[:end]}?:{text[end:]}"
    return built(_EXTRACT, text=node.this, pattern=exp.Literal.string(text if wanted else f"({text})"))


def _replace(node: Any) -> Any:
    """DuckDB replaces the first match, unless told to replace all of them."""
    from sqlglot import exp

    flags, pattern = node.args.get("modifiers"), node.expression
    every = flags is not None and "g" in flags.name
    once = isinstance(pattern, exp.Literal) and matches_once(pattern.name)
    if not (every or once):
        raise refuse("regexp_replace() of the first match alone", "Add 'g', or begin the pattern with ^.")
    made = "REGEXP_REPLACE(@text, @pattern, @new)"
    return built(made, text=node.this, pattern=_pattern(node, "modifiers"), new=node.args["replacement"])


# -- numbers and times ------------------------------------------------------------------------------------------------


def _least(node: Any) -> Any:
    """NULL does not count, unless there is nothing else."""
    from sqlglot import exp

    template = lists.LEAST if isinstance(node, exp.Least) else lists.GREATEST
    return built(template, list=exp.Array(expressions=[part.copy() for part in (node.this, *node.expressions)]))


def _whole(name: str) -> Callable[[Any], Any]:
    from sqlglot import exp

    def made(node: Any) -> Any:
        return exp.Anonymous(this=name, expressions=[node.this.copy(), node.expression.copy()])

    return made


def _series(node: Any) -> Any:
    """Of whole numbers, or of instants: BigQuery has series of instants with a time zone alone."""
    from sqlglot import exp

    first, last, step = node.args["start"], node.args["end"], node.args.get("step")
    if isinstance(step, exp.Interval):
        every = "FROM UNNEST(GENERATE_TIMESTAMP_ARRAY(TIMESTAMP(@first), TIMESTAMP(@last), @step)) AS __v"
        cut = " WHERE DATETIME(__v) < @last" if node.args.get("is_end_exclusive") else ""
        made = f"IF(@first IS NULL OR @last IS NULL, NULL, ARRAY(SELECT DATETIME(__v) {every}{cut} ORDER BY __v))"
        return built(made, first=first, last=last, step=step)
    if step is not None:
        raise refuse("A series of numbers with a step")
    return built(
        f"GENERATE_ARRAY(@first, @last{' - 1' if node.args.get('is_end_exclusive') else ''})", first=first, last=last
    )


def _printed(node: Any) -> Any:
    from sqlglot import exp

    return exp.Anonymous(
        this="FORMAT_DATETIME",
        expressions=[node.args["format"].copy(), exp.cast(node.this.copy(), "datetime", dialect="bigquery")],
    )


def _instant(node: Any) -> Any:
    """Text becomes an instant without its zone, which DuckDB reads over and BigQuery would not accept."""
    from sqlglot import exp

    if node.to.this not in (exp.DataType.Type.TIMESTAMPNTZ, exp.DataType.Type.TIMESTAMP, exp.DataType.Type.DATETIME):
        return node
    if isinstance(node.this, exp.Literal):
        return node
    cast = "SAFE_CAST" if isinstance(node, exp.TryCast) else "CAST"
    return built(f"{cast}(REGEXP_REPLACE(CAST(@value AS STRING), {_ZONE}, r'\\1') AS DATETIME)", value=node.this)


def _days(node: Any) -> Any:
    from sqlglot import exp

    return exp.Interval(this=exp.paren(node.this.copy()), unit=exp.var("DAY"))


def _truncated(node: Any) -> Any:
    from sqlglot import exp

    unit = node.args["unit"].name.upper()
    unit = "ISOWEEK" if unit.startswith("WEEK") else unit
    return exp.Anonymous(
        this="DATETIME_TRUNC", expressions=[exp.cast(node.this.copy(), "datetime", dialect="bigquery"), exp.var(unit)]
    )


def _interval(node: Any) -> Any:
    """`INTERVAL '26' HOUR` is written without quotes."""
    from sqlglot import exp

    count = node.this
    if isinstance(count, exp.Literal) and count.is_string:
        count = exp.Literal.number(int(count.name))
    return exp.Interval(this=count.copy(), unit=exp.var(node.unit.name.upper().removesuffix("S")))


def _spans(node: Any) -> Any:
    """An interval times a number is an interval of so many."""
    from sqlglot import exp

    sides = [side.this if isinstance(side, exp.Paren) else side for side in (node.this, node.expression)]
    for side, other in (sides, sides[::-1]):
        if isinstance(side, exp.Interval) and side.this is not None and side.unit is not None:
            count = other.copy()
            if not (isinstance(side.this, exp.Literal) and side.this.name == "1"):
                count = exp.Mul(this=exp.paren(side.this.copy()), expression=exp.paren(count))
            return exp.Interval(this=exp.paren(count), unit=side.unit.copy())
    return node


def _percentile(node: Any) -> Any:
    """BigQuery has it as a window only: the entry at that place of the sorted values."""
    from sqlglot import exp

    share = node.expression
    if not isinstance(share, exp.Literal):
        raise refuse("quantile_disc() with a share that is not written out")
    place = "CAST(GREATEST(CEIL(CAST(@share AS NUMERIC) * COUNT(@value)), 1) AS INT64) - 1"
    made = f"(ARRAY_AGG(@value IGNORE NULLS ORDER BY @value))[SAFE_OFFSET({place})]"
    return built(made, value=node.this, share=exp.Literal.string(share.name))


def by_kind() -> dict[type, Callable[[Any], Any]]:
    """Kind of node → what it becomes."""
    from sqlglot import exp

    return {
        exp.Cast: _instant,
        exp.TryCast: _instant,
        exp.IntDiv: _whole("DIV"),
        exp.Mod: _whole("MOD"),
        exp.TimeToStr: _printed,
        exp.ToDays: _days,
        exp.DPipe: _pipe,
        exp.Concat: _concat,
        exp.ConcatWs: _concat_ws,
        exp.SplitPart: _split_part,
        exp.Contains: _contains,
        exp.Trim: _trim,
        exp.Like: _like,
        exp.MD5: _hex("MD5"),
        exp.SHA2: _hex("SHA256"),
        exp.RegexpFullMatch: _full_match,
        exp.RegexpLike: _matches,
        exp.RegexpExtract: _extract,
        exp.RegexpReplace: _replace,
        exp.Least: _least,
        exp.Greatest: _least,
        exp.TimestampTrunc: _truncated,
        exp.DateTrunc: _truncated,
        exp.Interval: _interval,
        exp.Mul: _spans,
        exp.PercentileDisc: _percentile,
        exp.GenerateSeries: _series,
    }
