"""Spark reads a lake where it lies: a folder, a bucket that it has a connector for, and as anybody's own Spark would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import daily
import pytest
from lakes import MERGES, RUN, Lake, Made, publish
from s3 import BUCKET, S3

from compliancectl.depot.local import LocalPlace
from compliancectl.engines import Settings, open_engine
from compliancectl.engines.certify import certify
from compliancectl.engines.spark import Spark
from compliancectl.evaluate import evaluate
from compliancectl.lake.reading import RunTables
from compliancectl.model.result import Results
from compliancectl.query.limits import Limits

pytestmark = [pytest.mark.spark, pytest.mark.timeout(1800)]
LIMITS = Limits(memory="256MB", threads=1)


@pytest.fixture(scope="module")
def spark() -> Iterator[Spark]:
    engine = open_engine("spark", Settings(master="local[2]", brief=True))
    assert isinstance(engine, Spark)
    yield engine
    engine.close()


def same(found: dict[str, Any], made: Made) -> bool:
    """Whether results are those of the run that was laid out, but for the engine's name."""
    was = json.loads((made.run / "results/results.json").read_bytes())
    assert found["engine"].startswith("spark ") and not was["engine"].startswith("spark ")
    return {**found, "engine": was["engine"]} == was


def test_a_folder_is_judged_where_it_is_to_the_same_bytes(spark: Spark, lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()

    def judged() -> Results:
        scratch = tmp_path / "scratch"
        away = RunTables(LocalPlace(lake.place), "the lake", RUN, copies=scratch, scratch=scratch)
        certificate = certify(spark, lake.made.controls, daily.TABLES)
        chosen = (spark, certificate)
        return evaluate(lake.run, lake.made.controls, daily.TABLES, limits=LIMITS, engine=chosen, away=away)

    assert same(judged().to_json(), lake.made)
    assert not list((tmp_path / "scratch").iterdir()), "nothing was copied"
    for name in sorted((lake.run / "results/items").iterdir()):
        assert name.read_bytes() == (lake.made.run / "results/items" / name.name).read_bytes()
    part = next(lake.partition("git.merge").glob("*.parquet"))
    rows = spark.session.read.parquet(str(part))
    rows.repartition(5).write.parquet(str(tmp_path / "compacted"))  # by Spark itself, as somebody would
    part.unlink()
    for n, file in enumerate(sorted((tmp_path / "compacted").glob("*.parquet"))):
        file.rename(lake.partition("git.merge") / f"part-{n:05}-c000.snappy.parquet")
    assert same(judged().to_json(), lake.made)
    next(lake.partition("git.merge").glob("*.parquet")).unlink()
    test = {control.id: control for control in judged().controls}["TST-02"].tests[0]
    assert test.outcome == "inconclusive" and "were sealed" in (test.reason or "")


def test_any_spark_finds_source_table_and_run_in_the_paths(spark: Spark, lake: Lake) -> None:
    tables = spark.session.read.option("mergeSchema", "true").parquet(str(lake.place / "tables"))
    assert {"evidence_source", "evidence_table", "evidence_run", "evidence_item"} <= set(tables.columns)
    counted = tables.groupBy("evidence_source", "evidence_table", "evidence_run").count().collect()
    assert {tuple(row) for row in counted} == {("git", "branch", RUN, 6), ("git", "merge", RUN, len(MERGES))}
    merges = tables.where(f"evidence_table = 'merge' AND evidence_run = '{RUN}'")
    found = {(row.resource, row.approvals, row.title) for row in merges.collect()}
    assert found == {(row["resource"], row["approvals"], row["title"]) for row in MERGES}


MINE = """\
import json, sys
from pathlib import Path
sys.path[:0] = json.loads(sys.argv[1])
import daily
from compliancectl import load
from compliancectl.cli import places
from compliancectl.engines import Settings, open_engine
from compliancectl.engines.certify import certify
from compliancectl.evaluate import evaluate
controls = tuple(load.load_control(Path(file)) for file in json.loads(sys.argv[2]))
url, run = sys.argv[3], Path(sys.argv[4])
engine = open_engine("spark", Settings(master="local[1]", brief=True))
try:
    certificate = certify(engine, controls, daily.TABLES)
    with places.run_tables(url, (engine, daily.TABLES)) as away:
        evaluate(run, controls, daily.TABLES, engine=(engine, certificate), away=away("run-1"))
finally:
    engine.close()
"""


@pytest.fixture(scope="module")
def service() -> Iterator[S3]:
    with S3.serving() as found:
        yield found


def elsewhere(lake: Lake, place: Path, service: S3, *, connected: bool) -> tuple[str, str]:
    """Judge in a process of its own, as one has one Java; returns the bucket's address, and what was said.

    Spark's connector for `s3a://` is its own file system of mounts: of this bucket, on a folder with the same objects.
    """
    url = f"s3://{BUCKET}/{place.name}"
    (place / "conf").mkdir()
    system = "org.apache.hadoop.fs.viewfs.ViewFileSystemOverloadScheme"
    settings = {
        "fs.s3a.impl": system,
        "fs.viewfs.overload.scheme.target.file.impl": "org.apache.hadoop.fs.LocalFileSystem",
        f"fs.viewfs.mounttable.{BUCKET}.link./{place.name}": f"file://{lake.place}",
    }
    lines = [f"spark.hadoop.{name} {value}\n" for name, value in settings.items()]
    (place / "conf/spark-defaults.conf").write_text("".join(lines) if connected else "")
    support = [str(Path(daily.__file__).parent)]
    controls = [str(lake.made.folder.parent / control.file) for control in lake.made.controls]
    command = [sys.executable, "-c", MINE, json.dumps(support), json.dumps(controls), url, str(lake.run)]
    more = {"SPARK_CONF_DIR": str(place / "conf"), "XDG_CACHE_HOME": str(place / "cache"), **service.variables()}
    done = subprocess.run(command, env={**os.environ, **more}, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return url, done.stderr


@pytest.mark.parametrize("connected", [True, False], ids=["with a connector", "without one"])
def test_a_bucket_is_read_there_if_spark_has_a_connector_for_it(
    made: Made, lake: Lake, service: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, connected: bool
) -> None:
    for name, value in service.variables().items():
        monkeypatch.setenv(name, value)
    assert publish(made, f"s3://{BUCKET}/{tmp_path.name}") == 0
    service.asked.clear()
    url, said = elsewhere(lake, tmp_path, service, connected=connected)
    assert same(json.loads((lake.run / "results/results.json").read_bytes()), made)
    copied = [name for verb, name in service.asked if verb == "GET" and name.endswith(".parquet")]
    jobs = lake.run / "catalog/engine-jobs.json"
    if connected:
        assert f"{url}: spark reads the tables there, and nothing is copied" in said and not copied
        objects = json.loads(jobs.read_bytes())["in_place"]
        assert len(objects) == 2 and all(found["address"].startswith(f"{url}/tables/") for found in objects)
    else:
        assert "spark cannot read that itself: the tables are copied" in said and len(copied) == 2
        assert not jobs.exists()
