"""Tables in a bucket: laid out there, copied once to be judged from, and held to what was sealed."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import daily
import duckdb
import pytest
from bucket import BUCKET as GOOGLES
from lakes import RUN, Lake, Made, publish
from s3 import BUCKET as AMAZONS
from s3 import S3

from compliancectl.cli import app, places
from compliancectl.depot import gcs
from compliancectl.depot.places import open_place
from compliancectl.evaluate import evaluate
from compliancectl.query.limits import Limits

MERGES = f"tables/evidence_source=git/evidence_table=merge/evidence_run={RUN}/"


@dataclass
class Stored:
    """A lake in a bucket, and what a test can have go wrong with it."""

    url: str
    deny: Callable[[str], None]
    cut: Callable[[str], None]
    read: Callable[[], list[str]]
    """Objects that were read since it was last asked."""

    def verify(self, lake: Lake) -> int:
        return app.run(["verify", str(lake.bundle), "--key", str(lake.made.public), "--tables", self.url])


@pytest.fixture(scope="module")
def _amazon() -> Iterator[S3]:
    with S3.serving() as server:
        yield server


@pytest.fixture(params=["gs", "s3"])
def stored(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stored:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    prefix = tmp_path.name
    if request.param == "gs":
        bucket, tokens = request.getfixturevalue("_cloud")
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tokens.credentials))
        monkeypatch.setenv(gcs.ENDPOINT_VARIABLE, bucket.url)
        bucket.denied.clear()
        bucket.cut.clear()

        def read() -> list[str]:
            names = [path for verb, path, _ in bucket.asked if verb == "GET" and not path.endswith("/o")]
            bucket.asked.clear()
            return names

        return Stored(
            f"gs://{GOOGLES}/{prefix}",
            lambda name: bucket.denied.add(f"{prefix}/{name}"),
            lambda name: bucket.cut.add(f"{prefix}/{name}"),
            read,
        )
    server: S3 = request.getfixturevalue("_amazon")
    for name, value in server.variables().items():
        monkeypatch.setenv(name, value)
    server.refuse.clear()
    server.cut.clear()

    def asked() -> list[str]:
        names = [name for verb, name in server.asked if verb == "GET" and name]
        server.asked.clear()
        return names

    return Stored(
        f"s3://{AMAZONS}/{prefix}",
        lambda name: server.refuse.update({f"{prefix}/{name}": (403, "AccessDenied", "Access Denied")}),
        lambda name: server.cut.add(f"{prefix}/{name}"),
        asked,
    )


def test_a_lake_in_a_bucket_is_that_of_a_folder(
    made: Made, lake: Lake, stored: Stored, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert publish(made, stored.url) == 0
    assert set(open_place(stored.url).objects()) == {
        path.relative_to(lake.place).as_posix() for path in lake.place.rglob("*") if path.is_file()
    }
    assert publish(made, stored.url) == 0 and "was there already" in capsys.readouterr().out
    assert app.run(["tables", "list", stored.url, "--format", "json"]) == 0
    assert [run["run_id"] for run in json.loads(capsys.readouterr().out)] == [RUN]
    assert app.run(["tables", "get", stored.url, RUN, "-o", str(tmp_path / "got")]) == 0
    assert (tmp_path / "got/bundle/SHA256SUMS").read_bytes() == (lake.bundle / "SHA256SUMS").read_bytes()


def test_it_verifies_and_each_table_is_copied_once(made: Made, lake: Lake, stored: Stored) -> None:
    assert publish(made, stored.url) == 0
    stored.read()
    assert stored.verify(lake) == 0
    assert len([name for name in stored.read() if "parquet" in name]) == 2
    assert stored.verify(lake) == 0
    assert [name for name in stored.read() if "parquet" in name] == []


def test_results_are_those_of_the_bundle(made: Made, lake: Lake, stored: Stored) -> None:
    assert publish(made, stored.url) == 0
    with places.run_tables(stored.url) as away:
        assert away is not None
        limits = Limits(memory="256MB", threads=1)
        evaluate(lake.run, made.controls, daily.TABLES, limits=limits, away=away(RUN))
    assert (lake.run / "results/results.json").read_bytes() == (made.run / "results/results.json").read_bytes()


def test_compaction_in_a_bucket_verifies_and_a_change_does_not(
    made: Made, lake: Lake, stored: Stored, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert publish(made, stored.url) == 0
    assert stored.verify(lake) == 0, "there is a copy of what was there before"
    place = open_place(stored.url)
    for where, code in (("true", 0), ("resource <> 'm001'", 4)):
        for name in place.objects(MERGES):
            place.delete(name)
        for half in (0, 1):
            file = tmp_path / f"{half}.parquet"
            source = f"read_parquet('{lake.partition('git.merge')}/*.parquet', hive_partitioning = false)"
            with duckdb.connect() as db:
                sql = f"SELECT * FROM {source} WHERE hash(resource) % 2 = {half} AND {where} ORDER BY resource DESC"
                db.execute(f"COPY ({sql}) TO '{file}' (FORMAT parquet)")
            data = file.read_bytes()
            place.create(f"{MERGES}half-{half}.parquet", io.BytesIO(data), len(data), None)
        capsys.readouterr()
        assert stored.verify(lake) == code
        assert ("git.merge" in capsys.readouterr().out) is True


@pytest.mark.parametrize("name", [f"{MERGES}part-0001.parquet", f"raw/{RUN}/git/branchs/web/raw-0001.json"])
def test_what_may_not_be_read_is_not_verified(
    made: Made, lake: Lake, stored: Stored, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert publish(made, stored.url) == 0
    stored.deny(name)
    assert stored.verify(lake) == 3
    said = " ".join(capsys.readouterr().out.split())
    assert "NOT VERIFIED" in said and "refuses" in said and "● verified" not in said


@pytest.mark.parametrize("name", [f"{MERGES}part-0001.parquet", f"raw/{RUN}/git/branchs/web/raw-0001.json"])
def test_a_copy_that_broke_off_is_not_taken_for_whole(
    made: Made, lake: Lake, stored: Stored, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert publish(made, stored.url) == 0
    stored.cut(name)
    assert stored.verify(lake) == 3 and "broke off" in " ".join(capsys.readouterr().out.split())
    assert stored.verify(lake) == 0


def test_what_broke_off_in_a_bucket_goes_on(made: Made, lake: Lake, stored: Stored) -> None:
    assert publish(made, stored.url) == 0
    place = open_place(stored.url)
    for name in sorted(place.objects()):
        if name.startswith("runs/") or name.endswith(("web/raw-0001.json", "merge/part-0001.parquet")):
            place.delete(name)
    assert stored.verify(lake) == 3
    assert publish(made, stored.url) == 0 and stored.verify(lake) == 0
