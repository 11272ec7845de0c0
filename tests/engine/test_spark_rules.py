"""What a control may say, told to Spark: each function means the same on awkward values, or is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compliancectl import load
from compliancectl.engines.base import Engine, World
from compliancectl.query.answers import answer
from compliancectl.query.examples import Workbench, prepared
from compliancectl.query.syntax import Refused

pytestmark = [pytest.mark.spark, pytest.mark.timeout(900)]

TEXTS = [
    "", "a", "ab", "a b", " a\u00a0 ", "\ta", "a\n", "a\r", "a\u000bb", "A", "\u0130\u03a3", "stra\u00dfe", "\u212a", "\u00e9", "-a-", "a-b-c",
    "a\\b", "a%b", "[a]", "a.b", "12", "x]y", "a$", "ab\nab", "_a_", "a\u00e9", "{1}", None,
]  # fmt: skip
LISTS = [[], ["a"], ["a", None], [None], ["b", "a", "b"], ["", "a-b"], None]
PATTERNS = [
    "a$", "^a", "a.", "(^|_)a(_|$)", "a\\sb", "\\ba\\b", "[[:alpha:]]b", "[^a-z]", "(?i)k", "[a\\-]", "[]x]", "[[]a", "a|b$",
    "(?:ab){1,2}", "\\$", "[$]", "a{1}", "\\d+", "\\w$", "\\S", "a.*?b", "\\{", "\\{1\\}", "\\]", "[&a&&b]",
]  # fmt: skip

TEXT = {
    "lower": "lower(region)", "trim": "trim(region)", "ltrim": "ltrim(region)", "trim_of": "trim(region, '-')",
    "length": "length(region)", "left": "left(region, 2)", "right": "right(region, 2)", "cut": "substring(region, 2, 2)",
    "tail": "substring(region, -2)", "replace": "replace(region, 'a', 'xy')", "nothing": "replace(region, '', 'x')",
    "begins": "starts_with(region, 'a')", "ends": "ends_with(region, 'b')", "holds": "contains(region, '-')",
    "at": "strpos(region, 'b')", "part": "split_part(region, '-', 2)", "last": "split_part(region, '-', -1)",
    "parts": "str_split(region, '-')", "both": "region || '/' || resource", "all_of": "concat(region, days, '!')",
    "joined": "concat_ws(' ', region, resource, NULL)", "like": "region LIKE 'a%b'", "slash": "region LIKE 'a\\b'",
    "like_any": "region LIKE region", "ilike": "region ILIKE '\u0130\u03c3'", "sha": "sha256(region)", "md5": "md5(region)",
    "inner": "regexp_extract(region, '(a)(b)')", "group_": "regexp_extract(region, '^(.)(.)', 2)",
    "once": "regexp_replace(region, '^a', 'x')", "at_end": "regexp_replace(region, 'a[^a]*$', 'x')",
    "all_as": "regexp_replace(region, 'a', 'x', 'g')",
    "whole": "regexp_full_match(region, 'a.?|ab')", "least": "least(region, 'b', NULL)", "zero": "chr(0) || region",
    "chosen": "CASE region WHEN 'a' THEN 1 WHEN 'ab' THEN 2 END", "one_of": "region IN ('a', 'ab')", "nullif": "nullif(region, '')",
    "other": "region IS DISTINCT FROM 'a'", "number": "TRY_CAST(nullif(regexp_extract(region, '^[0-9]{1,9}$'), '') AS BIGINT)",
}  # fmt: skip
LIST = {
    "length": "array_length(owners)", "holds": "list_contains(owners, 'a')", "holds_it": "list_contains(owners, region)",
    "all": "list_has_all(owners, ['a'])", "all_of": "list_has_all(['a', 'b', NULL], owners)", "any": "list_has_any(owners, ['a', NULL])",
    "none": "NOT list_has_any(owners, ['x'])", "distinct": "list_sort(list_distinct(owners))", "sorted": "list_sort(owners)",
    "first": "owners[1]", "second": "owners[2]", "last": "owners[-1]", "far": "owners[-3]", "part": "list_slice(owners, 1, 2)",
    "empty": "list_slice(owners, 1, 0)", "rest": "array_slice(owners, 2, 9)", "joined": "array_to_string(owners, ',')",
    "more": "list_concat(owners, ['z'])", "with_": "list_concat(owners, NULL)", "flat": "flatten([owners, NULL, ['z', NULL]])",
    "min": "list_min(owners)", "max": "list_max(owners)", "some": "list_bool_and(list_transform(owners, lambda o: o = 'a'))",
    "one": "list_bool_or(list_transform(owners, lambda o: o = 'a'))", "kept": "list_filter(owners, lambda o: o <> 'a')",
    "inside": "list_filter(owners, lambda o: list_contains(owners, o || '') AND regexp_matches(o, 'a$'))",
    "days": "array_length(generate_series(TIMESTAMP '2026-01-01 00:00:00', created, INTERVAL '1' DAY))",
    "numbers": "generate_series(3, days)", "pair": "{'a': days, 'b': owners}",
}  # fmt: skip
TIME = {
    "day": "date_trunc('day', created)", "month": "date_trunc('month', created)", "year": "year(created)",
    "stamp": "strftime(created, '%Y-%m-%d %H:%M:%S')", "later": "created + INTERVAL '36' HOUR", "days_later": "created + INTERVAL '1' DAY * days",
    "late": "TIMESTAMP '2026-02-01 00:00:00' - created > INTERVAL '26' HOUR", "as_date": "CAST(created AS DATE)",
    "shown": "CAST(created AS VARCHAR)", "between": "created BETWEEN TIMESTAMP '2026-01-01 00:00:00' AND TIMESTAMP '2026-01-31 00:00:00'",
    "whole": "days // 2", "rest": "days % 3", "minus": "-days // 2", "minus_rest": "-days % 3", "size": "abs(-days)",
    "cents": "CAST(days AS DECIMAL(9, 2)) * 1.05", "large": "greatest(days, 3, NULL)", "truth": "CAST(public AS VARCHAR)",
}  # fmt: skip
ROWS = {
    "listed": "SELECT public AS p, list(region ORDER BY region) AS e FROM test.database GROUP BY public",
    "distinct": "SELECT public AS p, list(DISTINCT region ORDER BY region) AS e FROM test.database GROUP BY public",
    "by_two": "SELECT public AS p, list(region ORDER BY days, region NULLS FIRST) AS e FROM test.database GROUP BY public",
    "some": "SELECT public AS p, list(region ORDER BY region) FILTER (WHERE days > 5) AS e FROM test.database GROUP BY public",
    "none": "SELECT public AS p, list(region ORDER BY region) FILTER (WHERE days > 500) AS e FROM test.database GROUP BY public",
    "text": "SELECT public AS p, string_agg(region, '|' ORDER BY region) AS e FROM test.database GROUP BY public",
    "p95": "SELECT public AS p, quantile_disc(days, 0.95) AS e FROM test.database GROUP BY public",
    "p50": "SELECT public AS p, quantile_disc(days, 0.5) AS e FROM test.database GROUP BY public",
    "count": "SELECT public AS p, count(DISTINCT region) + count(region) + count(*) AS e FROM test.database GROUP BY public",
    "sum": "SELECT public AS p, sum(days) AS e FROM test.database GROUP BY public",
    "or": "SELECT public AS p, bool_or(region = 'a') AND NOT bool_and(region = 'a') AS e FROM test.database GROUP BY public",
    "each": "SELECT public AS p, unnest(owners) AS e FROM test.database",
    "beside": "SELECT d.public AS p, u.o AS e FROM test.database AS d, unnest(d.owners) AS u(o)",
    "order": "SELECT public AS p, row_number() OVER (PARTITION BY public ORDER BY region, resource) AS e FROM test.database",
    "before": "SELECT public AS p, lag(days) OVER (ORDER BY region DESC, resource) AS e FROM test.database",
    "chosen": "SELECT public AS p, days AS e FROM test.database QUALIFY row_number() OVER (PARTITION BY public ORDER BY days) = 1",
}  # fmt: skip


@pytest.fixture
def same(
    spark: Engine, tables: Any, write_control: Callable[..., Path], text_of_control: Callable[..., str]
) -> Callable[[str], None]:
    """Holds a population's answer on Spark against DuckDB's, over rows of awkward values."""

    def hold(population: str) -> None:
        created = [None, "2026-01-31T23:59:59.25Z", "2025-12-31T00:00:00Z"]
        rows = [
            {
                "resource": f"r{n:02}", "region": text, "owners": LISTS[n % len(LISTS)], "days": None if n == 4 else n,
                "created": created[n % 3], "public": [True, False, None][n % 3],
            }
            for n, text in enumerate(TEXTS)
        ]  # fmt: skip
        examples = json.dumps([{"given": {"test.database": rows}, "then": {}}])
        text = text_of_control(population, {"named": ("resource IS NOT NULL", "{resource}")}, examples=examples)
        bench = Workbench(tables)
        try:
            ((_, bound, given),) = prepared(bench, load.load_control(write_control(text)))
            spark.declare({name: tables[name] for name in bound.tables}, {})
            (theirs,) = spark.worlds(bound, tables, [World("here", given)])
            assert isinstance(theirs, list), theirs
            ours = answer(bench, bound, given)
            names = [*bound.columns]
            for mine, other in zip(sorted(ours, key=repr), sorted(theirs, key=repr), strict=True):
                assert dict(zip(names, map(repr, other), strict=False)) == dict(
                    zip(names, map(repr, mine), strict=False)
                )
        finally:
            bench.close()

    return hold


@pytest.mark.parametrize("group", [TEXT, LIST, TIME], ids=["text", "list", "time"])
def test_functions_mean_the_same(same: Callable[[str], None], group: dict[str, str]) -> None:
    columns = ", ".join(f"{expression} AS e_{name}" for name, expression in group.items())
    same(f"SELECT resource, {columns} FROM test.database")


def test_patterns_match_the_same_texts(same: Callable[[str], None]) -> None:
    columns = ", ".join(f"regexp_matches(region, '{pattern}') AS e{n}" for n, pattern in enumerate(PATTERNS))
    same(f"SELECT resource, {columns} FROM test.database")


def test_a_pattern_that_data_brings_means_the_same_or_stops(same: Callable[[str], None]) -> None:
    listed = "list_filter(['a$', '(?i)A', '^a.b=', 'a|b'], lambda p: regexp_matches(region, split_part(p, '=', 1)))"
    same(f"SELECT resource, {listed} AS found FROM test.database")
    with pytest.raises(AssertionError, match="a pattern that the evidence"):
        same(
            "SELECT resource, list_filter(['[[:alpha:]]'], lambda p: regexp_matches(region, p)) AS found FROM test.database"
        )


@pytest.mark.parametrize("name", ROWS)
def test_rows_come_together_alike(same: Callable[[str], None], name: str) -> None:
    same(f"SELECT coalesce(CAST(p AS VARCHAR), '?') AS resource, e FROM ({ROWS[name]}) AS x")


@pytest.mark.parametrize(
    "expression",
    [
        "upper(region)", "strip_accents(region)", "typeof(region)", "levenshtein(region, 'a')", "reverse(region)",
        "regexp_replace(region, 'a', 'x')", "regexp_replace(region, 'a*$', 'x')", "regexp_replace(region, '^a|b', 'x')",
        "regexp_matches(region, 'a', 'i')", "regexp_matches(region, '\\pL')",
        "regexp_matches(region, '[[:punct:]]')", "owners[days]", "owners[0]", "list_sort(owners, 'DESC')",
        "list_slice(owners, days, 2)", "list_filter(owners, lambda o, n: n > 1)", "strftime(created, '%j')",
        "left(region, -1)", "substring(region, 0, 2)", "str_split(region, '')", "list_position(owners, 'a')",
        "date_part('week', created)", "range(3)",
    ],
)  # fmt: skip
def test_what_may_mean_something_else_is_refused(spark: Engine, expression: str) -> None:
    with pytest.raises(Refused, match=r"cannot be translated for Spark|not known to mean the same"):
        spark.translate(f"SELECT {expression} FROM test.database")
