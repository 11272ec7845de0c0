"""BigQuery in DuckDB's place, before a stand-in of its API: what goes wrong is said, and nothing is known then."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from bigquery_stand_in import DATASET, PROJECT, BigQueryStandIn, Refused

from compliancectl import load
from compliancectl.engines import Settings, open_engine
from compliancectl.engines.base import Engine
from compliancectl.engines.bigquery_sql import translate
from compliancectl.engines.certify import certify
from compliancectl.errors import UsageError
from compliancectl.evaluate import evaluate
from compliancectl.model.certificate import Certificate
from compliancectl.model.control import Control
from compliancectl.query.rows import gather, write_parquet
from compliancectl.query.syntax import Refused as SqlRefused

CHECKS = {"kept": ("days >= 7", "{resource} keeps {days} days.")}
POPULATION = "SELECT d.resource, d.days FROM test.database AS d"
ROW = {"resource": "one", "days": 9}
EXAMPLES = [{"given": {"test.database": [ROW, {"resource": "two", "days": 3}]}, "then": {"one": "pass", "two": "fail"}}]


class Fixed:
    """Answers every query alike: what is tried here happens before or after."""

    rows: list[list[Any]] = [["one", 9, True], ["two", 3, False]]

    def prepare(self, sql: str) -> None:
        """Everything is accepted."""

    def ask(self, sql: str) -> tuple[list[tuple[str, str]], list[list[Any]]]:
        columns = [("resource", "STRING"), ("days", "INT64"), ("__c0", "BOOL")]
        if "`__world`" in sql:
            return [("__world", "INT64"), *columns], [[0, *row] for row in self.rows]
        return columns, self.rows


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BigQueryStandIn]:
    (tmp_path / "bigquery").mkdir()
    made = BigQueryStandIn(tmp_path / "bigquery", Fixed())
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(made.key))
    yield made
    made.web.stop()
    assert made.problems == []


def settings(service: BigQueryStandIn, **other: Any) -> Settings:
    return Settings(**{"dataset": f"{PROJECT}.{DATASET}", "endpoint": service.web.url, "retry_s": 0.0, **other})


@pytest.fixture
def control(write_control: Callable[..., Path], text_of_control: Callable[..., str]) -> Control:
    return load.load_control(write_control(text_of_control(POPULATION, CHECKS, examples=json.dumps(EXAMPLES))))


def granted(engine: Engine, control: Control, tables: Any) -> Certificate:
    """A certificate as a good certification writes it; the stand-in here would not earn one."""
    found = certify(engine, [control], tables)
    made = tuple(entry.model_copy(update={"differing": 0}) for entry in found.controls)
    return found.model_copy(update={"controls": made})


@pytest.fixture
def judged(service: BigQueryStandIn, control: Control, run: Any, tables: Any) -> Callable[[], Any]:
    def judge() -> Any:
        run.add("test.database", [ROW, {"resource": "two", "days": 3}])
        run.finish()
        engine = open_engine("bigquery", settings(service))
        certificate = granted(engine, control, tables)
        try:
            service.fail, service.broken = dict(service.later_fail), dict(service.later_broken)
            service.lost_rows = service.later_lost
            return evaluate(run.folder, [control], tables, engine=(engine, certificate)).controls[0].tests[0]
        finally:
            service.lost_rows = 0
            engine.close()

    service.later_fail, service.later_broken, service.later_lost = {}, {}, 0  # type: ignore[attr-defined]
    return judge


# -- before anything runs -----------------------------------------------------------------------------------------------


def test_a_dataset_that_is_not_there_is_said(service: BigQueryStandIn) -> None:
    with pytest.raises(UsageError, match=r"cannot be asked \(notFound\)") as found:
        open_engine("bigquery", settings(service, dataset=f"{PROJECT}.other"))
    assert "--bigquery-dataset" in str(found.value.hint)


def test_a_dataset_that_may_not_be_seen_is_said(service: BigQueryStandIn) -> None:
    service.fail["dataset"] = Refused(403, "accessDenied", "Access Denied: Dataset larkspur-audit:scratch")
    with pytest.raises(UsageError, match=r"accessDenied\): Access Denied: Dataset") as found:
        open_engine("bigquery", settings(service))
    assert "roles/bigquery.dataEditor" in str(found.value.hint)


def test_a_dataset_elsewhere_is_refused(service: BigQueryStandIn) -> None:
    with pytest.raises(UsageError, match="is in EU, not in us-central1"):
        open_engine("bigquery", settings(service, location="us-central1"))


@pytest.mark.parametrize("dataset", ["", "scratch", "a.b.c"])
def test_a_dataset_is_named_whole(service: BigQueryStandIn, dataset: str) -> None:
    with pytest.raises(UsageError, match=r"must be PROJECT\.DATASET"):
        open_engine("bigquery", settings(service, dataset=dataset))


def test_nobody_there(service: BigQueryStandIn, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be reached"):
        open_engine("bigquery", settings(service, endpoint="http://127.0.0.1:9"))


def test_no_credentials(service: BigQueryStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json")
    with pytest.raises(UsageError, match="no credentials for BigQuery"):
        open_engine("bigquery", settings(service))


def test_nobody_else_is_asked_about_the_account(service: BigQueryStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """google-auth would look up, in the background, the regions that an account is tied to, at an address of its own."""
    asked: list[str] = []
    resolve = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *more, **named: asked.append(host) or resolve(host, *more, **named)
    )
    open_engine("bigquery", settings(service)).close()
    for thread in threading.enumerate():
        if type(thread).__module__.startswith("google."):
            thread.join()
    assert set(asked) == {"127.0.0.1"}


def test_without_its_library_it_says_what_to_install(service: BigQueryStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.cloud.bigquery", None)
    monkeypatch.delattr("google.cloud.bigquery", raising=False)
    with pytest.raises(UsageError) as found:
        open_engine("bigquery", settings(service))
    assert "compliancectl[bigquery]" in str(found.value.hint)


def test_lists_lie_in_a_file_as_the_query_takes_them_up_again(tmp_path: Path, tables: Any) -> None:
    """A record `list` of records `element`, and instants without a zone: what `stored` counts on."""
    rows, out = tmp_path / "rows.jsonl", tmp_path / "rows.parquet"
    rows.write_text(json.dumps({column.name: None for column in tables["test.database"]} | {"resource": "a"}) + "\n")
    write_parquet(tables["test.database"], rows, out, tmp_path, longest=1000)
    assert gather(tables["test.database"], [out], tmp_path / "one.parquet") == 1
    found = duckdb.execute(f"SELECT name, repetition_type FROM parquet_schema('{tmp_path}/one.parquet')").fetchall()
    place = found.index(("owners", "OPTIONAL"))
    assert found[place : place + 3] == [("owners", "OPTIONAL"), ("list", "REPEATED"), ("element", "OPTIONAL")]


def test_one_who_may_not_query_learns_it_before_anything_runs(
    service: BigQueryStandIn, control: Control, tables: Any
) -> None:
    engine = open_engine("bigquery", settings(service))
    service.fail["dryRun"] = Refused(403, "accessDenied", "Access Denied: User does not have bigquery.jobs.create")
    with pytest.raises(UsageError, match=r"bigquery\.jobs\.create"):
        certify(engine, [control], tables)
    engine.close()


def test_an_engine_without_a_certificate_judges_nothing(
    service: BigQueryStandIn, control: Control, run: Any, tables: Any
) -> None:
    run.add("test.database", [ROW])
    run.finish()
    engine = open_engine("bigquery", settings(service))
    certificate = granted(engine, control, tables)
    for wrong, message in (
        (certificate.model_copy(update={"engine": "bigquery v2 in US"}), "bigquery v2 in US"),
        (certificate.model_copy(update={"controls": ()}), "not certified for TST-01"),
        (certify(engine, [control], tables), r"not certified for TST-01: \d+ of \d+ answers differed"),
    ):
        with pytest.raises(UsageError, match=message):
            evaluate(run.folder, [control], tables, engine=(engine, wrong))
    assert not (run.folder / "results").exists() and not service.tables
    engine.close()


# -- while it runs ------------------------------------------------------------------------------------------------------


def test_a_judgement_keeps_its_jobs_and_leaves_no_table(
    service: BigQueryStandIn, judged: Callable[[], Any], run: Any
) -> None:
    found = judged()
    assert (found.counts.passed, found.counts.failed) == (1, 1)
    (job,) = json.loads((run.folder / "catalog" / "engine-jobs.json").read_bytes())["jobs"]
    assert job["control"] == "TST-01" and job["rows"] == 2 and job["bytes_processed"] == 1048576
    sent = [json.loads(r.body)["configuration"] for r in service.web.log if r.path.endswith("/jobs") and r.method == "POST"
            and not r.path.startswith("/upload")]  # fmt: skip
    ran = [config for config in sent if not config.get("dryRun")]
    assert all(config["query"]["useQueryCache"] is False for config in ran)
    assert all(config["query"]["maximumBytesBilled"] == str(10 * 2**30) for config in ran)
    assert all(config["labels"] == {"made-by": "compliancectl"} for config in sent)
    (patch,) = [json.loads(r.body) for r in service.web.log if r.method == "PATCH"]
    assert patch["labels"] == {"made-by": "compliancectl"} and int(patch["expirationTime"]) > 1_785_542_400_000
    assert job["job"].removeprefix(f"{PROJECT}:EU.") in service.jobs
    assert service.tables == {}


@pytest.mark.parametrize(
    ("kind", "refused", "said"),
    [
        ("query", Refused(403, "quotaExceeded", "Quota exceeded: too many bytes"), "(quotaExceeded): Quota exceeded"),
        ("query", Refused(403, "accessDenied", "Access Denied: Table"), "(accessDenied): Access Denied: Table"),
        ("query", Refused(503, "backendError", "Try later"), "(backendError): Try later"),
        ("load", Refused(403, "accessDenied", "Access Denied: Dataset"), "(accessDenied): Access Denied: Dataset"),
    ],
)
def test_a_job_that_is_refused_makes_the_test_inconclusive(
    service: BigQueryStandIn, judged: Callable[[], Any], kind: str, refused: Refused, said: str
) -> None:
    service.later_fail = {kind: refused}  # type: ignore[attr-defined]
    found = judged()
    assert found.outcome == "inconclusive" and said in found.reason and found.counts.total == 0


@pytest.mark.parametrize(
    ("kind", "error", "said"),
    [
        ("query", Refused(400, "bytesBilledLimitExceeded", "Query exceeded limit"), "--bigquery-max-bytes"),
        ("query", Refused(400, "resourcesExceeded", "Too much memory"), "Too much memory"),
        ("query", Refused(200, "stopped", "Job execution was cancelled"), "was cancelled"),
        ("load", Refused(400, "invalid", "Error while reading data"), "Error while reading data"),
    ],
)
def test_a_job_that_ends_badly_makes_the_test_inconclusive(
    service: BigQueryStandIn, judged: Callable[[], Any], kind: str, error: Refused, said: str
) -> None:
    service.later_broken = {kind: error}  # type: ignore[attr-defined]
    found = judged()
    assert found.outcome == "inconclusive" and said in found.reason and found.counts.total == 0


def test_rows_that_did_not_arrive_are_missed(service: BigQueryStandIn, judged: Callable[[], Any]) -> None:
    service.later_lost = 1  # type: ignore[attr-defined]
    found = judged()
    assert found.outcome == "inconclusive" and "loaded 1 of 2 rows" in found.reason


def test_an_answer_that_was_cut_is_no_answer(service: BigQueryStandIn, judged: Callable[[], Any]) -> None:
    service.lose_answers = 1
    found = judged()
    assert found.outcome == "inconclusive" and "has 2 rows, but 1 arrived" in found.reason


def test_an_answer_of_many_pages_arrives_whole(service: BigQueryStandIn, judged: Callable[[], Any]) -> None:
    service.page = 1
    assert judged().counts.total == 2


# -- what is refused ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("flatten(x)", "flatten()"),
        ("split_part(a, ',', n)", "split_part()"),
        ("list(x ORDER BY y) FILTER (WHERE y > 1)", "lets NULL through"),
        ("regexp_replace(a, 'b', 'c')", "the first match alone"),
        ("regexp_replace(a, '^b|c', 'd')", "the first match alone"),
        ("regexp_replace(a, 'b*$', 'd')", "the first match alone"),
        ("regexp_replace(a, 'b\\$', 'd')", "the first match alone"),
        ("a LIKE b", "LIKE"),
        ("x[n]", "An index"),
        ("strip_accents(a)", "strip_accents()"),
    ],
)
def test_what_has_no_words_in_bigquery_is_refused(expression: str, said: str) -> None:
    with pytest.raises(SqlRefused) as found:
        translate(f"SELECT {expression} AS c FROM test.database")
    assert said in found.value.message and "BigQuery" in found.value.message


def test_a_refusal_names_the_line(
    service: BigQueryStandIn, write_control: Any, text_of_control: Any, tables: Any
) -> None:
    text = text_of_control(
        POPULATION, {"kept": ("strip_accents(resource) = 'one'", "{resource}")}, examples=json.dumps(EXAMPLES)
    )
    made = load.load_control(write_control(text))
    engine = open_engine("bigquery", settings(service))
    (entry,) = certify(engine, [made], tables).controls
    assert entry.differing and f"{made.file}:" in entry.differences[0].where
    assert "strip_accents() cannot be translated for BigQuery" in entry.differences[0].what
    engine.close()
