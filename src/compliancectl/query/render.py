"""SQL that writes: an item as one line of RFC 8785 JSON, a finding as a sentence.

Everything is composed inside DuckDB, so that a million items are no loop in Python.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from compliancectl.model.waiver import Waiver
from compliancectl.query.bind import Bound, BoundCheck, finding_parts, type_sql
from compliancectl.query.syntax import quote, text_literal

_SAFE = 2**53 - 1
"""Largest integer that JSON carries exactly everywhere."""

_INTEGERS = {
    "tinyint",
    "smallint",
    "integer",
    "bigint",
    "hugeint",
    "utinyint",
    "usmallint",
    "uinteger",
    "ubigint",
    "uhugeint",
}


_UNITS = (
    "second|minute|hour|day|week|month|year|table|user|owner|key|member|time|row|backup|approval|export|hole|version|sentence|"
    "account|password|change|limit|rule|request|alarm|instance|error|commit|runner|network|character|record|exclusion|way|link|"
    "page|value|check|column"
)
_BEFORE = "automated|deleted|temporary|marked|registered|usable|application|authorised|self-hosted|status"
_UNIT = re.compile(rf" ((?:(?:{_BEFORE}) )?(?:{_UNITS}))s\b")
"""Nouns behind a number in a finding. Word a finding so that no verb depends on the number: there may be but one of them."""

_SPANS = (("day", 86_400), ("hour", 3_600), ("minute", 60))


def judged_sql(bound: Bound, waivers: Sequence[Waiver], answer: str | None = None) -> str:
    """One row per item: the population's columns, each check's status (`__s0` …), and the item's outcome.

    `answer` reads what another engine answered (the population's columns and `__c0` …), in place of asking here.
    """
    states = ",\n".join(f"    {_status(n, check, waivers)} AS __s{n}" for n, check in enumerate(bound.checks))
    return (
        f"WITH {_truths(bound) if answer is None else _answered(bound, answer)},\n"
        f"__states AS (\n  SELECT *,\n{states}\n  FROM __truths\n)\n"
        f"SELECT {_columns(bound)}, {', '.join(f'__s{n}' for n in range(len(bound.checks)))},\n"
        f"  {_outcome(bound)} AS __outcome,\n  {_reason(bound)} AS __reason\nFROM __states"
    )


def _truths(bound: Bound) -> str:
    truths = ",\n".join(f"    (\n{check.sql}\n    ) AS __c{n}" for n, check in enumerate(bound.checks))
    return f"__population AS (\n{bound.sql}\n),\n__truths AS (\n  SELECT *,\n{truths}\n  FROM __population\n)"


def _answered(bound: Bound, answer: str) -> str:
    columns = [f"CAST({quote(name)} AS {type_sql(kind)}) AS {quote(name)}" for name, kind in bound.columns.items()]
    checks = [f"CAST(__c{n} AS BOOLEAN) AS __c{n}" for n in range(len(bound.checks))]
    return f"__truths AS (\n  SELECT {', '.join(columns + checks)}\n  FROM {answer}\n)"


def _columns(bound: Bound) -> str:
    return ", ".join(quote(name) for name in bound.columns)


def _status(number: int, check: BoundCheck, waivers: Sequence[Waiver]) -> str:
    waived = " OR ".join(waives(waiver) for waiver in waivers if check.name in waiver.checks)
    branch = f" WHEN {waived} THEN 'waived'" if waived else ""
    return f"CASE WHEN __c{number} THEN 'pass' WHEN __c{number} IS NULL THEN 'unknown'{branch} ELSE 'fail' END"


def waives(waiver: Waiver) -> str:
    """Whether a waiver names the item: exact resources, or patterns with `*`."""
    exact = sorted(item for item in waiver.items if "*" not in item)
    patterns = sorted(item for item in waiver.items if "*" in item)
    tests = [f"resource IN ({', '.join(text_literal(item) for item in exact)})"] if exact else []
    tests += [f"resource LIKE {text_literal(_like(pattern))} ESCAPE '!'" for pattern in patterns]
    return f"({' OR '.join(tests)})"


def _like(pattern: str) -> str:
    return pattern.replace("!", "!!").replace("%", "!%").replace("_", "!_").replace("*", "%")


def _outcome(bound: Bound) -> str:
    states = ", ".join(f"__s{n}" for n in range(len(bound.checks)))
    excluded = (
        "WHEN trim(excluded) = '' THEN 'unknown' WHEN excluded IS NOT NULL THEN 'excluded' " if bound.excludes else ""
    )
    return (
        f"CASE {excluded}WHEN 'fail' IN ({states}) THEN 'fail' WHEN 'unknown' IN ({states}) THEN 'unknown' "
        f"WHEN 'waived' IN ({states}) THEN 'waived' ELSE 'pass' END"
    )


def _reason(bound: Bound) -> str:
    if not bound.excludes:
        return "CAST(NULL AS VARCHAR)"
    return "CASE WHEN trim(excluded) = '' THEN 'It is excluded without a reason.' ELSE excluded END"


def line_sql(bound: Bound, waivers: Sequence[Waiver]) -> str:
    """An item as a line of canonical JSON, over the columns of `judged_sql`."""
    # Checks and findings are empty when the item is excluded or its record broke the contract.
    judged = "(__reason IS NULL)"
    checks = f"CASE WHEN {judged} THEN {_checks(bound)} ELSE '{{}}' END"
    findings = f"CASE WHEN __outcome <> 'pass' AND {judged} THEN {_findings(bound, waivers)} ELSE '' END"
    # concat, not ||: it builds a line in one go, and no piece of it can be NULL.
    return (
        f"concat('{{\"checks\":', {checks}, ',\"findings\":[', {findings}, '],\"observed\":', {_observed(bound)}, "
        f'\',"outcome":"\', __outcome, '
        f"CASE WHEN __reason IS NULL THEN '\"' ELSE concat('\",\"reason\":', to_json(__reason)) END, "
        f"',\"resource\":', to_json(resource), '}}')"
    )


def canonical_escapes(line: str) -> str:
    """A line with its escapes as RFC 8785 (3.2.2.2) wants them: DuckDB writes the hexadecimal digits in capitals."""
    # An escaped backslash steps aside meanwhile, as a sign that JSON text cannot hold.
    text = f"replace({line}, '\\\\', chr(1))"
    for code in (0x0B, 0x0E, 0x0F, *range(0x1A, 0x20)):
        text = f"replace({text}, '\\u{code:04X}', '\\u{code:04x}')"
    return f"CASE WHEN contains({line}, '\\u00') THEN replace({text}, chr(1), '\\\\') ELSE {line} END"


def _checks(bound: Bound) -> str:
    order = sorted(range(len(bound.checks)), key=lambda n: bound.checks[n].name)
    pairs = ",".join(f'"{bound.checks[n].name}":"\', __s{n}, \'"' for n in order)
    return f"concat('{{{pairs}}}')"


def _findings(bound: Bound, waivers: Sequence[Waiver]) -> str:
    each = [_finding(n, check, bound.columns, waivers) for n, check in enumerate(bound.checks)]
    return f"concat_ws(',', {', '.join(each)})"


def _finding(number: int, check: BoundCheck, columns: Mapping[str, Any], waivers: Sequence[Waiver]) -> str:
    by = _waiver_id(check, waivers)
    waiver = f" || CASE WHEN __s{number} = 'waived' THEN ',\"waiver\":' || to_json({by}) ELSE '' END" if by else ""
    return (
        f'CASE WHEN __s{number} <> \'pass\' THEN \'{{"check":"{check.name}","outcome":"\' || __s{number} '
        f"|| '\",\"sentence\":' || to_json({sentence_sql(number, check, columns)}){waiver} || '}}' END"
    )


def _waiver_id(check: BoundCheck, waivers: Sequence[Waiver]) -> str:
    """The first waiver, by id, that names the item and the check."""
    whens = " ".join(f"WHEN {waives(w)} THEN {text_literal(w.id)}" for w in waivers if check.name in w.checks)
    return f"CASE {whens} END" if whens else ""


def waiver_sql(check: BoundCheck, waivers: Sequence[Waiver]) -> str:
    """The id of the waiver that accepts this check of this item, as SQL; a NULL if there is none."""
    return _waiver_id(check, waivers) or "CAST(NULL AS VARCHAR)"


def sentence_sql(number: int, check: BoundCheck, columns: Mapping[str, Any]) -> str:
    """The finding's sentence with the item's values, or what is not known."""
    said = " || ".join(_said(finding_parts(check.finding), columns))
    missing = ", ".join(f"CASE WHEN {quote(name)} IS NULL THEN '{name}' END" for name in check.columns)
    names = f"concat_ws(', ', {missing})"
    undecided = text_literal(f"Not known: a value inside what this reads is missing: {' '.join(check.expect.split())}")
    unknown = (
        f"CASE WHEN {names} = '' THEN {undecided} ELSE 'Not known: the evidence does not say ' || {names} || '.' END"
    )
    return f"CASE WHEN __s{number} = 'unknown' THEN {unknown} ELSE {said} END"


def _said(parts: Sequence[tuple[str, bool]], columns: Mapping[str, Any]) -> Iterator[str]:
    """The pieces of a sentence; a whole number takes the unit that follows it along."""
    done = 0
    for (piece, is_column), (after, _) in zip(parts, [*parts[1:], ("", False)], strict=True):
        if not is_column:
            yield text_literal(piece[done:])
            done = 0
        elif columns[piece].id in _INTEGERS and (unit := _UNIT.match(after)):
            yield _counted(quote(piece), unit[1])
            done = unit.end()
        else:
            yield _in_words(piece, columns[piece])


def _counted(column: str, unit: str) -> str:
    """`1 table`, `3 tables`; seconds as the longest unit of which they are a whole number: `90 days`."""
    spans = _SPANS if unit == "second" else ()
    whole = " ".join(
        f"WHEN {column} <> 0 AND {column} % {seconds} = 0 THEN {_plural(f'({column} // {seconds})', name)}"
        for name, seconds in spans
    )
    return f"CASE WHEN {column} IS NULL THEN 'not known {unit}s' {whole} ELSE {_plural(column, unit)} END"


def _plural(number: str, unit: str) -> str:
    return f"CAST({number} AS VARCHAR) || CASE WHEN {number} = 1 THEN ' {unit}' ELSE ' {unit}s' END"


def _in_words(name: str, kind: Any) -> str:
    column, id_ = quote(name), kind.id
    if id_ == "varchar":
        words = column
    elif id_ == "timestamp":
        words = f"strftime({column}, '%Y-%m-%d %H:%M UTC')"
    elif id_ == "list" and kind.children[0][1].id not in ("list", "struct"):
        words = f"CASE WHEN array_length({column}) = 0 THEN 'none' ELSE array_to_string({column}, ', ') END"
    elif id_ in ("list", "struct"):
        words = f"CAST(to_json({column}) AS VARCHAR)"
    else:
        words = f"CAST({column} AS VARCHAR)"
    return f"coalesce({words}, 'not known')"


def _observed(bound: Bound) -> str:
    pieces = [
        f"'{'{' if first else ','}\"{_escaped(name)}\":', coalesce({_json(name, bound.columns[name])}, 'null')"
        for name, first in ((name, n == 0) for n, name in enumerate(sorted(bound.columns)))
    ]
    return f"concat({', '.join(pieces)}, '}}')"


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"').replace("'", "''")


def _json(name: str, kind: Any) -> str:
    column, id_ = quote(name), kind.id
    if id_ == "varchar":
        return f"CAST(to_json({column}) AS VARCHAR)"
    if id_ == "boolean":
        return f"CAST({column} AS VARCHAR)"
    if id_ in _INTEGERS:
        text = f"CAST({column} AS VARCHAR)"
        return f"CASE WHEN {column} BETWEEN -{_SAFE} AND {_SAFE} THEN {text} ELSE '\"' || {text} || '\"' END"
    if id_ == "timestamp":
        return f"'\"' || {wire_sql(column, kind)} || '\"'"
    return f"CAST(to_json({wire_sql(column, kind)}) AS VARCHAR)"


def wire_sql(value: str, kind: Any, depth: int = 0) -> str:
    """A value as it goes on the wire: instants as RFC 3339, struct fields sorted, other kinds as text."""
    match kind.id:
        case "varchar" | "boolean":
            return value
        case "timestamp":
            return (
                f"CASE WHEN date_trunc('second', {value}) = {value} THEN strftime({value}, '%Y-%m-%dT%H:%M:%SZ') "
                f"ELSE strftime({value}, '%Y-%m-%dT%H:%M:%S.%fZ') END"
            )
        case "list":
            inner = f"__v{depth}"
            return f"list_transform({value}, lambda {inner}: {wire_sql(inner, kind.children[0][1], depth + 1)})"
        case "struct":
            fields = ", ".join(
                f"{quote(name)} := {wire_sql(f'({value}).{quote(name)}', child, depth)}"
                for name, child in sorted(kind.children)
            )
            return f"CASE WHEN {value} IS NULL THEN NULL ELSE struct_pack({fields}) END"
        case integer if integer in _INTEGERS:
            return value
        case _:
            return f"CAST({value} AS VARCHAR)"
