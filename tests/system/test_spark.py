"""Every shipped control on Spark: certified, and the company judged to the same results as on DuckDB."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from assessment import Assessment

from compliancectl.cli import pipeline
from compliancectl.engines import Settings, open_engine
from compliancectl.engines.certify import certify

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
