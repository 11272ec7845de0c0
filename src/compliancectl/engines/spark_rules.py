"""Where Spark means something else by the same words, and which words are known at all.

What DuckDB does is in its documentation and was tried; what Spark does is in its SQL reference, with ANSI mode on. A
function that is not named here is refused, because two engines may give one name to two things.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from compliancectl.engines import spark_lists
from compliancectl.engines.java_regex import PLAIN, to_java
from compliancectl.engines.spark_lists import refused
from compliancectl.engines.translate import matches_once

_SAME = (
    "And Or Not Xor Case If Cast TryCast Coalesce Nullif Greatest Least Exists "
    "Count Sum Min Max LogicalAnd LogicalOr CountIf "
    "RowNumber Rank DenseRank Lag Lead FirstValue LastValue Ntile "
    "Length Replace StartsWith EndsWith Contains ConcatWs StrPosition Chr MD5 SHA2 Abs "
    "Year Month Day Quarter Array Struct Explode Unnest Filter Transform ArrayFilter ArrayMin ArrayMax ArraySize "
)
"""Nodes of the syntax tree that sqlglot already writes so that they mean the same."""

_SPACES = " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_FORMATS = frozenset(["%Y", "%m", "%d", "%H", "%M", "%S"])
_WRONG_PATTERN = "a pattern that the evidence or a list brings is not known to mean the same in Java"


def rules(node: Any) -> Any:
    """A node of the syntax tree as Spark must be told it; what is below it has been told already.

    Raises:
        Refused: nothing in Spark means the same, or it is not known.
    """
    from sqlglot import exp

    if (rule := _rules().get(type(node).__name__)) is not None:
        return rule(node)
    if isinstance(node, exp.Anonymous):
        return spark_lists.by_name(node)
    if isinstance(node, exp.Func) and type(node).__name__ not in _SAME.split():
        raise refused(f"{node.sql_name().lower()}()")
    return node


def _rules() -> dict[str, Callable[[Any], Any]]:
    return {
        "RegexpFullMatch": _full_match,
        "RegexpLike": _matches,
        "RegexpExtract": _extract,
        "RegexpReplace": _replace,
        "Lower": _lower,
        "Trim": _trim,
        "Like": _like,
        "ILike": _ilike,
        "Concat": _concat,
        "Split": _by_literal,
        "SplitPart": _by_literal,
        "Substring": _substring,
        "Left": _counted,
        "Right": _counted,
        "TimestampTrunc": _truncated,
        "DateTrunc": _truncated,
        "TimeToStr": _formatted,
        "PercentileDisc": _percentile,
        "GroupConcat": lambda node: node,
        **spark_lists.RULES,
    }


def _text(node: Any) -> str | None:
    """The text of a literal; None of anything else."""
    from sqlglot import exp

    return str(node.this) if isinstance(node, exp.Literal) and node.is_string else None


def _count(node: Any) -> int | None:
    from sqlglot import exp

    return int(node.this) if isinstance(node, exp.Literal) and not node.is_string and node.this.isdigit() else None


def _pattern(node: Any, wrap: str = "{}") -> Any:
    """A pattern for Java. One that is not written out is held against what is known when it arrives."""
    from sqlglot import exp

    if (text := _text(node)) is not None:
        return exp.Literal.string(to_java(wrap.format(text)))
    known = exp.RegexpLike(this=node.copy(), expression=exp.Literal.string(PLAIN))
    ends = node.copy()
    for ours, theirs in (("$", "\\z"), ("(?i)", "(?iu)")):
        ends = exp.Anonymous(this="replace", expressions=[ends, exp.Literal.string(ours), exp.Literal.string(theirs)])
    before, after = ("(?d)" + wrap.replace("$", "\\z")).split("{}")
    ends = exp.DPipe(
        this=exp.DPipe(this=exp.Literal.string(before), expression=ends), expression=exp.Literal.string(after)
    )
    silent = exp.Is(this=node.copy(), expression=exp.Null())
    wrong = exp.func("raise_error", exp.Literal.string(_WRONG_PATTERN))
    return exp.Case(ifs=[exp.If(this=silent, true=exp.Null()), exp.If(this=known, true=ends)], default=wrong)


def _full_match(node: Any) -> Any:
    from sqlglot import exp

    if node.args.get("options") or node.args.get("flag"):
        raise refused("A pattern with options", "Write (?i) into the pattern.")
    return exp.RegexpLike(this=node.this, expression=_pattern(node.expression, "^(?:{})$"))


def _matches(node: Any) -> Any:
    from sqlglot import exp

    if node.args.get("flag"):
        raise refused("A pattern with options", "Write (?i) into the pattern.")
    return exp.RegexpLike(this=node.this, expression=_pattern(node.expression))


def _extract(node: Any) -> Any:
    from sqlglot import exp

    parts = [node.this, _pattern(node.expression), node.args["group"]]
    return exp.Anonymous(this="regexp_extract", expressions=parts)


def _replace(node: Any) -> Any:
    """DuckDB replaces the first match unless it is told `g`; Spark replaces all."""
    from sqlglot import exp

    pattern, new, modifiers = _text(node.expression), _text(node.args.get("replacement")), node.args.get("modifiers")
    if pattern is None or new is None or "\\" in new or "$" in new:
        raise refused("regexp_replace() of what is not written out, or with groups")
    if not (modifiers is None and matches_once(pattern)) and _text(modifiers) != "g":
        raise refused("regexp_replace() of the first match", "Begin the pattern with ^, or replace all: 'g'.")
    return exp.Anonymous(
        this="regexp_replace", expressions=[node.this, exp.Literal.string(to_java(pattern)), exp.Literal.string(new)]
    )


def _lower(node: Any) -> Any:
    """Two capitals become something else in Java: one becomes two, one depends on what follows."""
    from sqlglot import exp

    before = exp.Anonymous(
        this="translate", expressions=[node.this, exp.Literal.string("\u0130\u03a3"), exp.Literal.string("i\u03c3")]
    )
    return exp.Lower(this=before)


def _trim(node: Any) -> Any:
    """DuckDB trims every kind of space that is one character wide or so (Unicode's Zs); Spark trims one."""
    from sqlglot import exp

    if node.expression is None:
        return exp.Trim(this=node.this, expression=exp.Literal.string(_SPACES), position=node.args.get("position"))
    return node


def _like(node: Any) -> Any:
    """A backslash is a letter like any other in DuckDB."""
    from sqlglot import exp

    if isinstance(node.parent, exp.Escape):
        return node
    twice = exp.func("replace", node.expression, exp.Literal.string("\\"), exp.Literal.string("\\\\"))
    text = _text(node.expression)
    return exp.Like(
        this=node.this, expression=twice if text is None else exp.Literal.string(text.replace("\\", "\\\\"))
    )


def _ilike(node: Any) -> Any:
    from sqlglot import exp

    if isinstance(node.parent, exp.Escape):
        raise refused("ILIKE with ESCAPE", "Compare lower(…) with LIKE.")
    return _like(exp.Like(this=_lower(exp.Lower(this=node.this)), expression=_lower(exp.Lower(this=node.expression))))


def _concat(node: Any) -> Any:
    """DuckDB leaves NULL out, and writes numbers as text."""
    from sqlglot import exp

    empty = exp.Literal.string("")
    parts = [exp.func("coalesce", exp.cast(part.copy(), "text"), empty.copy()) for part in node.expressions]
    return exp.Concat(expressions=parts, safe=False, coalesce=False)


def _by_literal(node: Any) -> Any:
    if not _text(node.args.get("delimiter") or node.expression):
        raise refused("Splitting at what is not written out, or at nothing")
    return node


def _substring(node: Any) -> Any:
    if node.args.get("length") is not None and not _count(node.args["start"]):
        raise refused("substring() from a place that is not written out", "Write where it begins, from 1 on.")
    return node


def _counted(node: Any) -> Any:
    if _count(node.expression) is None:
        raise refused("left() or right() of a number of letters that is not written out")
    return node


def _truncated(node: Any) -> Any:
    """Spark gives an instant with a time zone."""
    from sqlglot import exp

    unit = exp.Literal.string(node.text("unit").upper())
    return exp.cast(exp.Anonymous(this="date_trunc", expressions=[unit, node.this]), "TIMESTAMPNTZ")


def _formatted(node: Any) -> Any:
    import re

    text = _text(node.args.get("format"))
    if text is None or set(re.findall("%.?", text)) - _FORMATS or re.search("[A-Za-z']", re.sub("%.", "", text)):
        raise refused("strftime() with this format", "Of %Y %m %d %H %M %S and marks between them.")
    return node


def _percentile(node: Any) -> Any:
    from sqlglot import exp

    ordered = exp.Order(expressions=[exp.Ordered(this=node.this)])
    return exp.WithinGroup(this=exp.PercentileDisc(this=node.expression), expression=ordered)
