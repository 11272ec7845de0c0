"""Whatever people and sources write: the engine answers, canonically, and never by accident."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from compliancectl import canonical, load
from compliancectl.evaluate import evaluate
from compliancectl.load.document import plain_scalar
from compliancectl.model.control import Control
from compliancectl.query.examples import Workbench

quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
few = settings(
    max_examples=6, phases=[Phase.generate], deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
WORDS = [
    "public",
    "days",
    "region",
    "settings",
    ".",
    "tls",
    "resource",
    "(",
    ")",
    "[",
    "]",
    ",",
    ";",
    "'",
    '"',
    "--",
    "/*",
    "*/",
    "$min_days",
    "$x",
    "?",
    "1",
    "2.5",
    "NULL",
    "true",
    "AND",
    "OR",
    "NOT",
    "IS",
    "IN",
    "=",
    "<",
    ">",
    "+",
    "-",
    "*",
    "/",
    "||",
    "::",
    "SELECT",
    "FROM",
    "test.backup",
    "WHERE",
    "UNION",
    "EXISTS",
    "CASE",
    "WHEN",
    "THEN",
    "END",
    "now()",
    "random()",
    "read_csv('x')",
    "lambda",
    "x",
    ":",
    "->",
    "count(*)",
    "OVER",
    "()",
    "BETWEEN",
    "LIKE",
    "CAST",
    "AS",
    "BIGINT",
    "interval",
    "'1'",
    "day",
    "*",
    "COLUMNS",
]


@pytest.fixture(scope="module")
def bench(tables: dict) -> Iterator[Workbench]:
    made = Workbench(tables)
    yield made
    made.close()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, text_of_control: Any) -> Control:
    folder = tmp_path_factory.mktemp("controls") / "testing"
    folder.mkdir()
    file = folder / "TST-01.yaml"
    population = "SELECT d.* FROM test.database AS d"
    file.write_text(text_of_control(population, {"hidden": ("NOT public", "{resource} is open.")}))
    return load.load_control(file)


def with_check(control: Control, expression: str) -> Control:
    test = control.tests[0]
    check = test.checks[0].model_copy(update={"expect": expression})
    return control.model_copy(update={"tests": (test.model_copy(update={"checks": (check,)}),)})


@quick
@given(expression=st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join))
def test_a_check_of_any_words_is_accepted_as_a_boolean_about_the_item_or_refused(
    expression: str, bench: Workbench, base: Control
) -> None:
    problems = bench.check(with_check(base, expression))
    if not problems:
        for word in (";", "--", "/*", "now()", "random()", "read_csv", "test.backup", "count(*)", "FROM"):
            assert word not in expression.replace("IS DISTINCT FROM", "").replace("IS NOT DISTINCT FROM", "")
    assert all(problem.line and problem.message for problem in problems)


@quick
@given(expression=TEXT)
def test_a_check_of_any_text_is_answered(expression: str, bench: Workbench, base: Control) -> None:
    problems = bench.check(with_check(base, expression or " "))
    assert all(problem.line and problem.message for problem in problems)


ROW = st.fixed_dictionaries(
    {
        "region": st.none() | TEXT,
        "public": st.none() | st.booleans(),
        "days": st.none() | st.integers(-(2**63), 2**63 - 1),
        "created": st.none() | st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)).map(lambda t: t.replace(tzinfo=UTC)),
        "owners": st.none() | st.lists(st.none() | TEXT, max_size=3),
        "settings": st.none() | st.fixed_dictionaries({"tls": st.none() | TEXT, "seen": st.none()}),
        "networks": st.none() | st.lists(st.fixed_dictionaries({"name": TEXT, "value": st.none() | TEXT}), max_size=2),
    }
)  # fmt: skip


@few
@given(given_rows=st.dictionaries(TEXT.filter(lambda name: name.strip(" ") != ""), ROW, min_size=1, max_size=6))
def test_any_rows_become_canonical_lines_that_say_what_the_rows_said(
    given_rows: dict[str, Any], base: Control, tables: dict, run: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    world = type(run)(tmp_path_factory.mktemp("run"))
    world.add("test.database", [{"resource": name, **row} for name, row in given_rows.items()])
    results = evaluate(world.finish(), [base], tables)
    (file,) = (Path(world.folder) / "results" / "items").iterdir()
    lines = file.read_bytes().split(b"\n")
    assert lines.pop() == b"" and len(lines) == len(given_rows)
    for line in lines:
        item = json.loads(line)
        assert canonical.to_bytes(item) == line
        row = given_rows[item["resource"]]
        assert item["outcome"] == {None: "unknown", True: "fail", False: "pass"}[row["public"]]
        seen = item["observed"]
        assert seen["region"] == row["region"] and seen["owners"] == row["owners"]
        assert seen["settings"] == row["settings"] and seen["networks"] == row["networks"]
        assert seen["days"] is None if row["days"] is None else int(seen["days"]) == row["days"]
    assert results.controls[0].tests[0].counts.total == len(given_rows)
    whole = (Path(world.folder) / "results" / "results.json").read_bytes()
    assert canonical.to_bytes(json.loads(whole)) == whole


@quick
@given(text=st.text(max_size=10))
def test_a_plain_scalar_is_a_value_of_the_core_schema_or_the_text_itself(text: str) -> None:
    value = plain_scalar(text)
    assert value is None or isinstance(value, bool | int | float) or value == text
    if text.lower() in ("on", "off", "yes", "no", "y", "n"):
        assert value == text
