"""Every shipped control on Spark: certified, and the company judged to the same results as on DuckDB."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from assessment import Assessment

from compliancectl.cli import pipeline
from compliancectl.depot.places import open_place
from compliancectl.engines import Settings, open_engine
from compliancectl.engines.certify import certify
from compliancectl.lake import lies_elsewhere
from compliancectl.lake.publish import publish
from compliancectl.seal import archive, keys

pytestmark = [pytest.mark.spark, pytest.mark.timeout(7200)]


def test_the_whole_company_is_judged_alike(
    healthy: Assessment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(healthy.run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "results")
    spark = open_engine("spark", Settings(master="local[2]", brief=True))
    try:
        with capsys.disabled():
            certificate = certify(
                spark,
                healthy.project.selected,
                healthy.project.catalogue.tables,
                progress=lambda name: print(name, end=" ", flush=True),
            )
            print()
            for control in certificate.controls:
                print(f"{control.id:<9} duckdb {control.worlds:>4}  spark {control.worlds - control.differing:>4}")
            worlds = sum(control.worlds for control in certificate.controls)
            print(f"{len(certificate.certified)} of {len(certificate.controls)} controls, {worlds} answers on each")
        assert [c.differences for c in certificate.controls if c.differing] == []
        found = pipeline.evaluate_stage(healthy.project, tmp_path / "run", healthy.results.as_of, (spark, certificate))
    finally:
        spark.close()
    mine, theirs = found.to_json(), healthy.results.to_json()
    assert mine.pop("engine") != theirs.pop("engine")
    assert json.dumps(mine) == json.dumps(theirs)


FROM_A_LAKE = ("BCP-02", "DB-01", "ENC-01", "IAM-01", "LOG-01", "NET-01", "RLS-01", "SDL-01", "SDL-05", "VND-01")
"""Controls that between them read every source."""


def test_a_company_in_a_lake_is_judged_alike(healthy: Assessment, tmp_path: Path) -> None:
    """Sealed, laid out in a folder, and judged there by either engine; the run's folder has no table any more."""
    bundle, lake, runs = tmp_path / "bundle", tmp_path / "lake", (tmp_path / "duckdb", tmp_path / "spark")
    pipeline.bundle_stage(healthy.run, bundle, keys.new_key(tmp_path / "ci").private, None)
    with archive.opened(bundle) as sealed:
        publish(open_place(str(lake)), sealed, bundle)
    chosen = tuple(control for control in healthy.project.selected if control.id in FROM_A_LAKE)
    project = replace(healthy.project, selected=chosen)
    for run in runs:
        shutil.copytree(healthy.run, run)
        shutil.rmtree(run / "results")
        for file in [path for path in run.rglob("*") if path.is_file()]:
            if lies_elsewhere(file.relative_to(run).as_posix()):
                file.unlink()
    spark = open_engine("spark", Settings(master="local[2]", brief=True))
    try:
        engine = (spark, certify(spark, chosen, project.catalogue.tables))
        found = pipeline.evaluate_stage(project, runs[1], healthy.results.as_of, engine, str(lake))
    finally:
        spark.close()
    pipeline.evaluate_stage(project, runs[0], healthy.results.as_of, None, str(lake))
    items = [{file.name: file.read_bytes() for file in (run / "results/items").iterdir()} for run in runs]
    assert items[0] == items[1] and len(items[0]) >= len(chosen)
    mine, theirs = (json.loads((run / "results/results.json").read_bytes()) for run in runs)
    assert mine.pop("engine") != theirs.pop("engine") and mine == theirs
    whole = {control["id"]: control for control in healthy.results.to_json()["controls"]}
    assert {control.id for control in found.controls} == {control.id for control in chosen}
    assert all(control == whole[control["id"]] for control in mine["controls"])
