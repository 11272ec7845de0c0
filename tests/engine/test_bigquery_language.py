"""BigQuery's language: our translation before GoogleSQL's reference implementation, and that before DuckDB."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from bigquery_stand_in import DATASET, PROJECT, BigQueryStandIn
from everywhere import AWKWARD, BACKUP, CHECKS, GOOD, POPULATION
from googlesql import GoogleSql

from compliancectl import load
from compliancectl.engines import Settings, open_engine
from compliancectl.engines.base import Engine
from compliancectl.engines.bigquery_sql import translate
from compliancectl.engines.certify import certify
from compliancectl.evaluate import evaluate
from compliancectl.model.certificate import Certificate
from compliancectl.model.control import Control
from compliancectl.model.lake import ITEM
from compliancectl.query.content import by_item

pytestmark = [pytest.mark.bigquery, pytest.mark.timeout(1800)]

BAD = {
    "resource": "bad \u00e9\u20ac\U0001f512 'quoted' \"twice\" \\n", "region": "europe-west1\n", "public": True, "days": 3,
    "created": "2026-01-01T00:00:00Z", "owners": ["other", None], "networks": [{"name": "all", "value": "0.0.0.0/0"}],
    "settings": {"tls": "NONE"},
}  # fmt: skip
EMPTY = {**GOOD, "resource": "empty", "owners": [], "networks": []}
EXAMPLES = [
    {
        "given": {"test.database": [GOOD, BAD, EMPTY], "test.backup": [BACKUP]},
        "then": {"good": "pass", BAD["resource"]: "fail", "empty": "fail"},
    }
]


@pytest.fixture(scope="module")
def language() -> GoogleSql:
    return GoogleSql()


@pytest.fixture(scope="module")
def service(language: GoogleSql, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BigQueryStandIn]:
    made = BigQueryStandIn(tmp_path_factory.mktemp("bigquery"), language)
    yield made
    made.web.stop()
    assert made.problems == []


@pytest.fixture
def bigquery(service: BigQueryStandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(service.key))
    engine = open_engine("bigquery", Settings(dataset=f"{PROJECT}.{DATASET}", endpoint=service.web.url, retry_s=0.0))
    yield engine
    engine.close()


@pytest.fixture
def control(write_control: Callable[..., Path], text_of_control: Callable[..., str]) -> Callable[..., Control]:
    def make(population: str = POPULATION, checks: Any = CHECKS, examples: Any = EXAMPLES) -> Control:
        return load.load_control(
            write_control(text_of_control(population, checks, examples=json.dumps(examples, ensure_ascii=False)))
        )

    return make


def results(folder: Path) -> dict[str, bytes]:
    """What was judged, without the name of the engine."""
    found = {str(f.relative_to(folder)): f.read_bytes() for f in sorted((folder / "results").rglob("*")) if f.is_file()}
    parsed = json.loads(found["results/results.json"])
    assert parsed.pop("engine")
    return {**found, "results/results.json": json.dumps(parsed).encode()}


def test_a_certified_bigquery_comes_to_the_same_bytes(
    bigquery: Engine, control: Callable[..., Control], run: Any, tables: Any
) -> None:
    rows = [{**GOOD, "resource": f"good-{n}", "days": n} for n in range(40)]
    run.add("test.database", [*rows, BAD, EMPTY, {"resource": "silent"}])
    run.add("test.backup", [{**BACKUP, "resource": f"b{n}", "database": f"good-{n}"} for n in range(0, 40, 2)])
    run.finish()
    here, mine = control(), run.folder.with_name("on-bigquery")
    shutil.copytree(run.folder, mine)
    certificate = certify(bigquery, [here], tables)
    assert certificate.certified == ("TST-01",), certificate.controls[0].differences
    assert certificate.controls[0].worlds > 20
    evaluate(run.folder, [here], tables)
    judged = evaluate(mine, [here], tables, engine=(bigquery, certificate))
    assert judged.engine.startswith("bigquery ") and judged.controls[0].tests[0].counts.total == 43
    assert results(mine) == results(run.folder)
    assert Certificate.model_validate_json((mine / "catalog" / "engine.json").read_bytes()) == certificate


def test_an_answer_that_differs_is_found(bigquery: Engine, control: Callable[..., Control], tables: Any) -> None:
    given = {"test.database": [{**GOOD, "region": "STRASSE"}]}
    made = control(
        checks={"same": ("upper(region) = upper('stra\u00dfe')", "{resource}")}, examples=[{"given": given, "then": {}}]
    )
    found = certify(bigquery, [made], tables)
    assert found.controls[0].differing and found.certified == ()
    assert "on DuckDB" in found.controls[0].differences[0].what


def test_googlesql_finds_the_digest_that_was_sealed(
    bigquery: Engine, service: BigQueryStandIn, tables: Any, laid_out: Any
) -> None:
    file = laid_out("test.database", AWKWARD)
    service.objects = lambda address: file.read_bytes()
    found = bigquery.contents(tables["test.database"], ["gs://larkspur-lake/part-0001.parquet"])
    assert found == by_item([file], ITEM) and sum(content.rows for content in found.values()) == len(AWKWARD)


# -- the same words, the same meaning -----------------------------------------------------------------------------------

A = "(SELECT CAST(NULL AS VARCHAR[]) AS l UNION ALL SELECT [] UNION ALL SELECT ['a', NULL, 'b', 'a'] UNION ALL SELECT [CAST(NULL AS VARCHAR)] UNION ALL SELECT [''] UNION ALL SELECT ['c'])"
T = "(SELECT CAST(NULL AS VARCHAR) AS t UNION ALL SELECT '' UNION ALL SELECT ' a,b ' UNION ALL SELECT 'a' UNION ALL SELECT 'b(1)')"
N = "(SELECT CAST(NULL AS BIGINT) AS n UNION ALL SELECT -7 UNION ALL SELECT 0 UNION ALL SELECT 12)"
S = "(SELECT CAST(NULL AS TIMESTAMP) AS s UNION ALL SELECT TIMESTAMP '2024-02-29 23:59:59' UNION ALL SELECT TIMESTAMP '2026-08-01 00:00:00')"
WORDS = {
    A: """list_contains(l, 'a') | list_sort(l) = ['a', 'a', 'b', NULL] | list_sort(l) <> ['c'] | list_contains(l, NULL) | list_contains(l, 'x') | list_has_any(l, ['a', 'z'])
        list_has_all(l, ['a', 'b']) | list_has_all(['a', 'b', 'c'], l) | array_length(l) | l[1] | l[2] | l[9]
        array_length(list_filter(l, lambda x: x = 'a')) | array_length(list_filter(l, lambda x: x IS NULL)) | array_to_string(l, '-')
        array_to_string(list_transform(l, lambda x: upper(x)), ',') | array_length(list_distinct(l)) | list_sort(l)[1] | list_sort(l)[4]
        list_min(l) | list_max(l) | list_bool_and(list_transform(l, lambda x: x = 'a')) | list_bool_or(list_transform(l, lambda x: x = 'a'))
        array_length(list_concat(l, ['z'])) | array_to_string(l[2:3], ',') | array_length(flatten(list_transform(l, lambda x: [x, 'q'])))
        array_to_string(list_filter(l, lambda x: list_contains(l, x)), ',') | list_filter(l, lambda x: starts_with(x, 'b'))[1]""",
    T: """trim(t) | ltrim(t) | split_part(t, ',', 1) | split_part(t, ',', 2) | array_length(string_split(t, ',')) | contains(t, 'a')
        contains(t, '') | concat(t, '-', t) | concat_ws('-', t, 'z', t) | t || 'x' || 1 | regexp_extract(t, '([a-z])\\((\\d)\\)', 2)
        regexp_extract(t, '[a-z],') | regexp_full_match(t, '[a-z]') | regexp_matches(t, 'A', 'i') | regexp_replace(t, '[a-z]', 'x', 'g')
        least(t, 'b') | greatest(t, 'b') | coalesce(t, 'n') | starts_with(t, 'a') | t LIKE 'a%' | md5(t) | sha256(t) | nullif(t, '')
        try_cast(t AS BIGINT) | try_cast('2026-05-01T18:00:00Z' || left(t, 0) AS TIMESTAMP) | try_cast(t AS TIMESTAMP)
        try_cast('2026-05-01 18:00:00+02:00' || left(t, 0) AS TIMESTAMP) | t IN ('a', NULL) | t NOT IN ('a', 'b') | t IS DISTINCT FROM 'a' | lower(t) | length(t) | replace(t, 'a', 'bb')""",
    N: "n // 5 | n % 5 | CAST(n AS VARCHAR) | 'n' || n | least(n, 3) | greatest(n, NULL) | abs(n) | n BETWEEN 0 AND 12 | coalesce(n, 0) * 2",
    S: """CAST(s AS VARCHAR) | date_trunc('month', s) | date_trunc('week', s) | s + INTERVAL '26' HOUR | s - INTERVAL 1 MONTH | s + to_days(2)
        s + 3 * INTERVAL '1' DAY | CAST(s AS DATE) | strftime(s, '%Y-%m') | s > TIMESTAMP '2026-01-01 00:00:00' | year(s) | s - INTERVAL (5) DAY
        array_length(generate_series(s, s + INTERVAL '3' DAY, INTERVAL '1' DAY)) | array_length(range(s, s + INTERVAL '3' DAY, INTERVAL '1' DAY))""",
}  # fmt: skip
CASES = [
    (table, word.strip()) for table, words in WORDS.items() for line in words.split("\n") for word in line.split(" | ")
]


@pytest.mark.parametrize(("table", "word"), CASES, ids=[word for _, word in CASES])
def test_a_word_means_what_it_means_in_duckdb(language: GoogleSql, table: str, word: str) -> None:
    asked = f"SELECT {word} AS c FROM {table} AS given"
    ours = [row[0] for row in duckdb.execute(asked).fetchall()]
    _, theirs = language.ask(translate(asked))
    assert sorted(map(repr, ours)) == sorted(repr(row[0]) for row in theirs)


GROUPED = """\
string_agg(t, ',' ORDER BY t) | string_agg(DISTINCT t, ',' ORDER BY t) | array_to_string(list(t ORDER BY t), ',')
array_to_string(list(DISTINCT t ORDER BY t), ',') | array_length(list(t ORDER BY t)) | array_length(list(DISTINCT t ORDER BY t))
list(DISTINCT t ORDER BY t)[1] | list(t ORDER BY t)[1] | list(t ORDER BY t DESC)[1] | count(*) FILTER (WHERE t = 'a') | count(t)
count(DISTINCT t) | bool_and(t = 'a') | bool_or(t = 'a') FILTER (WHERE t IS NOT NULL) | max(t) | sum(length(t)) | min(t) FILTER (WHERE t > 'b')
array_to_string(list(t ORDER BY t) FILTER (WHERE t IS NOT NULL AND t <> 'a'), ',') | quantile_disc(length(t), 0.95)
array_to_string(flatten(list(string_split(t, ',') ORDER BY t)), '-')"""


@pytest.mark.parametrize("word", [w.strip() for line in GROUPED.split("\n") for w in line.split(" | ")])
@pytest.mark.parametrize("kept", ["true", "t IS NULL", "false"])
def test_an_aggregate_means_what_it_means_in_duckdb(language: GoogleSql, word: str, kept: str) -> None:
    asked = f"SELECT {word} AS c FROM {T} AS given WHERE {kept}"
    ours = duckdb.execute(asked).fetchall()
    _, theirs = language.ask(translate(asked))
    assert [tuple(row) for row in theirs] == ours


def test_a_field_of_an_entry_does_not_catch_the_name_of_a_column(language: GoogleSql) -> None:
    asked = """
        WITH p(name, entries) AS (VALUES ('x', [{'name': 'x'}, {'name': 'y'}]))
        SELECT array_length(list_filter(p.entries, lambda e: e.name = name)) AS one,
          (SELECT count(*) FROM unnest(p.entries) AS u(e) WHERE u.e.name = name) AS other FROM p"""
    _, theirs = language.ask(translate(asked))
    assert theirs == [list(row) for row in duckdb.execute(asked).fetchall()] == [[1, 1]]
