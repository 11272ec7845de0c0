"""When Spark does not start, or does not finish, a sentence says why and what to do; nothing is taken for an answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from everywhere import BACKUP, CHECKS, GOOD, POPULATION

from compliancectl import load
from compliancectl.engines.base import Engine, EngineFailed
from compliancectl.engines.spark import arrived
from compliancectl.query.answers import count_answer
from compliancectl.query.bind import Binder, Bound, bind_control, parameter_values

pytestmark = [pytest.mark.spark, pytest.mark.timeout(900)]

ALONE = """\
import sys
from compliancectl.cli import app
sys.exit(app.run(sys.argv[1:]))
"""
GONE = """\
import os, signal
from compliancectl.engines import Settings, open_engine
from compliancectl.engines.base import EngineFailed
from compliancectl.engines.spark_session import failures
from compliancectl.errors import UsageError
from compliancectl.model.table import TEXT, Column, Table
engine = open_engine("spark", Settings(master="local[1]", brief=True))
java = engine.session.sparkContext._gateway.proc
os.kill(java.pid, signal.SIGKILL)
java.wait()
try:
    with failures():
        engine.session.sql("SELECT 1").collect()
except EngineFailed as failed:
    print(failed)
try:
    engine.declare({"test.row": Table("test.row", "Rows.", (Column("resource", TEXT, "Name."),), ("resource",))}, {})
except UsageError as stopped:
    print("stopped:", stopped)
engine.close()
"""


GREEDY = """\
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from conftest import TABLES
from compliancectl import load
from compliancectl.engines import Settings, open_engine
from compliancectl.engines.certify import certify
from compliancectl.evaluate import evaluate
controls = [load.load_control(Path(file)) for file in sys.argv[3:]]
engine = open_engine("spark", Settings(master="local[2]", brief=True))
try:
    certificate = certify(engine, controls, TABLES)
    found = evaluate(Path(sys.argv[2]), controls, TABLES, engine=(engine, certificate))
finally:
    engine.close()
print(json.dumps(found.to_json()))
"""


def java(place: Path, said: str) -> Path:
    """A folder for JAVA_HOME in which `java` says something and ends."""
    program = place / "bin" / "java"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
    program.chmod(0o755)
    return place


OLD = (
    "java.lang.UnsupportedClassVersionError: org/apache/spark/launcher/Main has been compiled by a more recent version"
    " of the Java Runtime (class file version 61.0)"
)
JAVAS: dict[str, tuple[Callable[[Path], Path], str, str]] = {
    "none": (lambda place: place / "nowhere", "there is no Java where JAVA_HOME says", "Install Java 17"),
    "too old": (lambda place: java(place, OLD), "the Java that was found is older than 17", "Install Java 17"),
    "another trouble": (
        lambda place: java(place, "Error: Could not reserve enough space for object heap"),
        "Java ended, and said: Error: Could not reserve enough space",
        "It needs Java 17",
    ),
    "silent": (lambda place: java(place, ""), "Java ended at once, and said nothing", "It needs Java 17"),
}


def certify(tmp_path: Path, *more: str, **environment: str) -> tuple[int, str]:
    """`engines certify spark` in a process of its own, because one process has one Java."""
    command = [sys.executable, "-c", ALONE, "engines", "certify", "spark", "--only", "VUL-04", *more]
    file = tmp_path / "certificate.json"
    done = subprocess.run(
        [*command, "-o", str(file)], env={**os.environ, **environment}, check=False, capture_output=True, text=True
    )
    assert not file.exists()
    return done.returncode, done.stderr


@pytest.mark.parametrize("name", JAVAS)
def test_java_that_does_not_run_spark(tmp_path: Path, name: str) -> None:
    make, what, hint = JAVAS[name]
    code, said = certify(tmp_path, JAVA_HOME=str(make(tmp_path)))
    assert code == 2 and f"error: Spark does not start: {what}" in said and f"hint: {hint}" in said, said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("master", "what"),
    [
        ("local[two]", "local[two] is no master"),
        ("spark://127.0.0.1:9", "no master answers at spark://127.0.0.1:9"),
    ],
)
def test_a_master_that_is_none(tmp_path: Path, master: str, what: str) -> None:
    code, said = certify(tmp_path, "--spark-master", master)
    assert code == 2 and f"error: Spark does not start: {what}" in said and "hint: " in said, said


def test_java_that_ends_midway() -> None:
    done = subprocess.run([sys.executable, "-c", GONE], check=True, capture_output=True, text=True)
    failed, stopped = done.stdout.splitlines()
    assert failed.startswith("Spark did not finish: the Java process is gone.") and "SPARK_DRIVER_MEMORY" in failed
    assert stopped == f"stopped: {failed.rstrip('.')}"
    assert "Traceback" not in done.stderr


def test_too_little_memory_is_said_and_gives_no_verdict(
    tmp_path: Path, write_control: Callable[..., Path], text_of_control: Callable[..., str], run: Any
) -> None:
    """One answer is a list of a gigabyte; after it there is no Java, and the control that comes next is not judged either."""
    rows = [{"resource": f"r{n}", "region": "x" * 100_000 + str(n), "days": n} for n in range(100)]
    run.add("test.database", rows)
    run.finish()
    greedy = (
        "SELECT substr(a.region, 1, 1) AS resource, list(b.region || a.resource ORDER BY b.region || a.resource) AS entries "
        "FROM test.database AS a CROSS JOIN test.database AS b GROUP BY ALL"
    )
    plain, examples = "SELECT d.resource, d.days FROM test.database AS d", [{"given": {"test.database": [GOOD]}}]
    texts = {
        "TST-01": text_of_control(
            greedy,
            {"some": ("array_length(entries) > 0", "{resource}")},
            examples=json.dumps([{**examples[0], "then": {"e": "pass"}}]),
        ),
        "TST-02": text_of_control(
            plain,
            {"kept": ("days >= 0", "{resource}")},
            examples=json.dumps([{**examples[0], "then": {"good": "pass"}}]),
        ).replace("id: TST-01", "id: TST-02", 1),
    }
    files = [str(write_control(text, f"{id}.yaml")) for id, text in texts.items()]
    done = subprocess.run(
        [sys.executable, "-c", GREEDY, str(Path(__file__).parent), str(run.folder), *files],
        env={**os.environ, "SPARK_DRIVER_MEMORY": "512m"}, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, second = json.loads(done.stdout.splitlines()[-1])["controls"]
    for control in (first, second):
        (test,) = control["tests"]
        assert control["outcome"] == "inconclusive" and not any(test["counts"].values())
        assert test["reason"].startswith("Spark did not finish: ") and "SPARK_DRIVER_MEMORY" in test["reason"]
    left = sorted(path.name for path in run.folder.iterdir())
    assert left == ["catalog", "evidence", "results", "run.json"] and not list((run.folder / "results/items").iterdir())


@pytest.fixture
def bound(write_control: Callable[..., Path], text_of_control: Callable[..., str], tables: Any) -> Bound:
    examples = json.dumps([{"given": {"test.database": [GOOD], "test.backup": [BACKUP]}, "then": {"good": "pass"}}])
    control = load.load_control(write_control(text_of_control(POPULATION, CHECKS, examples=examples)))
    now = datetime(2026, 8, 1, tzinfo=UTC)
    binder = Binder(tables)
    (found,) = bind_control(binder, control, parameter_values(control.params, now, (now, now)))
    binder.close()
    return found


def test_evidence_that_spark_cannot_read_gives_no_answer(
    spark: Engine, bound: Bound, tables: Any, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 no table PAR1")
    spark.declare({name: tables[name] for name in bound.tables}, {"test.database": [broken]})
    with pytest.raises(EngineFailed, match=r"Spark did not finish: .*broken\.parquet"):
        spark.answer(bound, tmp_path / "out")


def test_rows_that_another_machine_kept_are_missed(
    spark: Engine, bound: Bound, tables: Any, tmp_path: Path, write_parquet_of: Any
) -> None:
    """Executors elsewhere write where this machine cannot look: as if a file of the answer had stayed there."""
    file = tmp_path / "rows.parquet"
    write_parquet_of("test.database", [{**GOOD, "resource": f"good-{n}"} for n in range(9)], file)
    spark.declare({name: tables[name] for name in bound.tables}, {"test.database": [file]})
    spark.answer(bound, tmp_path / "whole")
    assert count_answer(tmp_path / "whole") == 9
    for part in (tmp_path / "whole").glob("*.parquet"):
        part.unlink()
    with pytest.raises(EngineFailed, match="9 items on Spark, but 0 of them are here"):
        arrived(9, tmp_path / "whole")


def test_an_empty_answer_is_an_answer(spark: Engine, bound: Bound, tables: Any, tmp_path: Path) -> None:
    spark.declare({name: tables[name] for name in bound.tables}, {})
    spark.answer(bound, tmp_path / "none")
    assert list((tmp_path / "none").glob("*.parquet")) and count_answer(tmp_path / "none") == 0
