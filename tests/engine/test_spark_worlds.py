"""Examples and null probes are asked of Spark together; each comes to what it comes to alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from everywhere import BACKUP, GOOD

from compliancectl import load
from compliancectl.engines import spark_worlds
from compliancectl.engines.base import Engine, World
from compliancectl.engines.translate import matches_once
from compliancectl.query.answers import answer, answer_sql
from compliancectl.query.bind import Binder, Bound, bind_control, parameter_values
from compliancectl.query.examples import Workbench

LATEST = """\
WITH latest AS (SELECT b.database, max(b.location) AS location, count(*) AS copies FROM test.backup AS b GROUP BY b.database)
"""
TOGETHER = {
    "a table": "SELECT d.resource, b.location FROM test.database AS d LEFT JOIN test.backup AS b ON b.database = d.resource",
    "what was counted": (
        LATEST + "SELECT d.resource, l.location, coalesce(l.copies, 0) AS copies "
        "FROM test.database AS d LEFT JOIN latest AS l ON l.database = d.resource"
    ),
    "a join within a join": (
        LATEST + ", known AS (SELECT b.resource, l.copies FROM test.backup AS b LEFT JOIN latest AS l "
        "ON l.database = b.database) SELECT d.resource, k.copies FROM test.database AS d "
        "LEFT JOIN latest AS l ON l.database = d.resource LEFT JOIN known AS k ON k.resource = l.location"
    ),
    "a count of nothing": (
        "WITH all_of AS (SELECT count(*) AS n, max(b.location) AS location FROM test.backup AS b) "
        "SELECT 'all' AS resource, a.n, d.days FROM all_of AS a LEFT JOIN test.database AS d ON d.region = a.location"
    ),
    "a query": (
        "SELECT d.resource, b.n FROM test.database AS d LEFT JOIN "
        "(SELECT x.database, count(*) AS n FROM test.backup AS x GROUP BY ALL) AS b ON b.database = d.resource"
    ),
    "entries of lists": (
        "SELECT d.resource || '/' || o.owner AS resource, b.location FROM test.database AS d "
        "CROSS JOIN unnest(d.owners) AS o(owner) LEFT JOIN test.backup AS b ON b.database = d.resource"
    ),
}
APART = {
    "a full join": "SELECT coalesce(d.resource, b.resource) AS resource FROM test.database AS d FULL JOIN test.backup AS b ON b.database = d.resource",
    "two halves": (
        "SELECT d.resource, b.location FROM test.database AS d LEFT JOIN test.backup AS b ON b.database = d.resource "
        "UNION ALL SELECT 'b/' || b.resource, d.region FROM test.backup AS b LEFT JOIN test.database AS d "
        "ON d.resource = b.database"
    ),
    "every column": (
        "SELECT x.resource, x.location FROM (SELECT d.*, b.location FROM test.database AS d "
        "LEFT JOIN test.backup AS b ON b.database = d.resource) AS x"
    ),
}
OTHER = {**GOOD, "resource": "other", "region": "us-east1", "owners": ["x", "y"]}
SECOND = {**BACKUP, "resource": "b2", "location": "us-east1"}
WORLDS = (
    World("both", {"test.database": [GOOD, OTHER], "test.backup": [BACKUP, SECOND]}),
    World("no backup", {"test.database": [GOOD, OTHER], "test.backup": []}),
    World("no database", {"test.database": [], "test.backup": [BACKUP]}),
    World("nothing", {}),
    World("silent", {"test.database": [{"resource": "good"}], "test.backup": [{**BACKUP, "database": None}, SECOND]}),
)


@pytest.fixture
def bound(write_control: Callable[..., Path], text_of_control: Callable[..., str], tables: Any) -> Callable[..., Bound]:
    def make(population: str) -> Bound:
        text = text_of_control(population, {"named": ("resource <> 'other'", "{resource}")}, examples=json.dumps(GIVEN))
        control, now = load.load_control(write_control(text)), datetime(2026, 8, 1, tzinfo=UTC)
        binder = Binder(tables)
        (found,) = bind_control(binder, control, parameter_values(control.params, now, (now, now)))
        binder.close()
        return found

    return make


GIVEN = [{"given": {"test.database": [GOOD]}, "then": {}}]


@pytest.mark.spark
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", TOGETHER)
def test_worlds_asked_together_are_answered_as_each_alone(
    spark: Any, bound: Callable[..., Bound], tables: Any, name: str
) -> None:
    test = bound(TOGETHER[name])
    found = spark._together(test, tables, WORLDS)
    assert found is not None, "asked together"
    bench = Workbench(tables)
    for world, theirs in zip(WORLDS, found, strict=True):
        (alone,) = spark.worlds(test, tables, [world])
        ours = answer(bench, test, world.rows)
        assert sorted(map(repr, theirs)) == sorted(map(repr, alone)) == sorted(map(repr, ours)), world.name
    bench.close()


@pytest.mark.spark
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", APART)
def test_what_cannot_be_asked_together_is_asked_apart(
    spark: Engine, bound: Callable[..., Bound], tables: Any, name: str
) -> None:
    test = bound(APART[name])
    bench = Workbench(tables)
    for world, theirs in zip(WORLDS, spark.worlds(test, tables, WORLDS), strict=True):
        assert sorted(map(repr, theirs)) == sorted(map(repr, answer(bench, test, world.rows)))  # type: ignore[arg-type]
    bench.close()


@pytest.mark.parametrize("name", APART)
def test_what_spark_would_mix_is_not_asked_together(bound: Callable[..., Bound], name: str) -> None:
    test = bound(APART[name])
    with pytest.raises(spark_worlds.NotTogether):
        spark_worlds.together(test.tables, answer_sql(test), lambda inner: inner)


TEXTS = ("", "a", "aa", "b=", "a=b=c", "a=a", "c|a", "aba", "$a$", "a$a$")


@pytest.mark.parametrize(
    ("pattern", "once"),
    [
        ("^a", True), ("^a*", True), ("=[^=]*$", True), ("a$", True), ("^a|b", False), ("a*$", False), ("[^=]*$", False),
        ("a", False), (r"a\$", False), ("(a|b)$", False), ("a?$", False), ("", False),
    ],
)  # fmt: skip
def test_a_pattern_that_matches_once_matches_nowhere_else(pattern: str, once: bool) -> None:
    assert matches_once(pattern) is once
    most = max(len(re.findall(pattern, text)) for text in TEXTS)
    assert not once or most == 1
