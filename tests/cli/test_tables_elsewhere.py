"""A project judged from tables that lie elsewhere, by the command line."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb


def test_a_run_is_judged_from_a_lake_as_from_its_own_tables(finished, call, tree, tmp_path: Path) -> None:
    lake, again = tmp_path / "lake", tmp_path / "again"
    assert call("tables", "publish", finished.bundle, lake, "--key", finished.public).code == 0
    (run_id,) = (path.stem for path in (lake / "runs").iterdir())
    assert call("tables", "get", lake, run_id, "-o", again).code == 0
    assert call("tables", "get", lake, run_id, "-o", again).code == 2, "nothing is written over"
    assert not list(again.rglob("*.parquet")) and not list(again.rglob("raw-*"))
    judge = ("evaluate", again / "run", "--scope", finished.scope)
    assert call(*judge).code == 3, "without its tables there is nothing to judge by"
    assert call(*judge, "--tables", lake).code == 0
    assert tree(again / "run/results") == tree(finished.run / "results")
    for file in lake.rglob("*.parquet"):
        new = file.with_name("new")
        with duckdb.connect() as db:
            db.execute(f"COPY (SELECT * FROM '{file}' LIMIT 0) TO '{new}' (FORMAT parquet)")
        new.replace(file)
    said = call(*judge, "--tables", lake)
    assert said.code == 3 and "were sealed" in said.out
    shutil.rmtree(lake)
    assert call(*judge, "--tables", lake).code == 2
