"""Spark in DuckDB's place: asked only with a certificate, and then to the same results, byte for byte."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from everywhere import AWKWARD, BACKUP, CHECKS, GOOD, POPULATION

from compliancectl import load
from compliancectl.engines.base import Engine
from compliancectl.engines.certify import certify
from compliancectl.errors import UsageError
from compliancectl.evaluate import evaluate
from compliancectl.model.certificate import Certificate
from compliancectl.model.control import Control
from compliancectl.model.lake import ITEM
from compliancectl.query.content import by_item

pytestmark = [pytest.mark.spark, pytest.mark.timeout(900)]

BAD = {
    "resource": "bad \u00e9\u20ac 'quoted'", "region": "europe-west1\n", "public": True, "days": 3,
    "created": "2026-01-01T00:00:00Z", "owners": ["other"], "networks": [{"name": "all", "value": "0.0.0.0/0"}],
    "settings": {"tls": "NONE"},
}  # fmt: skip
EXAMPLES = [
    {
        "given": {"test.database": [GOOD, BAD], "test.backup": [BACKUP]},
        "then": {"good": "pass", BAD["resource"]: "fail"},
    }
]


@pytest.fixture
def control(write_control: Callable[..., Path], text_of_control: Callable[..., str]) -> Callable[..., Control]:
    def make(population: str = POPULATION, checks: Any = CHECKS, examples: Any = EXAMPLES) -> Control:
        return load.load_control(write_control(text_of_control(population, checks, examples=json.dumps(examples))))

    return make


def results(folder: Path) -> dict[str, bytes]:
    """What was judged, without the name of the engine."""
    found = {str(f.relative_to(folder)): f.read_bytes() for f in sorted((folder / "results").rglob("*")) if f.is_file()}
    parsed = json.loads(found["results/results.json"])
    assert parsed.pop("engine")
    return {**found, "results/results.json": json.dumps(parsed).encode()}


def test_a_certified_spark_comes_to_the_same_bytes(
    spark: Engine, control: Callable[..., Control], run: Any, tables: Any
) -> None:
    rows = [{**GOOD, "resource": f"good-{n}", "days": n} for n in range(40)]
    run.add("test.database", [*rows, BAD, {"resource": "silent"}])
    run.add("test.backup", [{**BACKUP, "resource": f"b{n}", "database": f"good-{n}"} for n in range(0, 40, 2)])
    run.finish()
    here, mine = control(), run.folder.with_name("on-spark")
    shutil.copytree(run.folder, mine)
    certificate = certify(spark, [here], tables)
    assert certificate.certified == ("TST-01",), certificate.controls[0].differences
    assert certificate.controls[0].worlds > 20
    evaluate(run.folder, [here], tables)
    judged = evaluate(mine, [here], tables, engine=(spark, certificate))
    assert judged.engine.startswith("spark ") and judged.controls[0].tests[0].counts.total == 42
    assert results(mine) == results(run.folder)
    assert Certificate.model_validate_json((mine / "catalog" / "engine.json").read_bytes()) == certificate


@pytest.mark.parametrize(
    "expect",
    [
        "CAST(settings AS VARCHAR) LIKE '{''tls''%'",  # Spark writes a struct without the names of its fields
        "TRY_CAST(region AS BIGINT) = 1000",  # what is not written as a whole number is one only here
    ],
)
def test_an_answer_that_differs_is_found(
    spark: Engine, control: Callable[..., Control], tables: Any, expect: str
) -> None:
    given = {"test.database": [{**GOOD, "region": "1e3"}, BAD]}
    made = control(checks={"same": (expect, "{resource}")}, examples=[{"given": given, "then": {}}])
    found = certify(spark, [made], tables)
    assert found.controls[0].differing and found.certified == ()
    assert "on DuckDB" in found.controls[0].differences[0].what


def test_what_cannot_be_translated_is_refused_with_its_line(
    spark: Engine, control: Callable[..., Control], tables: Any
) -> None:
    population = (
        "SELECT d.region AS resource, list(d.days ORDER BY d.days DESC) AS days FROM test.database AS d GROUP BY ALL"
    )
    made = control(
        population,
        {"some": ("array_length(days) > 0", "{resource}")},
        [{"given": {"test.database": [GOOD]}, "then": {"europe-west1": "pass"}}],
    )
    (entry,) = certify(spark, [made], tables).controls
    assert (
        entry.differing
        and "list() of rows without an order, or downwards cannot be translated" in entry.differences[0].what
    )
    assert f"{made.file}:" in entry.differences[0].where


def test_an_engine_judges_only_what_it_is_certified_for(
    spark: Engine, control: Callable[..., Control], run: Any, tables: Any
) -> None:
    run.add("test.database", [GOOD])
    run.add("test.backup", [BACKUP])
    run.finish()
    certificate = certify(spark, [control()], tables)
    changed = control(checks={**CHECKS, "kept": ("days >= 8", "{resource}")})
    other = certificate.model_copy(update={"engine": "spark 1.0.0"})
    nobody = certificate.model_copy(update={"controls": ()})
    for granted, judged, message in (
        (certificate, changed, "was changed after"),
        (other, control(), "is for the engine spark 1.0.0"),
        (nobody, control(), "is not certified for TST-01"),
    ):
        with pytest.raises(UsageError, match=message):
            evaluate(run.folder, [judged], tables, engine=(spark, granted))
    assert not (run.folder / "results").exists()


def test_what_has_no_example_is_not_certified(
    spark: Engine, control: Callable[..., Control], run: Any, tables: Any
) -> None:
    """A file without examples is refused when it is loaded; who puts a control together by other means meets this."""
    run.add("test.database", [GOOD])
    run.add("test.backup", [BACKUP])
    run.finish()
    whole = control()
    bare = whole.model_copy(update={"tests": tuple(t.model_copy(update={"examples": ()}) for t in whole.tests)})
    certificate = certify(spark, [bare], tables)
    (entry,) = certificate.controls
    assert entry.unexampled == ("private",) and not entry.granted and certificate.certified == ()
    with pytest.raises(UsageError, match="not certified for TST-01: there is no example of private"):
        evaluate(run.folder, [bare], tables, engine=(spark, certificate))
    assert not (run.folder / "results").exists()


def test_documents_are_certified_by_examples_of_the_program(
    spark: Engine, write_control: Callable[..., Path], text_of_control: Callable[..., str], tables: Any
) -> None:
    needs = "evidence:\n  - {kind: restore-drill, subject: all, max_age_days: 365, owner: platform}\n"
    text = text_of_control(POPULATION, CHECKS, examples=json.dumps(EXAMPLES))
    alone, both = (
        certify(spark, [load.load_control(write_control(t))], tables).controls[0] for t in (text, f"{text}\n{needs}")
    )
    assert both.granted and both.worlds >= alone.worlds + 2


def test_spark_finds_the_digest_that_was_sealed(spark: Engine, tables: Any, laid_out: Any) -> None:
    file = laid_out("test.database", AWKWARD)
    found = spark.contents(tables["test.database"], [str(file)])
    assert found == by_item([file], ITEM) and sum(content.rows for content in found.values()) == len(AWKWARD)
