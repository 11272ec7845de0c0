"""Tables elsewhere: laid out once, judged from there to the same results, and held to what was sealed of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import daily
import duckdb
import pytest
from lakes import BRANCHES, MERGES, RUN, Lake, Made, publish
from schema import faults

from compliancectl import canonical, plugins
from compliancectl.cli import app
from compliancectl.depot.local import LocalPlace
from compliancectl.evaluate import evaluate
from compliancectl.lake.reading import RunTables
from compliancectl.model.result import Results
from compliancectl.query.limits import Limits
from compliancectl.seal.container import Folder


def files(place: Path) -> dict[str, str]:
    return {
        path.relative_to(place).as_posix(): canonical.sha256_file(path) for path in place.rglob("*") if path.is_file()
    }


def asked(sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as db:
        return db.execute(sql).fetchall()


def test_a_run_is_laid_out_by_source_table_and_run(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    statement = canonical.sha256_file(lake.bundle / "seal/statement.json")
    assert set(files(lake.place)) == {
        f"tables/evidence_source=git/evidence_table=branch/evidence_run={RUN}/part-0001.parquet",
        f"tables/evidence_source=git/evidence_table=merge/evidence_run={RUN}/part-0001.parquet",
        *(f"raw/{RUN}/git/branchs/{target}/raw-0001.json" for target in BRANCHES),
        f"bundles/{RUN}-{statement[:12]}.zip",
        f"runs/{RUN}.json",
    }
    assert app.run(["tables", "list", str(lake.place), "--format", "json"]) == 0
    (run,) = json.loads(capsys.readouterr().out)
    assert faults("lake-run", run) == []
    assert run["tables"] == {"git.branch": {"rows": 6, "items": 3}, "git.merge": {"rows": 50, "items": 1}}
    assert run["run_sha256"] == canonical.sha256_file(lake.made.run / "run.json")
    assert app.run(["tables", "list", str(lake.place)]) == 0
    assert "2 tables, 56 rows" in capsys.readouterr().out


def test_other_programs_read_all_runs_of_a_table_at_once(lake: Lake) -> None:
    """With the names in the path as columns, which are none of a table's own."""
    found = asked(
        f"SELECT evidence_run, evidence_item, count(*) FROM read_parquet('{lake.place}/tables/*/*/*/*.parquet', "
        "union_by_name = true, hive_partitioning = true) WHERE evidence_table = 'branch' GROUP BY ALL ORDER BY ALL"
    )
    assert found == [(RUN, "git/branchs/app", 5), (RUN, "git/branchs/web", 1)]


def test_no_table_has_a_column_that_could_be_taken_for_one_of_these() -> None:
    tables = plugins.all_tables()
    assert len(tables) > 50
    assert not [c.name for table in tables.values() for c in table if c.name.lower().startswith("evidence_")]


def test_what_is_there_is_left_as_it_is(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(lake.place)
    assert publish(lake.made, lake.place) == 0
    assert "was there already" in capsys.readouterr().out and files(lake.place) == before
    compacted(lake, "git.merge", MANY)
    before = files(lake.place)
    assert publish(lake.made, lake.place) == 0 and files(lake.place) == before


def test_what_broke_off_goes_on(lake: Lake) -> None:
    """Whatever was made before the end: the record of the run is the last thing that is written."""
    whole = files(lake.place)
    for left in range(0, len(whole) - 1, 2):
        for name in [f"runs/{RUN}.json", *sorted(whole)[left:]]:
            (lake.place / name).unlink(missing_ok=True)
        assert lake.verify() == 3, "until it is all there, nothing is said of it"
        (lake.partition("git.merge") / ".new-3f").write_bytes(b"half of a pa")
        assert publish(lake.made, lake.place) == 0
        assert {name: digest for name, digest in files(lake.place).items() if ".new" not in name} == whole
    assert lake.verify() == 0


@pytest.mark.parametrize("name", ["tables", "raw", "runs"])
def test_something_else_in_its_place_is_never_overwritten(
    lake: Lake, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = sorted(files(lake.place))
    victim = next(lake.place / file for file in whole if file.startswith(name))
    if name != "runs":
        (lake.place / f"runs/{RUN}.json").unlink()
    if name == "tables":
        change(victim, "SELECT * FROM {file} LIMIT 3")
    else:
        victim.write_bytes(b'{"version": 1}')
    before = files(lake.place)
    assert publish(lake.made, lake.place) == 2
    assert "lies" in capsys.readouterr().err
    assert {name: digest for name, digest in files(lake.place).items() if name in before} == before
    assert f"runs/{RUN}.json" not in files(lake.place) or name == "runs"


def test_a_part_too_many_is_not_taken_for_one_of_ours(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    (lake.place / f"runs/{RUN}.json").unlink()
    folder = lake.partition("git.merge")
    shutil.copy(folder / "part-0001.parquet", folder / "part-0002.parquet")
    assert publish(lake.made, lake.place) == 2 and "something else lies at" in capsys.readouterr().err


def test_the_same_run_sealed_again_adds_its_seal_alone(lake: Lake, tmp_path: Path) -> None:
    run = Path(shutil.copytree(lake.made.run, tmp_path / "run"))
    results = json.loads((run / "results/results.json").read_bytes())
    results["tool_version"] = "9.9.9"
    (run / "results/results.json").write_bytes(canonical.to_bytes(results))
    again = tmp_path / "again.zip"
    command = ["bundle", str(run), "-o", str(tmp_path / "again"), "--zip", str(again), "--key", str(lake.made.private)]
    assert app.run(command) == 0
    before = files(lake.place)
    assert app.run(["tables", "publish", str(again), str(lake.place), "--key", str(lake.made.public)]) == 0
    (new,) = files(lake.place).keys() - before.keys()
    assert new.startswith(f"bundles/{RUN}-")
    get = ["tables", "get", str(lake.place)]
    assert app.run([*get, RUN, "-o", str(tmp_path / "got")]) == 2
    assert app.run([*get, Path(new).stem, "-o", str(tmp_path / "got")]) == 0
    assert json.loads((tmp_path / "got/bundle/results/results.json").read_bytes())["tool_version"] == "9.9.9"


# -- verify -----------------------------------------------------------------------------------------------------------


def change(file: Path, sql: str) -> None:
    new = file.with_name("new")
    with duckdb.connect() as db:
        db.execute(
            f"COPY ({sql.format(file=f'''read_parquet('{file}', hive_partitioning = false)''')}) TO '{new}' (FORMAT parquet)"
        )
    new.replace(file)


ONE = ("part-00000-9f3c.snappy.parquet", "SELECT * FROM {all} ORDER BY hash({key})", "ROW_GROUP_SIZE 2048")
MANY = ("c-{n}.parquet", "SELECT * FROM {all} WHERE hash({key}) % 7 = {n} ORDER BY {key} DESC", "COMPRESSION gzip")
COLUMNS = ("other.parquet", "SELECT {key}, * EXCLUDE ({key}) FROM {all}", "COMPRESSION zstd")
WIDER = (
    "zone.parquet",
    "SELECT * REPLACE (merged AT TIME ZONE 'UTC' AS merged, approvals::INTEGER AS approvals) FROM {all}",
    "COMPRESSION snappy",
)


def compacted(lake: Lake, table: str, how: tuple[str, str, str]) -> None:
    """Write a table's files anew, as somebody else would, and remove the old ones."""
    folder, (name, sql, options) = lake.partition(table), how
    old = sorted(folder.glob("*.parquet"))
    source = f"read_parquet('{folder}/*.parquet', hive_partitioning = false)"
    with duckdb.connect() as db:
        for n in range(7 if "{n}" in name else 1):
            target = folder / f".{n}"
            text = sql.format(all=source, n=n, key="resource")
            db.execute(f"COPY ({text}) TO '{target}' (FORMAT parquet, {options})")
    for file in old:
        file.unlink()
    for n in range(7 if "{n}" in name else 1):
        (folder / f".{n}").rename(folder / name.format(n=n))
    (folder / "_SUCCESS").touch()
    (folder / "._SUCCESS.crc").write_bytes(b"crc\x00")


def test_a_bundle_whose_tables_lie_elsewhere_verifies(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    assert lake.verify() == 0
    said = capsys.readouterr().out
    assert "56 rows say what was sealed, and 3 replies are unaltered: git.branch, git.merge" in said
    assert "7 elsewhere" in said
    plain = ["verify", str(lake.bundle), "--key", str(lake.made.public)]
    assert app.run(plain) == 4 and "--tables" in capsys.readouterr().out
    assert app.run([*plain, "--subset"]) == 3
    capsys.readouterr()
    assert lake.verify("--format", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert faults("verification", found) == [] and (found["present"], found["elsewhere"]) == (15, 7)


def test_a_whole_bundle_may_be_asked_too(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["verify", str(lake.made.archive), "--key", str(lake.made.public), "--tables", str(lake.place)]
    assert app.run(command) == 0 and "Nothing of this bundle lies elsewhere" in capsys.readouterr().out


@pytest.mark.parametrize("how", [ONE, MANY, COLUMNS, WIDER], ids=["one", "many", "columns", "wider"])
def test_compaction_changes_nothing(lake: Lake, how: tuple[str, str, str]) -> None:
    compacted(lake, "git.merge", how)
    if how is not WIDER:
        compacted(lake, "git.branch", how)
    assert lake.verify() == 0


def first(lake: Lake, table: str) -> Path:
    return next(iter(sorted(lake.partition(table).glob("*.parquet"))))


def of(table: str, sql: str) -> Callable[[Lake], None]:
    return lambda lake: change(first(lake, table), sql)


TAMPERED: dict[str, tuple[Callable[[Lake], object], str]] = {
    "a row is missing": (of("git.merge", "SELECT * FROM {file} WHERE resource <> 'm007'"), "git.merge"),
    "a row is added": (
        of("git.merge", "FROM {file} UNION ALL (SELECT * REPLACE ('m999' AS resource) FROM {file} LIMIT 1)"),
        "git.merge",
    ),
    "a row is doubled": (
        of("git.merge", "FROM {file} UNION ALL FROM {file} WHERE resource = 'm007'"),
        "git.merge",
    ),
    "all rows are doubled": (
        lambda lake: shutil.copy(first(lake, "git.merge"), lake.partition("git.merge") / "z.parquet"),
        "git.merge",
    ),
    "a value is changed": (
        of(
            "git.branch",
            "SELECT * REPLACE (coalesce(protected OR resource = 'app/3', protected) AS protected) FROM {file}",
        ),
        "git.branch",
    ),
    "NULL became a value": (
        of("git.branch", "SELECT * REPLACE (coalesce(archived, false) AS archived) FROM {file}"),
        "git.branch",
    ),
    "a row is another item's": (
        of(
            "git.branch",
            "SELECT * REPLACE (if(resource = 'app/3', 'git/branchs/web', evidence_item) AS evidence_item) FROM {file}",
        ),
        "git.branch",
    ),
    "an item that had no rows has one": (
        of("git.branch", "FROM {file} UNION ALL SELECT 'more', true, false, 'git/branchs/none'"),
        "git/branchs/none",
    ),
    "an item that the run does not have": (
        of("git.branch", "FROM {file} UNION ALL SELECT 'more', true, false, 'git/branchs/other'"),
        "git/branchs/other",
    ),
    "a column is gone": (of("git.merge", "SELECT * EXCLUDE (title) FROM {file}"), "git.merge"),
    "a column is added": (of("git.merge", "SELECT *, true AS good FROM {file}"), "git.merge"),
    "a type is another": (
        of("git.merge", "SELECT * REPLACE (approvals::VARCHAR AS approvals) FROM {file}"),
        "git.merge",
    ),
    "no row says whose it is": (of("git.merge", "SELECT * EXCLUDE (evidence_item) FROM {file}"), "git.merge"),
    "the partition is gone": (lambda lake: shutil.rmtree(lake.partition("git.merge")), "git.merge"),
    "a file is cut": (
        lambda lake: first(lake, "git.merge").write_bytes(first(lake, "git.merge").read_bytes()[:-30]),
        "git.merge",
    ),
    "a reply is altered": (
        lambda lake: (lake.place / f"raw/{RUN}/git/branchs/web/raw-0001.json").write_bytes(b"{}"),
        "git/branchs/web/raw-0001.json",
    ),
    "a reply is gone": (
        lambda lake: (lake.place / f"raw/{RUN}/git/branchs/web/raw-0001.json").unlink(),
        "git/branchs/web/raw-0001.json",
    ),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_what_was_changed_elsewhere_does_not_verify_and_is_named(
    lake: Lake, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tamper, named = TAMPERED[name]
    tamper(lake)
    assert lake.verify() == 4
    said = capsys.readouterr().out
    assert named in said and "step 17" in said


def linked(lake: Lake) -> None:
    file = first(lake, "git.merge")
    file.rename(lake.place / "aside")
    file.symlink_to(lake.place / "aside")


UNREAD: dict[str, tuple[Callable[[Lake], object], str]] = {
    "a file may not be read": (linked, "cannot be read"),
    "the run is not there whole": (lambda lake: (lake.place / f"runs/{RUN}.json").unlink(), "not all of it"),
    "nothing is there": (lambda lake: (shutil.rmtree(lake.place), lake.place.mkdir()), f"has no run {RUN}"),
}


@pytest.mark.parametrize("name", UNREAD)
def test_what_cannot_be_read_is_not_verified(lake: Lake, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    spoil, said = UNREAD[name]
    spoil(lake)
    assert lake.verify() == 3
    found = " ".join(capsys.readouterr().out.split())
    assert said in found and "not fully established" in found and "● verified" not in found


def test_what_else_is_missing_is_missing(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    (lake.bundle / "results/results.json").unlink()
    assert lake.verify() == 4 and "are missing: results/results.json" in capsys.readouterr().out


def test_a_lake_that_is_none_is_said(lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["verify", str(lake.bundle), "--tables"]
    assert app.run([*command, str(tmp_path / "nowhere")]) == 2 and "is not a folder" in capsys.readouterr().err
    assert app.run([*command, "ftp://x/y"]) == 2 and "cannot be opened" in capsys.readouterr().err
    assert app.run(["verify", str(lake.place), "--tables", str(lake.place)]) == 2


def test_a_record_that_says_something_else_is_no_bug(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    (lake.place / f"runs/{RUN}.json").write_text('{"run_id": 7}')
    assert lake.verify() == 4 and f"runs/{RUN}.json is not the record of a run" in capsys.readouterr().out
    assert app.run(["tables", "list", str(lake.place)]) == 4 and "is not the record of a run" in capsys.readouterr().err


# -- older evidence ---------------------------------------------------------------------------------------------------


@pytest.fixture
def older(made: Made, tmp_path: Path) -> Path:
    """A bundle as it was sealed before content had digests."""
    run = Path(shutil.copytree(made.run, tmp_path / "older"))
    digests = {}
    for path in sorted(run.glob("evidence/*/*/*/item.json")):
        item = json.loads(path.read_bytes())
        for table in item["tables"]:
            del table["content_sha256"]
        path.write_bytes(canonical.to_bytes(item))
        digests[item["id"]] = canonical.sha256_file(path)
    record = json.loads((run / "run.json").read_bytes()) | {"evidence": digests}
    (run / "run.json").write_bytes(canonical.to_bytes(record))
    evaluate(run, made.controls, daily.TABLES)
    out = tmp_path / "older-bundle"
    assert app.run(["bundle", str(run), "-o", str(out), "--key", str(made.private)]) == 0
    return out


def test_an_older_bundle_verifies_and_is_not_laid_out(
    older: Path, lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = ["--key", str(lake.made.public)]
    assert app.run(["verify", str(older), *key]) == 0
    assert app.run(["tables", "publish", str(older), str(tmp_path / "new"), *key]) == 3
    assert "without a digest of what its rows say" in capsys.readouterr().err and not (tmp_path / "new").exists()
    for path in older.rglob("*.parquet"):
        path.unlink()
    assert app.run(["verify", str(older), *key, "--tables", str(lake.place)]) == 3
    assert "no digest of the content of" in " ".join(capsys.readouterr().out.split())


# -- evaluate ---------------------------------------------------------------------------------------------------------


def judged(lake: Lake, scratch: Path) -> Results:
    scratch.mkdir(exist_ok=True)
    away = RunTables(LocalPlace(lake.place), "the lake", RUN, copies=scratch, scratch=scratch)
    limits = Limits(memory="256MB", threads=1)
    return evaluate(lake.run, lake.made.controls, daily.TABLES, limits=limits, away=away)


def results(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted((folder / "results").rglob("*"))
        if path.is_file()
    }


def test_results_are_those_of_the_bundle_byte_for_byte(lake: Lake, tmp_path: Path) -> None:
    assert not list(lake.run.rglob("*.parquet"))
    judged(lake, tmp_path / "scratch")
    assert results(lake.run) == results(lake.made.run)
    assert not list((tmp_path / "scratch").iterdir()), "the files are read where they are"
    for table in ("git.merge", "git.branch"):
        compacted(lake, table, MANY)
    judged(lake, tmp_path / "sorted")
    assert results(lake.run) == results(lake.made.run)
    assert len(list((tmp_path / "sorted").iterdir())) == 2, "what lies in another order is sorted once"


@pytest.mark.parametrize(
    "name",
    [
        "a row is missing",
        "a value is changed",
        "an item that the run does not have",
        "no row says whose it is",
        "the partition is gone",
        "a file is cut",
    ],
)
def test_what_was_changed_is_not_judged_by(lake: Lake, name: str, tmp_path: Path) -> None:
    tamper, named = TAMPERED[name]
    tamper(lake)
    found = {control.id: control for control in judged(lake, tmp_path / "scratch").controls}
    id = "TST-02" if "merge" in named else "TST-01"
    (test,) = found[id].tests
    assert test.outcome == "inconclusive" and named in (test.reason or "")
    other = "TST-01" if id == "TST-02" else "TST-02"
    assert found[other].outcome == "deviations", "the other table is as it was"


def test_what_cannot_be_read_is_not_judged_by(lake: Lake, tmp_path: Path) -> None:
    linked(lake)
    found = {control.id: control for control in judged(lake, tmp_path / "scratch").controls}
    assert found["TST-02"].outcome == "inconclusive" and "cannot be read" in (found["TST-02"].tests[0].reason or "")
    assert found["TST-01"].outcome == "deviations"


def test_many_items_are_cut_into_parts(made: Made, tmp_path: Path) -> None:
    from compliancectl.lake.publish import publish as lay_out

    lay_out(LocalPlace(tmp_path / "lake"), Folder(made.folder), made.folder, part_bytes=1)
    folder = tmp_path / f"lake/tables/evidence_source=git/evidence_table=branch/evidence_run={RUN}"
    assert sorted(path.name for path in folder.iterdir()) == ["part-0001.parquet", "part-0002.parquet"]
    rows = asked(f"SELECT count(*) FROM read_parquet('{tmp_path}/lake/tables/*/evidence_table=merge/*/*.parquet')")
    assert rows == [(len(MERGES),)]


def test_rows_that_are_not_what_was_sealed_are_not_laid_out(made: Made, tmp_path: Path) -> None:
    """Bytes that were sealed beside another digest of their content: the bundle verifies, and nothing is made of it."""
    from compliancectl.errors import NotReadyError
    from compliancectl.lake.publish import publish as lay_out

    bundle = Path(shutil.copytree(made.folder, tmp_path / "bundle"))
    item = bundle / "evidence/git/merges/larkspur/item.json"
    said = json.loads(item.read_bytes())
    said["tables"][0]["content_sha256"] = "0" * 64
    item.write_bytes(canonical.to_bytes(said))
    with pytest.raises(NotReadyError, match="are not what was sealed"):
        lay_out(LocalPlace(tmp_path / "lake"), Folder(bundle), bundle)
    assert not (tmp_path / f"lake/runs/{RUN}.json").exists()
