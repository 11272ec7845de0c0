"""Tables in a bucket that an engine reads where they lie: held to the seal there, and judged by only if nothing changed."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import daily
import duckdb
import pytest
from bigquery_stand_in import DATASET, PROJECT, BigQueryStandIn, Refused
from bucket import BUCKET, Bucket
from kms import Kms
from lakes import RUN, Lake, Made, publish

from compliancectl.cli import places
from compliancectl.depot import Place, gcs
from compliancectl.depot.places import open_place
from compliancectl.engines import Settings, open_engine
from compliancectl.engines.certify import certify
from compliancectl.evaluate import evaluate
from compliancectl.model.result import Results
from compliancectl.query.limits import Limits

EPOCH = datetime(1970, 1, 1)
MERGES = f"tables/evidence_source=git/evidence_table=merge/evidence_run={RUN}/"


class Language:
    """In the place of GoogleSQL: groups of digests as they are documented, and what the controls here ask of each row."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "read.parquet"
        self.read: list[bytes] = []
        """Objects that the query at hand is about."""
        self.answered: list[str] = []
        self.meanwhile: Callable[[], object] = lambda: None
        """Called while a test is answered."""

    def prepare(self, sql: str) -> None:
        """Everything is accepted."""

    def ask(self, sql: str) -> tuple[list[tuple[str, str]], list[list[Any]]]:
        rows = [row for data in self.read for row in self._rows(data)]
        self.read.clear()
        if " AS whole" in sql:
            columns = [("item", "STRING"), ("start", "STRING"), ("n", "INT64"), ("whole", "STRING")]
            return columns, _groups(rows)
        if not rows:
            return [("resource", "STRING")], []
        self.answered.append("git.branch" if "protected" in rows[0] else "git.merge")
        self.meanwhile()
        answer = [_branch(row) if "protected" in row else _merge(row) for row in rows]
        return [(name, KINDS[type(value)]) for name, value in answer[0].items()], [list(row.values()) for row in answer]

    def _rows(self, data: bytes) -> list[dict[str, Any]]:
        self.file.write_bytes(data)
        with duckdb.connect() as db:
            found = db.execute(f"SELECT * FROM read_parquet('{self.file}')")
            names = [column[0] for column in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


KINDS = {str: "STRING", bool: "BOOL", int: "INT64", datetime: "DATETIME", type(None): "STRING"}


def _branch(row: dict[str, Any]) -> dict[str, Any]:
    excluded = "archived" if row["archived"] else None
    return {"resource": row["resource"], "protected": row["protected"], "excluded": excluded, "__c0": row["protected"]}


def _merge(row: dict[str, Any]) -> dict[str, Any]:
    named = {name: row[name] for name in ("resource", "merged", "approvals", "title")}
    return {**named, "wanted": 1, "__c0": row["approvals"] >= 1}


def _written(value: Any) -> str:
    match value:
        case None:
            return "n"
        case bool():
            return "t" if value else "f"
        case str():
            return f"{len(value.encode())}:{value}"
        case datetime():
            return f"{(value - EPOCH) // timedelta(microseconds=1)};"
    return f"{value};"


def _groups(rows: list[dict[str, Any]]) -> list[list[Any]]:
    """docs/decisions/0007, steps 1 and 2, once more."""
    groups: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        item = row.pop("evidence_item")
        digest = hashlib.sha256("".join(_written(row[name]) for name in sorted(row)).encode()).hexdigest()
        groups.setdefault((item, digest[:2]), []).append(digest)
    return [
        [item, start, len(digests), hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()]
        for (item, start), digests in groups.items()
    ]


@dataclass
class Stored:
    """A run laid out in a bucket of Cloud Storage, and BigQuery beside it."""

    bucket: Bucket
    service: BigQueryStandIn
    language: Language
    lake: Lake
    url: str
    place: Place
    patch: pytest.MonkeyPatch

    def object(self) -> str:
        """The one object that has the merges."""
        return next(name for name in self.place.objects(MERGES) if name.endswith("part-0001.parquet"))

    def data(self) -> bytes:
        with self.place.open(self.object()) as stream:
            return stream.read()

    def put(self, name: str, data: bytes) -> None:
        """Make an object anew."""
        if name in self.place.objects(name):
            self.place.delete(name)
        self.place.create(name, io.BytesIO(data), len(data), None)

    def judge(self) -> Results:
        """Judge by all controls, with BigQuery's answers."""
        settings = Settings(dataset=f"{PROJECT}.{DATASET}", endpoint=self.service.web.url, retry_s=0.0)
        with self.patch.context() as patch:  # the bucket's front and BigQuery's stand-in know a principal each
            patch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(self.service.key))
            engine = open_engine("bigquery", settings)
        controls = self.lake.made.controls
        try:
            found = certify(engine, controls, daily.TABLES)
            granted = tuple(control.model_copy(update={"differing": 0}) for control in found.controls)
            certificate = found.model_copy(update={"controls": granted})
            self.bucket.asked.clear()
            with places.run_tables(self.url, (engine, daily.TABLES)) as away:
                assert away is not None
                limits = Limits(memory="256MB", threads=1)
                chosen = (engine, certificate)
                return evaluate(self.lake.run, controls, daily.TABLES, limits=limits, engine=chosen, away=away(RUN))
        finally:
            engine.close()

    def merges(self) -> str:
        """Why nothing is known of the merges; everything is of the branches."""
        found = {control.id: control for control in self.judge().controls}
        assert found["TST-01"].outcome == "deviations"
        (test,) = found["TST-02"].tests
        assert test.outcome == "inconclusive" and test.counts.total == 0 and test.reason
        return test.reason


@pytest.fixture
def stored(
    _cloud: tuple[Bucket, Kms], made: Made, lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stored]:
    bucket, tokens = _cloud
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tokens.credentials))
    monkeypatch.setenv(gcs.ENDPOINT_VARIABLE, bucket.url)
    url = f"gs://{BUCKET}/{tmp_path.name}"
    assert publish(made, url) == 0
    place = open_place(url)
    language = Language(tmp_path)
    service = BigQueryStandIn(tmp_path, language)

    def read(address: str) -> bytes:
        language.read.append(bucket.content(address))
        return language.read[-1]

    service.objects = read
    yield Stored(bucket, service, language, lake, url, place, monkeypatch)
    service.web.stop()
    assert service.problems == []


def sent(stored: Stored) -> list[dict[str, Any]]:
    """The configurations of the jobs that BigQuery was asked for."""
    posted = [request for request in stored.service.web.log if request.method == "POST" and "/jobs" in request.path]
    return [json.loads(request.body)["configuration"] for request in posted]


def test_what_lies_in_a_bucket_is_judged_there_to_the_same_results(
    stored: Stored, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = stored.judge()
    was = json.loads((stored.lake.made.run / "results/results.json").read_bytes())
    assert {**found.to_json(), "engine": was["engine"]} == was
    assert not [path for verb, path, _ in stored.bucket.asked if verb == "GET" and not path.endswith("/o")]
    assert not (tmp_path / "cache").exists(), "nothing was copied"
    assert f"{stored.url}: bigquery reads the tables there, and nothing is copied" in capsys.readouterr().err
    jobs = [job for job in sent(stored) if "query" in job]
    assert not [job for job in sent(stored) if "load" in job], "nothing was loaded"
    lying = [
        uri
        for job in jobs
        for about in job["query"].get("tableDefinitions", {}).values()
        for uri in about["sourceUris"]
    ]
    address = stored.place.address(stored.object())
    assert lying.count(address) == 2 and not [uri for uri in lying if "*" in uri], "the digest, and the answer"
    kept = json.loads((stored.lake.run / "catalog/engine-jobs.json").read_bytes())
    assert {job["table"] for job in kept["digests"]} == {"git.branch", "git.merge"}
    named = {job["job"].removeprefix(f"{PROJECT}:EU.") for job in (*kept["jobs"], *kept["digests"])}
    assert named <= set(stored.service.jobs) and len(named) == 4
    generation = stored.place.objects(MERGES)[stored.object()].generation
    assert (
        generation and {"address": address, "bytes": len(stored.data()), "generation": generation} in kept["in_place"]
    )


def changed(data: bytes, sql: str, folder: Path) -> bytes:
    (folder / "old.parquet").write_bytes(data)
    with duckdb.connect() as db:
        text = sql.format(file=f"'{folder}/old.parquet'")
        db.execute(f"COPY ({text}) TO '{folder}/new.parquet' (FORMAT parquet)")
    return (folder / "new.parquet").read_bytes()


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("FROM {file} WHERE resource <> 'm007'", "has 49 rows of git/merges/larkspur, of which 50 were sealed"),
        ("SELECT * REPLACE (2 AS approvals) FROM {file}", "has other rows of git/merges/larkspur than those"),
        ("SELECT * REPLACE (NULL::VARCHAR AS evidence_item) FROM {file}", "does not say in evidence_item"),
    ],
)
def test_what_was_changed_in_the_bucket_is_not_judged_by(stored: Stored, sql: str, said: str, tmp_path: Path) -> None:
    stored.put(stored.object(), changed(stored.data(), sql, tmp_path))
    assert said in stored.merges()
    assert stored.language.answered == ["git.branch"], "of the merges nothing was asked"


def test_compaction_in_the_bucket_changes_nothing(stored: Stored, tmp_path: Path) -> None:
    for half in (0, 1):
        sql = f"FROM {{file}} WHERE hash(resource) % 2 = {half} ORDER BY resource DESC"
        stored.put(f"{MERGES}half-{half}.parquet", changed(stored.data(), sql, tmp_path))
    stored.place.delete(stored.object())
    was = json.loads((stored.lake.made.run / "results/results.json").read_bytes())
    assert {**stored.judge().to_json(), "engine": was["engine"]} == was


def put_back(stored: Stored) -> None:
    """Other rows are there for a moment, and then those of before: the very same bytes."""
    was = stored.data()
    stored.put(stored.object(), b"other rows")
    stored.put(f"{MERGES}part-0001.parquet", was)


MEANWHILE: dict[str, tuple[Callable[[Stored], object], str]] = {
    "put back": (put_back, "was changed while it was read in place"),
    "one more": (lambda stored: stored.put(f"{MERGES}more.parquet", stored.data()), "was changed while it was read"),
    "gone": (lambda stored: stored.place.delete(stored.object()), "was changed while it was read in place"),
    "not to be listed": (lambda stored: setattr(stored.bucket, "refuse_listing", True), "is not known: Cloud Storage"),
}


@pytest.mark.parametrize("name", MEANWHILE)
def test_what_changes_while_it_is_judged_by_gives_no_verdict(stored: Stored, name: str) -> None:
    happens, said = MEANWHILE[name]

    def meanwhile() -> None:
        if stored.language.answered[-1] == "git.merge":
            happens(stored)

    stored.language.meanwhile = meanwhile
    try:
        assert said in stored.merges()
    finally:
        stored.bucket.refuse_listing = False
    assert "git.merge" in stored.language.answered


def test_what_bigquery_may_not_read_is_said_with_the_way_out(stored: Stored) -> None:
    read = stored.service.objects

    def refused(address: str) -> bytes:
        if "merge" in address:
            raise Refused(403, "accessDenied", "Access Denied: storage.objects.get on the bucket")
        return read(address)

    stored.service.objects = refused
    why = stored.merges()
    assert "storage.objects.get" in why and "--copy-tables" in why


def test_a_storage_that_does_not_count_its_objects_is_not_read_in_place(stored: Stored) -> None:
    stored.bucket.uncounted = True
    try:
        found = stored.judge()
    finally:
        stored.bucket.uncounted = False
    assert {control.outcome for control in found.controls} == {"inconclusive"} and not stored.language.answered
    assert "does not say which making of" in (found.controls[0].tests[0].reason or "")


def test_what_an_engine_cannot_read_itself_is_copied_and_that_is_said(
    stored: Stored, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        stored.patch.setenv(name, "x")
    stored.patch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(stored.service.key))
    engine = open_engine("bigquery", Settings(dataset=f"{PROJECT}.{DATASET}", endpoint=stored.service.web.url))
    try:
        with places.run_tables("s3://larkspur-lake/prod", (engine, daily.TABLES)) as away:
            assert away is not None and away(RUN).read_in_place() == ()
    finally:
        engine.close()
    said = "s3://larkspur-lake/prod: bigquery cannot read that itself: the tables are copied"
    assert said in capsys.readouterr().err
