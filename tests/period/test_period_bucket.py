"""A period over the bundles of a bucket: the same findings as over a folder, and every bundle that is not had is named."""

from __future__ import annotations

import html
import json
import re
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import daily
import pytest
import requests
from bucket import BUCKET, Bucket
from kms import TOKEN, Kms

from compliancectl import resources
from compliancectl.cli import app
from compliancectl.depot import gcs, local
from compliancectl.load import load_frameworks
from compliancectl.model.evidence import Window
from compliancectl.model.period import Period
from compliancectl.seal import keys

START = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 3


@dataclass(frozen=True)
class Nights:
    """Archives of three nights, the second of which deviates, and the key that sealed them."""

    archives: tuple[Path, ...]
    public: Path
    private: Path


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Nights:
    place = tmp_path_factory.mktemp("nights")
    pair = keys.new_key(place / "keys")
    archives = []
    for number in range(DAYS):
        at = START + timedelta(days=number, hours=2)
        day = daily.Day(place / "run" / str(number), at, f"run-{number}", Window(start=START, end=at))
        day.add("git.branch", [{"resource": "main", "protected": number != 1, "archived": False}])
        frameworks = load_frameworks(resources.controls_folder() / "frameworks") if number == DAYS - 1 else ()
        daily.judge(day, [daily.write_control(place / str(number), "TST-01")], frameworks=frameworks)
        archives.append(place / f"{number}.zip")
        daily.seal(day, place / "folders" / str(number), pair.private, archives[-1])
    return Nights(tuple(archives), pair.public, pair.private)


@dataclass
class Store:
    """A prefix of the bucket for one test."""

    bucket: Bucket
    prefix: str
    place: Path

    @property
    def url(self) -> str:
        return f"gs://{BUCKET}/{self.prefix}"

    def upload(self, name: str, data: bytes) -> None:
        """As `gcloud storage cp` does."""
        address = f"{self.bucket.url}/upload/storage/v1/b/{BUCKET}/o"
        full = quote(f"{self.prefix}/{name}", safe="")
        requests.post(
            f"{address}?uploadType=media&name={full}",
            data=data,
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=10,
        ).raise_for_status()

    def put(self, nights: Nights) -> list[str]:
        """As `store put` does; returns the folders' names."""
        for archive in nights.archives:
            assert app.run(["store", "put", self.url, str(archive), "--key", str(nights.public)]) == 0
        return [
            entry for entry in gcs.GcsPlace(BUCKET, f"{self.prefix}/", lock=False).names() if entry.endswith(".zip")
        ]

    def full(self, name: str) -> str:
        return f"{self.prefix}/{name}"

    def downloads(self) -> list[str]:
        """Bundles that were asked for since the last look."""
        found = [
            path.rpartition("%2F")[2] for verb, path, _ in self.bucket.asked if verb == "GET" and path.endswith(".zip")
        ]
        self.bucket.asked.clear()
        return found


@pytest.fixture
def store(_cloud: tuple[Bucket, Kms], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    found, tokens = _cloud
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tokens.credentials))
    monkeypatch.setenv(gcs.ENDPOINT_VARIABLE, found.url)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for switch in (found.denied, found.vanished, found.made, found.cut, found.strange, found.composed, found.asked):
        switch.clear()
    found.refuse_listing = False
    return Store(found, tmp_path.name, tmp_path)


def judged(where: str | Path, out: Path, *more: str) -> tuple[int, Period]:
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    command = ["period", str(where), "--from", "2026-03-01", "--to", "2026-03-04", "-o", str(out / "period.json")]
    code = app.run([*command, *more])
    return code, Period.model_validate_json((out / "period.json").read_bytes())


def refused(store: Store, *more: str) -> int:
    """The exit code when nothing is judged."""
    return app.run(["period", store.url, "--from", "2026-03-01", "--to", "2026-03-04", *more])


def problems(period: Period) -> dict[str, tuple[str, Any]]:
    return {entry.bundle: (entry.verdict, entry.problem) for entry in period.ledger if entry.problem}


def test_the_findings_are_those_of_a_folder_and_every_bundle_is_copied_once(
    nights: Nights, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for number, archive in enumerate(nights.archives):
        shutil.copy(archive, folder / f"2026-03-0{number + 1}.zip")
        store.upload(f"2026-03-0{number + 1}.zip", archive.read_bytes())
    code, here = judged(folder, tmp_path / "out", "--key", str(nights.public))
    assert (code, here.outcome) == (1, "deviations")
    store.bucket.asked.clear()
    assert judged(store.url, tmp_path / "out", "--key", str(nights.public)) == (1, here)
    assert store.downloads() == ["2026-03-01.zip", "2026-03-02.zip", "2026-03-03.zip"]
    assert "3 bundles copied to" in capsys.readouterr().err
    assert judged(store.url, tmp_path / "out", "--key", str(nights.public)) == (1, here)
    assert store.downloads() == []
    store.upload("2026-03-02.zip", nights.archives[0].read_bytes())  # a bucket without retention
    _, other = judged(store.url, tmp_path / "out")
    assert store.downloads() == ["2026-03-02.zip"]
    assert sum(entry.counted for entry in other.ledger) == 2


def test_a_package_is_made_of_what_was_copied(nights: Nights, store: Store, tmp_path: Path) -> None:
    store.put(nights)
    cache, package = tmp_path / "copies", tmp_path / "package"
    more = ["--package", str(package), "--sign-with", str(nights.private), "--cache", str(cache)]
    code, _ = judged(store.url, tmp_path / "out", *more)
    assert code == 1 and len(list(cache.rglob("bundle.zip"))) == 3
    assert app.run(["verify", str(package), "--key", str(nights.public)]) == 0


def test_a_copy_in_the_cache_that_was_altered_is_copied_again(nights: Nights, store: Store, tmp_path: Path) -> None:
    names = store.put(nights)
    _, before = judged(store.url, tmp_path / "out")
    copy = tmp_path / "cache/compliancectl/gs" / BUCKET / store.prefix / names[1]
    data = bytearray(copy.read_bytes())
    data[len(data) // 2] ^= 1
    copy.write_bytes(data)
    store.bucket.asked.clear()
    assert judged(store.url, tmp_path / "out")[1] == before
    assert len(store.downloads()) == 1 and copy.read_bytes() == nights.archives[1].read_bytes()


def test_a_download_that_breaks_off_is_an_error_and_the_next_call_goes_on(
    nights: Nights, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = store.put(nights)
    store.bucket.cut.add(store.full(sorted(names)[2]))
    store.bucket.asked.clear()
    assert refused(store) == 3
    assert "broke off" in (said := capsys.readouterr().err) and "what was copied is kept" in said
    assert len(store.downloads()) == 3
    assert not list((tmp_path / "cache").rglob(".new-*"))
    assert judged(store.url, tmp_path / "out")[0] == 1
    assert len(store.downloads()) == 1


def test_a_bundle_that_may_not_be_read_leaves_no_control_conclusive(
    nights: Nights, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = sorted(store.put(nights))
    store.bucket.denied.add(store.full(names[1]))
    store.bucket.vanished.add(store.full(names[2]))
    code, period = judged(store.url, tmp_path / "out")
    assert (code, period.outcome) == (3, "inconclusive")
    assert {verdict for verdict, _ in problems(period).values()} == {"not read"}
    assert "HTTP 403" in problems(period)[names[1]][1] and "knows no" in problems(period)[names[2]][1]
    (control,) = period.controls
    assert "2 bundles of the store could not be read." in control.reasons
    assert f"○ {names[1]} was not read: Cloud Storage refuses" in capsys.readouterr().out
    store.bucket.denied.clear()
    store.bucket.vanished.clear()
    assert judged(store.url, tmp_path / "out")[0] == 1


def test_the_report_names_what_was_not_read(nights: Nights, store: Store, tmp_path: Path) -> None:
    names = sorted(store.put(nights))
    store.bucket.denied.add(store.full(names[0]))
    package, out = tmp_path / "package", tmp_path / "report.html"
    code, period = judged(store.url, tmp_path / "out", "--package", str(package), "--sign-with", str(nights.private))
    assert (code, period.outcome) == (3, "inconclusive")
    assert app.run(["report", "type2", str(package), "--html", "-o", str(out)]) == 0
    text = " ".join(html.unescape(re.sub("<[^>]+>", " ", out.read_text())).split())
    assert f"Could not be read, so that no control is conclusive {names[0]} Cloud Storage refuses" in text
    assert "0 do not verify, 1 not read" in text and "1 bundle of the store could not be read." in text
    assert "1 Mar 2026 2 Mar 3 Mar" in text, "the scale of a short period has its days"
    assert "compliancectl period BUNDLES --from 2026-03-01 --to 2026-03-04" in text


def test_an_object_that_is_not_what_was_stored_does_not_verify(nights: Nights, store: Store, tmp_path: Path) -> None:
    names = sorted(store.put(nights))
    store.upload(names[1], nights.archives[0].read_bytes())  # a sealed bundle, and not the one of the record
    code, period = judged(store.url, tmp_path / "out", "--key", str(nights.public))
    ((name, (verdict, problem)),) = problems(period).items()
    assert (code, name, verdict) == (4, names[1], "does not verify") and "it is not what was stored" in problem


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_what_was_purged_or_lost_is_said(
    nights: Nights, store: Store, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = store.url if kind == "bucket" else str(tmp_path / "depot")
    for archive in nights.archives:
        assert app.run(["store", "put", where, str(archive), "--key", str(nights.public)]) == 0
    place: Any = (
        gcs.GcsPlace(BUCKET, f"{store.prefix}/", lock=False)
        if kind == "bucket"
        else local.LocalPlace(tmp_path / "depot")
    )
    names = sorted(name for name in place.names() if name.endswith(".zip"))
    place.delete(names[0])
    place.delete(names[1])
    stone = {
        "version": 1,
        "run_id": "run-1",
        "statement_sha256": "1",
        "archive_sha256": "2",
        "by": "me",
        "reason": "tidy",
    }
    data = json.dumps({**stone, "at": "2026-11-01T00:00:00Z"}).encode()
    tombstone = names[1].replace("bundle.zip", "tombstone.json")
    if kind == "bucket":
        store.upload(tombstone, data)
    else:
        (tmp_path / "depot" / tombstone).write_bytes(data)
    code, period = judged(where, tmp_path / "out")
    assert code == 3
    assert problems(period) == {
        names[0]: ("not read", "its record is there, and the bundle is not"),
        names[1]: ("not read", "it was purged 2026-11-01T00:00:00Z by me: tidy"),
    }


def test_what_was_stored_before_the_period_is_not_asked_for_and_counted(
    nights: Nights, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, archive in enumerate(nights.archives):
        store.upload(f"{number}.zip", archive.read_bytes())
    store.bucket.made |= {store.full("0.zip"): "2026-02-27T23:59:59Z", store.full("1.zip"): "2026-02-28T00:00:00Z"}
    store.bucket.asked.clear()
    _, period = judged(store.url, tmp_path / "out")
    assert store.downloads() == ["1.zip", "2.zip"]
    assert "1 not read, stored before 2026-02-28" in capsys.readouterr().err
    assert len(period.ledger) == 2


def test_an_object_without_a_stated_digest_is_copied_each_time(nights: Nights, store: Store, tmp_path: Path) -> None:
    for number, archive in enumerate(nights.archives):
        store.upload(f"{number}.zip", archive.read_bytes())
    store.bucket.composed.add(store.full("1.zip"))
    first = judged(store.url, tmp_path / "out")
    store.bucket.asked.clear()
    assert judged(store.url, tmp_path / "out") == first
    assert store.downloads() == ["1.zip"]


def test_what_is_no_packed_bundle_is_named(nights: Nights, store: Store, tmp_path: Path) -> None:
    store.upload("good.zip", nights.archives[0].read_bytes())
    store.upload("notes.txt", b"hello")
    store.upload("loose/SHA256SUMS", b"none")
    store.bucket.strange.add(store.full("../escape.zip"))
    store.upload("broken.zip", b"PK\x03\x04 no archive")
    code, period = judged(store.url, tmp_path / "out")
    found = problems(period)
    assert code == 4 and set(found) == {"loose/", "../escape.zip", "broken.zip"}
    assert found["../escape.zip"] == ("not read", "its name cannot be the name of a file")
    assert found["loose/"][0] == "not read" and "unpacked" in found["loose/"][1]
    assert found["broken.zip"][0] == "does not verify"
    assert not list(tmp_path.rglob("escape.zip"))


def test_a_bucket_that_cannot_be_read(nights: Nights, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(store) == 2
    assert "there is no bundle below" in capsys.readouterr().err
    store.upload("only.zip", nights.archives[0].read_bytes())
    store.bucket.denied.add(store.full("only.zip"))
    assert refused(store) == 3
    said = capsys.readouterr().err
    assert "could be read: only.zip: Cloud Storage refuses" in said
    store.bucket.refuse_listing = True
    assert refused(store) == 3
    assert "HTTP 503" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("where", "more", "said"),
    [
        ("ftp://bucket/prefix", [], "Name a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX"),
        ("gs://", [], "names no bucket"),
        ("s3:///prefix", [], "names no bucket"),
        (".", ["--cache", "x"], "--cache is for a bucket"),
        ("nowhere", [], "is not a folder"),
    ],
)
def test_places_that_are_none(where: str, more: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["period", where, "--from", "2026-03-01", "--to", "2026-03-04", *more]) == 2
    assert said in capsys.readouterr().err


def test_nothing_is_copied_into_a_sealed_bundle(
    nights: Nights, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    store.put(nights)
    sealed = nights.archives[0].parent / "folders" / "0"
    assert refused(store, "--cache", str(sealed / "copies")) == 2
    assert "a sealed bundle is here already" in capsys.readouterr().err and not (sealed / "copies").exists()


def test_reading_asks_for_no_right_to_write(nights: Nights, store: Store, tmp_path: Path) -> None:
    store.put(nights)
    store.bucket.asked.clear()
    judged(store.url, tmp_path / "out")
    assert {verb for verb, _, _ in store.bucket.asked} == {"GET"}
    scopes = gcs.GcsPlace(BUCKET, "", lock=False, read_only=True).api.session.credentials.scopes
    assert scopes == ["https://www.googleapis.com/auth/devstorage.read_only"]


# -- history and trend ------------------------------------------------------------------------------------------------


def listed(where: str | Path, command: str, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, Any, str]:
    """Exit code, what is printed as JSON, and what is said meanwhile."""
    code = app.run([command, str(where), "--format", "json", *more])
    found = capsys.readouterr()
    return code, json.loads(found.out), found.err


@pytest.mark.parametrize("command", ["history", "trend"])
def test_history_and_trend_of_a_bucket_are_those_of_a_folder(
    nights: Nights, store: Store, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for number, archive in enumerate(nights.archives):
        shutil.copy(archive, folder / f"{number}.zip")
    store.put(nights)
    capsys.readouterr()
    store.bucket.asked.clear()
    code, here, _ = listed(folder, command, capsys)
    assert listed(store.url, command, capsys)[:2] == (code, here) == (0, here)
    assert len(store.downloads()) == 3
    assert listed(store.url, command, capsys)[:2] == (0, here)
    assert store.downloads() == []
    assert app.run([command, store.url, "--cache", str(tmp_path / "copies")]) == 0
    assert "TST-01" in capsys.readouterr().out
    assert len(list((tmp_path / "copies").rglob("bundle.zip"))) == 3


@pytest.mark.parametrize("command", ["history", "trend"])
def test_a_history_that_lacks_a_bundle_says_so(
    nights: Nights, store: Store, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    names = sorted(store.put(nights))
    store.bucket.denied.add(store.full(names[1]))
    capsys.readouterr()
    code, found, said = listed(store.url, command, capsys)
    runs = found["runs"] if command == "history" else found[0]["points"]
    assert (code, len(runs)) == (3, 2) and f"{names[1]} is not in it: Cloud Storage refuses" in said


def test_what_is_no_longer_in_the_bucket_is_no_longer_in_its_history(
    nights: Nights, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, archive in enumerate(nights.archives):
        store.upload(f"{number}.zip", archive.read_bytes())
    assert len(listed(store.url, "history", capsys)[1]["runs"]) == 3
    gcs.GcsPlace(BUCKET, f"{store.prefix}/", lock=False).delete("1.zip")
    assert [run["run_id"] for run in listed(store.url, "history", capsys)[1]["runs"]] == ["run-0", "run-2"]


def test_a_history_since_a_day_copies_only_what_was_stored_since(
    nights: Nights, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, archive in enumerate(nights.archives):
        store.upload(f"{number}.zip", archive.read_bytes())
    store.bucket.made |= {store.full("0.zip"): "2026-02-27T23:59:59Z"}
    store.bucket.asked.clear()
    _, found, said = listed(store.url, "history", capsys, "--since", "2026-03-01")
    assert store.downloads() == ["1.zip", "2.zip"] and len(found["runs"]) == 2
    assert "1 not read, stored before 2026-02-28" in said


def test_a_folder_has_no_cache(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["trend", str(tmp_path), "--cache", "x"]) == 2
    assert "--cache is for a bucket" in capsys.readouterr().err
