"""Bundles in a store: the same promises in a folder, in a bucket of Cloud Storage and in one of S3."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from bucket import BUCKET, Bucket
from kms import Kms
from s3 import BUCKET as LAKE
from s3 import S3
from schema import faults

from compliancectl import canonical, clock, depot
from compliancectl.cli import app
from compliancectl.depot import gcs
from compliancectl.depot import s3 as s3_place
from compliancectl.depot.places import open_place
from compliancectl.errors import Denied, OutputError, SourceFailed
from compliancectl.model.depot import Kept, Tombstone
from compliancectl.sandbox import company as definition
from compliancectl.sandbox.run import running
from compliancectl.seal import keys

NOW = clock.parse("2026-11-01T00:00:00Z")


@dataclass(frozen=True)
class Made:
    """A sealed bundle as a folder and as a ZIP, another bundle, and the key."""

    place: Path
    folder: Path
    archive: Path
    public: Path
    run_id: str


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    place = tmp_path_factory.mktemp("made")
    key = keys.new_key(place / "ci")
    with running(definition.load(), place / "company", only=("documents",)) as box:
        scope = ["--scope", str(box.scope_file), "--only", "VND-02"]
        assert app.run(["collect", *scope, "-o", str(place / "run")]) == 0
        assert app.run(["evaluate", str(place / "run"), *scope]) in (0, 1)
    seal = ["bundle", str(place / "run"), "-o", str(place / "bundle"), "--zip", str(place / "bundle.zip")]
    assert app.run([*seal, "--key", str(key.private)]) == 0
    run_id = json.loads((place / "bundle/run.json").read_bytes())["id"]
    return Made(place, place / "bundle", place / "bundle.zip", key.public, run_id)


@pytest.fixture
def bucket(_cloud: tuple[Bucket, Kms], monkeypatch: pytest.MonkeyPatch) -> Bucket:
    found, tokens = _cloud
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tokens.credentials))
    monkeypatch.setenv(gcs.ENDPOINT_VARIABLE, found.url)
    found.asked.clear()
    return found


@pytest.fixture(scope="module")
def _s3() -> Iterator[S3]:
    with S3.serving() as server:
        yield server


@pytest.fixture
def s3(_s3: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> S3:
    for name, value in _s3.variables().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    _s3.refuse.clear()
    _s3.cut.clear()
    _s3.asked.clear()
    _s3.always = None
    return _s3


@pytest.fixture(params=["folder", "bucket", "s3"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return str(tmp_path / "store")
    request.getfixturevalue(request.param)
    return f"{'s3' if request.param == 's3' else 'gs'}://{LAKE if request.param == 's3' else BUCKET}/{tmp_path.name}"


def run(*arguments: str | Path) -> int:
    return app.run(["store", *map(str, arguments)])


def listed(where: str, capsys: pytest.CaptureFixture[str]) -> list[Any]:
    capsys.readouterr()
    assert run("list", where, "--format", "json") == 0
    found = json.loads(capsys.readouterr().out)
    for entry in found:
        assert entry["record"] is None or faults("kept", entry["record"]) == []
        assert all(faults("hold", held) == [] for held in entry["holds"])
        assert entry["tombstone"] is None or faults("tombstone", entry["tombstone"]) == []
    return found


def test_a_bundle_is_stored_once_and_comes_back_byte_for_byte(
    made: Made, where: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("put", where, made.archive, "--key", made.public) == 0
    assert run("put", where, made.folder, "--key", made.public) == 0
    assert "was there already" in capsys.readouterr().out, "the folder makes the very same archive"
    (entry,) = listed(where, capsys)
    assert entry["record"]["archive_sha256"] == canonical.sha256_file(made.archive)
    kept = clock.parse(entry["record"]["retain_until"]) - clock.parse(entry["record"]["stored_at"])
    assert kept == timedelta(days=2557)
    out = tmp_path / "out.zip"
    assert run("get", where, made.run_id, "-o", out) == 0
    assert out.read_bytes() == made.archive.read_bytes()
    assert run("get", where, made.run_id, "-o", out) == 2, "nothing is overwritten here either"
    assert run("get", where, "nothing", "-o", tmp_path / "x") == 2


def test_an_altered_bundle_is_not_stored(made: Made, where: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made.folder, tmp_path / "altered"))
    (folder / "run.json").write_bytes(b"{}")
    assert run("put", where, folder, "--key", made.public) == 4
    assert run("put", where, tmp_path / "none") == 2


def test_it_is_kept_while_it_is_held_or_its_time_is_not_over(
    made: Made, where: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("put", where, made.archive, "--key", made.public, "--retain-days", "1") == 0
    assert run("purge", where, "--reason", "tidy") == 0 and "0 bundles purged, 1 left" in capsys.readouterr().err
    assert run("purge", where, "--reason", "tidy", "--only", made.run_id) == 2
    assert "is kept until" in capsys.readouterr().err
    assert run("hold", where, made.run_id, "--reason", "case 2027-4") == 0
    assert run("hold", where, made.run_id, "--reason", "case 2027-4") == 2
    assert run("hold", where, made.run_id, "--reason", "audit") == 0
    assert run("release", where, made.run_id, "--reason", "audit") == 0
    assert run("release", where, made.run_id, "--reason", "audit") == 2
    (entry,) = listed(where, capsys)
    assert [held["reason"] for held in entry["holds"]] == ["case 2027-4"]
    assert run("list", where) == 0 and "it is held: case 2027-4" in capsys.readouterr().out


def stored(where: str, name: str, archive: bytes, tmp_path: Path) -> tuple[depot.Place, depot.Entry]:
    """A bundle whose time was over long ago."""
    place = open_place(where)
    (tmp_path / "some.zip").write_bytes(archive)
    digests = {"statement_sha256": "1" * 64, "archive_sha256": canonical.sha256(archive), "bytes": len(archive)}
    who = {"organization": "o", "system": "s", "environment": "e", "stored_by": "me"}
    kept = Kept(run_id=name, **digests, **who, stored_at=NOW, retain_until=NOW)
    assert depot.put(place, tmp_path / "some.zip", kept)
    return place, depot.find(place, name)


def test_what_is_purged_leaves_a_tombstone_and_does_not_come_back(
    made: Made, where: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from compliancectl import ledger

    place, entry = stored(where, "old", b"bytes", tmp_path)
    book, key = tmp_path / "ledger", tmp_path / "ledger.pem"
    ledger.create(book, "larkspur.example/evidence", key)
    assert run("hold", where, "old", "--reason", "case") == 0
    purge = ("purge", where, "--reason", "seven years", "--ledger", book, "--ledger-key", key)
    assert run(*purge) == 0 and ledger.read(book).entries == ()
    assert run("release", where, "old", "--reason", "case") == 0
    assert run("purge", where, "--reason", "seven years", "--dry-run") == 0
    assert "would be purged" in capsys.readouterr().out and f"{entry.folder}/bundle.zip" in place.names()
    assert run(*purge) == 0 and run(*purge) == 0
    (event,) = ledger.read(book).entries
    assert (event.kind, event.run_id, event.text) == ("purge", "old", "seven years")
    assert f"{entry.folder}/bundle.zip" not in place.names()
    (found,) = listed(where, capsys)
    assert found["tombstone"]["archive_sha256"] == canonical.sha256(b"bytes")
    assert found["tombstone"]["reason"] == "seven years"
    assert run("get", where, "old", "-o", tmp_path / "x.zip") == 3
    assert not (tmp_path / "x.zip").exists() and "was purged" in capsys.readouterr().err
    assert run("hold", where, "old", "--reason", "late") == 2
    with pytest.raises(depot.OutputError, match="does not come back"):
        stored(where, "old", b"bytes", tmp_path)


def test_nothing_is_overwritten(where: str, tmp_path: Path) -> None:
    place, entry = stored(where, "one", b"first", tmp_path)
    with pytest.raises(depot.OutputError, match="never overwritten"):
        stored(where, "one", b"second", tmp_path)
    for name in place.names():
        with (tmp_path / "some.zip").open("rb") as stream, pytest.raises(depot.Taken):
            place.create(name, stream, 6, None)
    with place.open(f"{entry.folder}/bundle.zip") as stream:
        assert stream.read() == b"first"
    assert len(place.names()) == 2


def test_what_was_interrupted_is_finished_by_storing_it_again(where: str, tmp_path: Path) -> None:
    place, entry = stored(where, "one", b"first", tmp_path)
    place.delete(f"{entry.folder}/record.json")  # as if it had never been written
    assert depot.find(place, "one").may_go(NOW) == "storing it was interrupted; store it again"
    with pytest.raises(depot.OutputError, match="something else lies"):
        stored(where, "one", b"other", tmp_path)
    assert stored(where, "one", b"first", tmp_path)[1].kept is not None


def test_what_was_exchanged_in_the_storage_is_noticed(
    where: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, entry = stored(where, "one", b"first", tmp_path)
    place.delete(f"{entry.folder}/bundle.zip")
    with (tmp_path / "some.zip").open("w+b") as stream:
        stream.write(b"later")
        stream.seek(0)
        place.create(f"{entry.folder}/bundle.zip", stream, 5, None)
    assert run("get", where, "one", "-o", tmp_path / "x.zip") == 4 and not (tmp_path / "x.zip").exists()
    assert "not what was stored" in capsys.readouterr().err


# -- what only the bucket does ----------------------------------------------------------------------------------------


def test_the_service_itself_locks_and_holds(
    made: Made, bucket: Bucket, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = f"gs://{BUCKET}/{tmp_path.name}"
    assert run("put", where, made.archive, "--key", made.public, "--lock") == 0
    (entry,) = listed(where, capsys)
    locked = {name: until for name, until in bucket.locks.items() if name.startswith(tmp_path.name)}
    assert set(locked) == {f"{tmp_path.name}/{entry['name']}/{file}" for file in ("bundle.zip", "record.json")}
    assert set(locked.values()) == {entry["record"]["retain_until"]}
    place = gcs.GcsPlace(BUCKET, f"{tmp_path.name}/", lock=False)
    with pytest.raises(Exception, match="HTTP 403"):
        place.delete(f"{entry['name']}/bundle.zip")
    assert run("hold", where, made.run_id, "--reason", "case") == 0
    assert f"{tmp_path.name}/{entry['name']}/bundle.zip" in bucket.holds
    assert run("release", where, made.run_id, "--reason", "case") == 0
    assert f"{tmp_path.name}/{entry['name']}/bundle.zip" not in bucket.holds
    assert run("put", str(tmp_path / "folder"), made.archive, "--lock") == 2


def test_a_deletion_that_the_service_refuses_leaves_the_bundle_and_says_so(
    bucket: Bucket, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = f"gs://{BUCKET}/{tmp_path.name}"
    place, entry = stored(where, "old", b"bytes", tmp_path)
    bucket.holds.add(f"{tmp_path.name}/{entry.folder}/bundle.zip")
    assert run("purge", where, "--reason", "tidy") == 3
    assert "HTTP 403" in capsys.readouterr().err and f"{entry.folder}/bundle.zip" in place.names()
    bucket.holds.clear()
    assert run("purge", where, "--reason", "tidy") == 0 and f"{entry.folder}/bundle.zip" not in place.names()


def test_an_upload_that_was_altered_on_its_way_is_not_taken_for_whole(
    bucket: Bucket, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket.break_upload = True
    try:
        with pytest.raises(Exception, match="whole"):
            stored(f"gs://{BUCKET}/{tmp_path.name}", "one", b"first", tmp_path)
    finally:
        bucket.break_upload = False
    bucket.refuse_listing = True
    try:
        assert run("list", f"gs://{BUCKET}/{tmp_path.name}") == 3, "could not look is not empty"
    finally:
        bucket.refuse_listing = False
    assert run("list", "gs://") == 2
    assert Tombstone.model_fields.keys() >= {"reason", "by", "at"}


BROKEN = {
    "in three pieces": [],
    "a piece does not arrive": ["nothing", "piece", "nothing", "piece"],
    "answers are lost": ["answer", "nothing", "answer"],
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_large_upload_goes_on_where_it_broke_off(
    bucket: Bucket, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gcs, "PIECE", 256 * 1024)
    bucket.lose = [*BROKEN[name]]
    data = bytes(range(256)) * 2345  # neither a whole number of pieces, nor any piece like another at its end
    place, entry = stored(f"gs://{BUCKET}/{tmp_path.name}", "large", data, tmp_path)
    assert bucket.lose == [] and len([verb for verb, _, _ in bucket.asked if verb == "PUT"]) >= 3
    with place.open(f"{entry.folder}/bundle.zip") as stream:
        assert stream.read() == data
    with pytest.raises(depot.Taken):
        place.create(f"{entry.folder}/bundle.zip", io.BytesIO(data), len(data), None)


def test_an_upload_that_never_goes_on_is_given_up(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gcs, "PIECE", 256 * 1024)
    bucket.lose = ["nothing", *["piece"] * 9]
    place = open_place(f"gs://{BUCKET}/{tmp_path.name}")
    data = b"x" * 600_000
    try:
        with pytest.raises(SourceFailed, match="HTTP 503"):
            place.create("large", io.BytesIO(data), len(data), None)
    finally:
        bucket.lose.clear()
    assert place.names() == [], "a part of it is not there"
    with pytest.raises(OutputError, match="no longer there"):
        place.create("shorter", io.BytesIO(data), len(data) + 1, None)


# -- what only S3 does ------------------------------------------------------------------------------------------------


def test_s3_itself_locks_and_holds(made: Made, s3: S3, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = f"s3://{LAKE}/{tmp_path.name}"
    assert run("put", where, made.archive, "--key", made.public, "--lock") == 0
    (entry,) = listed(where, capsys)
    place, name = open_place(where), f"{entry['name']}/bundle.zip"
    client, about = place.client, {"Bucket": LAKE, "Key": f"{tmp_path.name}/{name}"}
    locked = client.head_object(**about)
    assert locked["ObjectLockMode"] == "COMPLIANCE"
    later = locked["ObjectLockRetainUntilDate"] - clock.parse(entry["record"]["retain_until"])
    assert timedelta(0) <= later < timedelta(seconds=1), "whole seconds, and never earlier"
    with pytest.raises(Denied, match="AccessDenied"):
        place.delete(name)
    assert name in place.names()
    assert run("hold", where, made.run_id, "--reason", "case") == 0
    assert client.get_object_legal_hold(**about)["LegalHold"]["Status"] == "ON"
    assert run("release", where, made.run_id, "--reason", "case") == 0
    assert client.get_object_legal_hold(**about)["LegalHold"]["Status"] == "OFF"


def test_a_purge_leaves_no_version_behind(s3: S3, tmp_path: Path) -> None:
    """Where a bucket keeps versions, deleting a name alone would only hide the bundle."""
    where = f"s3://{LAKE}/{tmp_path.name}"
    place, entry = stored(where, "old", b"bytes", tmp_path)
    assert run("purge", where, "--reason", "tidy") == 0
    left = place.client.list_object_versions(Bucket=LAKE, Prefix=f"{tmp_path.name}/{entry.folder}/bundle.zip")
    assert not left.get("Versions") and not left.get("DeleteMarkers")


def test_s3_takes_what_is_too_large_for_one_request_in_parts(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_place, "LARGEST", 5 * 1024**2)
    monkeypatch.setattr(s3_place, "PART", 5 * 1024**2)
    data = bytes(range(256)) * (11 * 4096 + 1)
    place = s3_place.S3Place(LAKE, f"{tmp_path.name}/", lock=True)
    place.create("large", io.BytesIO(data), len(data), NOW + timedelta(days=4000))
    with place.open("large") as stream:
        assert stream.read() == data
    about = {"Bucket": LAKE, "Key": f"{tmp_path.name}/large"}
    assert place.client.head_object(**about)["ETag"].endswith('-3"')
    assert s3.locked == ["COMPLIANCE"]
    s3.asked.clear()
    with pytest.raises(depot.Taken):
        place.create("large", io.BytesIO(data), len(data), None)
    assert {verb for verb, _ in s3.asked} == {"GET"}, "nothing is sent for a name that is taken"


def test_s3_refuses_a_name_that_was_taken_while_parts_were_sent(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_place, "LARGEST", 5 * 1024**2)
    monkeypatch.setattr(s3_place, "PART", 5 * 1024**2)
    place = open_place(f"s3://{LAKE}/{tmp_path.name}")

    class Meanwhile(io.BytesIO):
        """Of which somebody makes an object while it is read."""

        def read(self, size: int | None = -1) -> bytes:
            if not place.names():
                place.create("large", io.BytesIO(b"first"), 5, None)
            return super().read(size)

    data = b"x" * (6 * 1024**2)
    with pytest.raises(depot.Taken):
        place.create("large", Meanwhile(data), len(data), None)
    with place.open("large") as stream:
        assert stream.read() == b"first"
    with pytest.raises(OutputError, match="no longer there"):
        place.create("shorter", io.BytesIO(data), len(data) + 1, None)
    s3.refuse["refused"] = (403, "AccessDenied", "Access Denied")
    with pytest.raises(Denied):
        place.create("refused", io.BytesIO(data), len(data), None)
    assert place.names() == ["large"]
    assert not place.client.list_multipart_uploads(Bucket=LAKE).get("Uploads"), "no part is left to be paid for"


def test_a_bucket_without_locks_is_kept_in_order_by_the_store_alone(
    made: Made, s3: S3, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = f"s3://{LAKE}-plain/{tmp_path.name}"
    assert run("put", where, made.archive, "--lock") == 3
    assert "must have Object Lock" in capsys.readouterr().err
    assert run("put", where, made.archive, "--retain-days", "1") == 0
    assert run("hold", where, made.run_id, "--reason", "case") == 0
    assert run("purge", where, "--reason", "tidy") == 0
    assert "0 bundles purged, 1 left" in capsys.readouterr().err


SLOW = (503, "SlowDown", "Please reduce your request rate.")
REFUSED: dict[str, tuple[tuple[int, str, str] | None, str, str]] = {
    "denied": ((403, "AccessDenied", "Access Denied"), "refuses", "s3:ListBucket"),
    "no such bucket": (None, "knows no bucket nowhere", "Check the name"),
    "another region": ((301, "PermanentRedirect", "Use another endpoint"), "is in another region", "AWS_REGION"),
    "throttled": (SLOW, "asks for fewer requests", "again later"),
    "broken": ((500, "InternalError", "We encountered an internal error."), "InternalError", "again later"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_s3_refuses_is_said_and_never_empty(
    s3: S3, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3.always, said, hint = REFUSED[name]
    bucket = "nowhere" if s3.always is None else LAKE
    for command in (["store", "list"], ["history"], ["tables", "list"])[: 3 if name == "denied" else 1]:
        assert app.run([*command, f"s3://{bucket}/{tmp_path.name}"]) == 3
        found = capsys.readouterr()
        assert said in found.err and hint in found.err and not found.out


def test_s3_without_credentials_or_network_is_said(
    s3: S3, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOTHER")
    assert run("list", f"s3://{LAKE}/x") == 3 and "InvalidAccessKeyId" in capsys.readouterr().err
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert run("list", f"s3://{LAKE}/x") == 3 and "there are no credentials" in capsys.readouterr().err
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    assert run("list", f"s3://{LAKE}/x") == 3 and "cannot be reached" in capsys.readouterr().err


def test_s3_without_its_library_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    assert run("list", f"s3://{LAKE}/x") == 2 and "compliancectl[s3]" in capsys.readouterr().err


def test_a_service_that_cannot_refuse_a_taken_name_is_not_written_to(
    made: Made, s3: S3, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    s3.refuse["bundle.zip"] = (501, "NotImplemented", "A header you provided implies functionality that is missing.")
    assert run("put", f"s3://{LAKE}/{tmp_path.name}", made.archive) == 3
    assert "If-None-Match" in capsys.readouterr().err


def test_bundles_of_s3_are_read_once(made: Made, s3: S3, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = f"s3://{LAKE}/{tmp_path.name}"
    assert run("put", where, made.archive, "--key", made.public) == 0
    for downloads in (1, 0):
        s3.asked.clear()
        capsys.readouterr()
        assert app.run(["history", where, "--format", "json"]) == 0
        assert len(json.loads(capsys.readouterr().out)["runs"]) == 1
        assert len([name for verb, name in s3.asked if verb == "GET" and name.endswith("bundle.zip")]) == downloads
    assert app.run(["trend", where]) == 0
    days = ["--from", "2026-01-01", "--to", f"{clock.now().year + 1}-01-01"]
    assert app.run(["period", where, *days, "--key", str(made.public)]) in (0, 1, 3)


def test_a_copy_from_s3_that_broke_off_is_an_error_and_goes_on(
    made: Made, s3: S3, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = f"s3://{LAKE}/{tmp_path.name}"
    assert run("put", where, made.archive) == 0
    s3.cut.add("bundle.zip")
    assert app.run(["history", where]) == 3
    assert "broke off" in capsys.readouterr().err
    assert app.run(["history", where]) == 0


def test_a_copy_that_somebody_changed_is_made_again(made: Made, s3: S3, tmp_path: Path) -> None:
    where = f"s3://{LAKE}/{tmp_path.name}"
    assert run("put", where, made.archive) == 0
    assert app.run(["history", where]) == 0
    (copy,) = (tmp_path / "cache").rglob("bundle.zip")
    was = copy.read_bytes()
    copy.write_bytes(was[:-1] + b"x")
    assert app.run(["history", where]) == 0 and copy.read_bytes() == was
