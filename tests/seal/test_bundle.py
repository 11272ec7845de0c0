"""Bundling: the same bytes each time, whole or not at all, and never over what was sealed before."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from limits import file_size

from compliancectl import canonical, disk
from compliancectl.bundle import bundle
from compliancectl.errors import FileError, NotReadyError, OutputError, VerifyError
from compliancectl.model.manifest import Operator, VerifyStep
from compliancectl.seal import archive, container, trust
from compliancectl.verify import verify

OPERATOR = Operator(id="amara-okafor", kind="person")
ITEM = "evidence/gcp/sql_instances/larkspur-prod"


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def seal(sealed, run: Path, place: Path, **more):
    return bundle(run, place / "bundle", key=sealed.private, archive=place / "bundle.zip", operator=OPERATOR, **more)


def test_the_same_run_and_key_give_the_same_bytes(sealed, run_folder: Path, tmp_path: Path) -> None:
    again = tmp_path / "elsewhere"
    shutil.copytree(run_folder, again)
    for path in again.rglob("*"):
        os.utime(path, (0, 10**9))
    first = seal(sealed, run_folder, tmp_path / "one")
    second = seal(sealed, again, tmp_path / "two")
    assert tree(tmp_path / "one/bundle") == tree(tmp_path / "two/bundle")
    assert (tmp_path / "one/bundle.zip").read_bytes() == (tmp_path / "two/bundle.zip").read_bytes()
    assert first.archive_sha256 == second.archive_sha256
    assert first.sums_sha256 == second.sums_sha256


def test_the_archive_holds_exactly_the_folder(sealed) -> None:
    with zipfile.ZipFile(sealed.archive) as packed:
        infos = packed.infolist()
        held = {info.filename.partition("/")[2]: packed.read(info) for info in infos}
    assert held == tree(sealed.folder)
    assert [info.filename for info in infos] == sorted(info.filename for info in infos)
    assert {info.date_time for info in infos} == {(1980, 1, 1, 0, 0, 0)}
    assert {info.external_attr >> 16 for info in infos} == {0o100644}


def test_the_record_says_what_was_made(sealed, run_folder: Path, tmp_path: Path) -> None:
    told: list[str] = []
    made = seal(sealed, run_folder, tmp_path / "out", progress=told.append)
    assert (made.id, made.status) == ("larkspur-20261101T020000Z", "complete")
    assert (made.totals.evidence_items, made.totals.files, made.totals.items.passed) == (3, 17, 1)
    assert made.totals.controls.no_deviations == 1
    assert told
    assert json.dumps(made.to_json())


def test_the_run_folder_is_left_alone(sealed, run_folder: Path, tmp_path: Path) -> None:
    before = tree(run_folder)
    seal(sealed, run_folder, tmp_path / "out")
    assert tree(run_folder) == before


def test_only_what_belongs_to_the_run_is_copied(sealed, run_folder: Path, tmp_path: Path) -> None:
    (run_folder / ".lock").write_bytes(b"")
    (run_folder / "notes.txt").write_bytes(b"private")
    seal(sealed, run_folder, tmp_path / "out")
    assert not {"notes.txt", ".lock"} & set(tree(tmp_path / "out/bundle"))


def test_a_partial_run_is_sealed_and_called_partial(sealed, partial_run: Path, tmp_path: Path) -> None:
    made = seal(sealed, partial_run, tmp_path / "out")
    assert (made.status, made.totals.incomplete_items) == ("partial", 1)
    found = verify(tmp_path / "out/bundle.zip", trust=trust.load(public_keys=[sealed.public]))
    assert found.exit_code == 0
    assert "PARTIAL: 1 of 3 evidence items" in found.steps[VerifyStep.STATUS - 1].message
    assert "gcp/sql_backup_runs/larkspur-prod" in found.steps[VerifyStep.STATUS - 1].message
    rows = list(csv.DictReader((tmp_path / "out/bundle/evidence/INDEX.csv").open(newline="")))
    assert [row["status"] for row in rows] == ["partial", "collected", "collected"]
    assert rows[0]["reason"] == "'=The source stopped after page 1."


def test_a_readable_key_is_warned_about(sealed, run_folder: Path, tmp_path: Path) -> None:
    key = tmp_path / "open.pem"
    key.write_bytes(sealed.private.read_bytes())
    key.chmod(0o644)
    told: list[str] = []
    made = bundle(run_folder, tmp_path / "b", key=key, operator=OPERATOR, progress=told.append)
    assert "chmod 600" in made.warnings[0]
    assert "chmod 600" in told[0]


def _set(path: Path, **changes) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


NOT_READY = {
    "no run": lambda run: (run / "run.json").unlink(),
    "an open run": lambda run: _set(run / "run.json", status="open"),
    "no results": lambda run: (run / "results/results.json").unlink(),
}


@pytest.mark.parametrize("name", NOT_READY)
def test_a_run_that_is_not_ready_is_not_sealed(sealed, run_folder: Path, tmp_path: Path, name: str) -> None:
    NOT_READY[name](run_folder)
    with pytest.raises(NotReadyError) as error:
        seal(sealed, run_folder, tmp_path / "out")
    assert error.value.hint
    assert not (tmp_path / "out").exists()


def _exchange(run: Path, key: str, value: str) -> None:
    """Change an item into another that is whole and agrees with its files."""
    record = run / ITEM / "item.json"
    assert json.loads(record.read_text())[key] != value
    record.write_bytes(canonical.to_bytes({**json.loads(record.read_text()), key: value}))


def _forget_item(run: Path) -> None:
    evidence = json.loads((run / "run.json").read_text())["evidence"]
    evidence.pop(ITEM.removeprefix("evidence/"))
    _set(run / "run.json", evidence=evidence)


ALTERED = {
    "a reply is edited": lambda run: (run / ITEM / "raw-0001.json").write_bytes(b"{}"),
    "a table is edited": lambda run: (run / ITEM / "gcp.sql_instance.parquet").write_bytes(b"PAR1PAR1"),
    "a reply is deleted": lambda run: (run / ITEM / "raw-0001.json").unlink(),
    "an item is deleted": lambda run: shutil.rmtree(run / ITEM),
    "an item's record is edited": lambda run: _set(run / ITEM / "item.json", reason="edited"),
    "a record is no record": lambda run: (run / ITEM / "item.json").write_bytes(b"{}"),
    "a file is planted": lambda run: (run / ITEM / "planted.json").write_bytes(b"{}"),
    "a name is unsafe": lambda run: (run / ITEM / "a b").write_bytes(b"{}"),
    "two names differ in case": lambda run: (run / ITEM / "RAW-0001.json").write_bytes(b"{}"),
    "a reply is a link": lambda run: ((run / ITEM / "raw-0001.json").rename(run / "x"), (run / ITEM / "raw-0001.json").symlink_to(run / "x")),
    "the items of a population are edited": lambda run: (run / "results/items/BCP-01.backups-enabled.jsonl").write_bytes(b""),
    "a control is edited": lambda run: (run / "catalog/controls/backup/BCP-01-backups.yaml").write_bytes(b"id: X\n"),
    "the run's record is edited": lambda run: _set(run / "run.json", platform="other"),
    "an item is exchanged for another whole one": lambda run: _exchange(run, "status", "skipped"),
    "the run's record names no evidence": lambda run: _set(run / "run.json", evidence=None),
    "the run's record names an item less": lambda run: _forget_item(run),
    "the results name no run": lambda run: _set(run / "results/results.json", run_sha256=None),
    "the results are of another run": lambda run: _set(run / "results/results.json", run_id="other"),
}  # fmt: skip


@pytest.mark.parametrize("name", ALTERED)
def test_a_run_that_was_altered_is_not_sealed(sealed, run_folder: Path, tmp_path: Path, name: str) -> None:
    ALTERED[name](run_folder)
    with pytest.raises(VerifyError, match="not sealed") as error:
        seal(sealed, run_folder, tmp_path / "out")
    assert error.value.step == VerifyStep.RECORDS
    assert error.value.hint
    assert list((tmp_path / "out").iterdir()) == []


def test_a_run_record_that_cannot_be_read_is_a_bad_file(sealed, run_folder: Path, tmp_path: Path) -> None:
    (run_folder / "run.json").write_bytes(b"{")
    with pytest.raises(FileError):
        seal(sealed, run_folder, tmp_path / "out")


def test_a_sealed_bundle_is_never_overwritten(sealed, run_folder: Path, tmp_path: Path) -> None:
    seal(sealed, run_folder, tmp_path / "out")
    before = tree(tmp_path / "out")
    with pytest.raises(OutputError, match="sealed bundle is here already") as error:
        bundle(run_folder, tmp_path / "out/bundle", key=sealed.private, operator=OPERATOR)
    assert error.value.hint
    with pytest.raises(OutputError, match="never overwritten"):
        bundle(
            run_folder,
            tmp_path / "out/more",
            key=sealed.private,
            archive=tmp_path / "out/bundle.zip",
            operator=OPERATOR,
        )
    assert tree(tmp_path / "out") == before


@pytest.mark.parametrize(
    "make",
    [lambda p: (p.mkdir(), (p / "x").write_text("mine")), lambda p: p.write_text("mine"), lambda p: p.symlink_to("x")],
)
def test_what_is_there_is_not_overwritten(sealed, run_folder: Path, tmp_path: Path, make) -> None:
    make(tmp_path / "out")
    with pytest.raises(OutputError, match="already"):
        bundle(run_folder, tmp_path / "out", key=sealed.private, operator=OPERATOR)


def test_a_folder_that_appears_meanwhile_is_not_overwritten(sealed, run_folder: Path, tmp_path: Path) -> None:
    def meanwhile(text: str) -> None:
        if text == "sealed":
            (tmp_path / "out").mkdir()
            (tmp_path / "out/mine").write_text("mine")

    with pytest.raises(OutputError):
        bundle(run_folder, tmp_path / "out", key=sealed.private, operator=OPERATOR, progress=meanwhile)
    assert tree(tmp_path / "out") == {"mine": b"mine"}


def test_an_archive_that_appears_meanwhile_is_not_overwritten(sealed, run_folder: Path, tmp_path: Path) -> None:
    def meanwhile(text: str) -> None:
        if text == "archive packed":
            (tmp_path / "out/bundle.zip").write_text("mine")

    with pytest.raises(OutputError):
        seal(sealed, run_folder, tmp_path / "out", progress=meanwhile)
    assert (tmp_path / "out/bundle.zip").read_text() == "mine"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["bundle", "bundle.zip"]


def test_an_empty_folder_is_used(sealed, run_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    bundle(run_folder, tmp_path / "out", key=sealed.private, operator=OPERATOR)
    assert verify(tmp_path / "out").exit_code == 3


def test_two_at_once_do_not_mix(sealed, run_folder: Path, tmp_path: Path) -> None:
    refused: list[OutputError] = []

    def meanwhile(text: str) -> None:
        if text == "sealed" and not refused:
            with pytest.raises(OutputError, match="nother process") as error:
                bundle(run_folder, tmp_path / "out", key=sealed.private, operator=OPERATOR)
            refused.append(error.value)

    bundle(run_folder, tmp_path / "out", key=sealed.private, operator=OPERATOR, progress=meanwhile)
    assert refused
    assert verify(tmp_path / "out").exit_code == 3


CHILD = """
import os, sys
from pathlib import Path
from compliancectl.bundle import bundle
from compliancectl.model.manifest import Operator
from compliancectl.errors import OutputError
run, key, out, end = sys.argv[1:]
count = 0
def progress(text):
    global count
    count += 1
    if str(count) == end:
        os.kill(os.getpid(), 9)
try:
    bundle(Path(run), Path(out) / "bundle", key=Path(key), archive=Path(out) / "bundle.zip",
           operator=Operator(id="x", kind="ci"), progress=progress)
except OutputError as error:
    print(error, error.hint)
    sys.exit(2)
"""


def child(run: Path, key: Path, out: Path, end: str, limit: int | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CHILD, str(run), str(key), str(out), end]
    return subprocess.run(file_size(limit, command), capture_output=True, text=True, check=False)


def test_a_kill_at_any_moment_leaves_nothing_that_looks_finished(sealed, run_folder: Path, tmp_path: Path) -> None:
    trusted = trust.load(public_keys=[sealed.public])
    moments = []
    for end in range(1, 20):
        out = tmp_path / str(end)
        done = child(run_folder, sealed.private, out, str(end))
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
        there = sorted(path.name for path in out.iterdir() if not path.name.startswith("."))
        moments.append(there)
        for name in there:
            assert verify(out / name, trust=trusted).exit_code == 0, name
        if there:
            continue
        seal(sealed, run_folder, out)  # what was left behind does not stand in the way
        assert sorted(path.name for path in out.iterdir()) == ["bundle", "bundle.zip"]
        assert verify(out / "bundle", trust=trusted).exit_code == 0
        assert verify(out / "bundle.zip", trust=trusted).exit_code == 0
    assert moments[0] == []
    assert ["bundle"] in moments
    assert moments[-1] == ["bundle", "bundle.zip"]


def test_ctrl_c_at_any_moment_leaves_nothing_or_the_whole(sealed, run_folder: Path, tmp_path: Path) -> None:
    left = []
    for end in range(1, 20):
        out, told = tmp_path / str(end), []

        def progress(text: str, end: int = end, told: list[str] = told) -> None:
            told.append(text)
            if len(told) == end:
                os.kill(os.getpid(), signal.SIGINT)

        try:
            seal(sealed, run_folder, out, progress=progress)
        except KeyboardInterrupt:
            left.append(sorted(path.name for path in out.iterdir()))
            for name in left[-1]:
                assert verify(out / name, trust=trust.load(public_keys=[sealed.public])).exit_code == 0
        else:
            break
    assert left[0] == [] and left[-1] == ["bundle", "bundle.zip"]
    assert not [name for names in left for name in names if name.startswith(".")], "nor a staging folder"


@pytest.mark.parametrize("limit", [2_000, 20_000], ids=["in a file of the bundle", "in the archive"])
def test_a_full_disk_is_an_error_and_leaves_nothing(sealed, run_folder: Path, tmp_path: Path, limit: int) -> None:
    """A limit on file size makes `write` fail in the middle of a file, as a full disk does."""
    reply = run_folder / "results/extra.bin"
    reply.write_bytes(os.urandom(15_000))
    done = child(
        run_folder,
        sealed.private,
        tmp_path / "out",
        "never",
        limit,
    )
    assert done.returncode == 2, done.stderr
    assert "no room left" in done.stdout
    assert list((tmp_path / "out").iterdir()) == []


def test_a_full_device_is_the_same_error(sealed, run_folder: Path, tmp_path: Path) -> None:
    """The archive is written to /dev/full, the kernel's own full disk (ENOSPC)."""
    place = tmp_path / "out"

    def fill_up(text: str) -> None:
        if text == "sealed":
            (place / ".bundle.zip.partial/archive").symlink_to("/dev/full")

    with pytest.raises(OutputError, match="No space left"):
        seal(sealed, run_folder, place, progress=fill_up)
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("name", ["bundle", "bundle/bundle.zip"])
def test_an_archive_inside_its_own_bundle_is_refused(sealed, run_folder: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="inside") as error:
        bundle(run_folder, tmp_path / "bundle", key=sealed.private, archive=tmp_path / name, operator=OPERATOR)
    assert error.value.hint
    assert not (tmp_path / "bundle").exists()


def test_a_folder_that_cannot_be_written_to_is_an_error(sealed, run_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError) as error:
        bundle(run_folder, tmp_path / "file/out", key=sealed.private, operator=OPERATOR)
    assert error.value.hint


def test_a_large_archive_in_zip64_form_is_read(sealed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits that make the standard library write zip64 records are lowered, not 4 GiB written."""
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 3)
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    with (tmp_path / "large.zip").open("wb") as stream:
        archive.write(container.Folder(sealed.folder), "root", stream)
    assert b"PK\6\6" in (tmp_path / "large.zip").read_bytes()
    assert verify(tmp_path / "large.zip", trust=trust.load(public_keys=[sealed.public])).exit_code == 0


def test_the_file_that_makes_a_bundle_is_the_last_to_be_written(sealed) -> None:
    assert disk.SEALED_BY in tree(sealed.folder)
