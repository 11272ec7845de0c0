"""The ledger through the command line: runs are entered, and what is done to the ledger afterwards shows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from schema import faults

from compliancectl import canonical, clock
from compliancectl import ledger as ledgers
from compliancectl.cli import app
from compliancectl.coverage import coverage
from compliancectl.model.evidence import Window
from compliancectl.model.ledger import Entry
from compliancectl.sandbox import company as definition
from compliancectl.sandbox.run import running
from compliancectl.seal import keys, merkle, note


@dataclass(frozen=True)
class Book:
    """A ledger with a run that was sealed, one that was dropped, and a note; and what others keep."""

    place: Path
    folder: Path
    verifier: str
    key: Path
    bundle: Path
    run_id: str

    def copy(self, place: Path) -> Path:
        return Path(shutil.copytree(self.folder, place))


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Book:
    place = tmp_path_factory.mktemp("book")
    folder, key, signer = place / "ledger", place / "ledger.pem", keys.new_key(place / "ci")
    made = ledgers.create(folder, "larkspur.example/evidence", key)
    (place / "verifier.txt").write_text(made.verifier + "\n")
    with running(definition.load(), place / "company", only=("documents",)) as box:
        run = ["run", "--scope", str(box.scope_file), "--only", "VND-02", "--key", str(signer.private)]
        run += ["--ledger", str(folder), "--ledger-key", str(key)]
        assert app.run([*run, "-o", str(place / "first")]) == 0
        shutil.copyfile(folder / "checkpoint", place / "kept")
        # The authority of the second run is not there: it was begun, and never sealed.
        assert app.run([*run, "-o", str(place / "second"), "--timestamp", "http://127.0.0.1:9/tsr"]) == 3
    add = ["ledger", "add", str(folder), "--ledger-key", str(key), "--bundle", str(place / "first/bundle")]
    assert app.run([*add, "--kind", "export", "To Fern & Co, by mail"]) == 0
    run_id = json.loads((place / "first/bundle/run.json").read_bytes())["id"]
    return Book(place, folder, made.verifier, key, place / "first/bundle", run_id)


def test_a_run_is_entered_before_its_first_call_and_when_it_is_sealed(book: Book) -> None:
    opened, sealed, dropped, export = ledgers.read(book.folder).entries
    assert [e.kind for e in (opened, sealed, dropped, export)] == ["open", "seal", "open", "export"]
    assert (sealed.opens, sealed.run_id, sealed.status, sealed.outcome) == (0, book.run_id, "complete", "no deviations")
    assert (
        sealed.statement_sha256 == export.statement_sha256 == canonical.sha256_file(book.bundle / "seal/statement.json")
    )
    run = json.loads((book.bundle / "run.json").read_bytes())
    assert opened.scope_sha256 == sealed.scope_sha256 == run["scope_sha256"]
    assert opened.at <= clock.parse(run["started_at"]) <= sealed.at <= dropped.at <= export.at
    assert opened.controls_sha256 == sealed.controls_sha256 == dropped.controls_sha256
    assert export.text == "To Fern & Co, by mail"


def test_an_honest_ledger_holds(book: Book, capsys: pytest.CaptureFixture[str]) -> None:
    check = ["ledger", "check", str(book.folder), "--against", str(book.place / "kept"), "--bundle", str(book.bundle)]
    for key in (book.verifier, str(book.place / "verifier.txt")):
        assert app.run([*check, "--key", key]) == 0
    said = capsys.readouterr().out
    assert "larkspur.example/evidence: 4 entries hold" in said and f"sealed as run {book.run_id}, entry 1" in said
    assert app.run(["ledger", "show", str(book.folder)]) == 0
    assert "export" in capsys.readouterr().out


def lines(folder: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    path = folder / "entries.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in change(path.read_bytes().splitlines())))


def rechain(found: list[bytes]) -> list[bytes]:
    """Make the chain hold again, as whoever drops or edits an entry would."""
    done: list[bytes] = []
    for number, line in enumerate(found):
        value = json.loads(line)
        value.update(sequence=number, previous=canonical.sha256(done[-1]) if done else "0" * 64)
        done.append(canonical.to_bytes(value))
    return done


def edit(number: int, **fields: Any) -> Callable[[list[bytes]], list[bytes]]:
    def change(found: list[bytes]) -> list[bytes]:
        found[number] = canonical.to_bytes({**json.loads(found[number]), **fields})
        return found

    return change


def drop(number: int) -> Callable[[list[bytes]], list[bytes]]:
    return lambda found: [line for place, line in enumerate(found) if place != number]


def forge(folder: Path, key: Path) -> None:
    """Sign a checkpoint over the entries as they are now, with any key."""
    leaves = [merkle.leaf(line) for line in (folder / "entries.jsonl").read_bytes().splitlines()]
    signer = note.load_key(key, "larkspur.example/evidence")
    checkpoint = note.Checkpoint("larkspur.example/evidence", len(leaves), merkle.root(leaves))
    (folder / "checkpoint").write_bytes(note.sign(checkpoint, signer))


def elsewhere(folder: Path, book: Book) -> None:
    """A checkpoint by the right key, about another ledger."""
    leaves = [merkle.leaf(line) for line in (folder / "entries.jsonl").read_bytes().splitlines()]
    other = "larkspur.example/rehearsal"
    checkpoint = note.Checkpoint(other, len(leaves), merkle.root(leaves))
    (folder / "checkpoint").write_bytes(note.sign(checkpoint, note.load_key(book.key, other)))


def stranger(folder: Path) -> None:
    note.new_key(folder.with_name("stranger.pem"), "larkspur.example/evidence")
    lines(folder, lambda found: rechain(drop(2)(found)))
    forge(folder, folder.with_name("stranger.pem"))


ATTACKS: dict[str, tuple[Callable[[Path], object], str]] = {
    "an entry is edited": (lambda f: lines(f, edit(1, outcome="deviations")), "does not follow"),
    "the last entry is edited": (lambda f: lines(f, edit(3, text="To nobody")), "not those of its checkpoint"),
    "an entry is dated back": (lambda f: lines(f, lambda n: rechain(edit(3, at="2020-01-01T00:00:00Z")(n))), "dated before"),
    "a dropped run is dropped from the ledger": (lambda f: lines(f, drop(2)), "entry 2 does not follow"),
    "the same, and the chain made anew": (lambda f: lines(f, lambda n: rechain(drop(2)(n))), "not those of its checkpoint"),
    "the same, signed by a stranger": (stranger, "not signed by the ledger's key"),
    "an entry is added": (lambda f: lines(f, lambda n: [*n, n[-1]]), "entry 4 does not follow"),
    "two entries are swapped": (lambda f: lines(f, lambda n: [n[0], n[2], n[1], n[3]]), "entry 1 does not follow"),
    "a run is sealed twice": (
        lambda f: lines(f, lambda n: rechain([*n, canonical.to_bytes({**json.loads(n[1]), "at": json.loads(n[3])["at"]})])),
        "was sealed before",
    ),
    "an entry has a remark": (lambda f: lines(f, edit(0, remark="fine")), "entry 0 cannot be read"),
    "the last entry is cut short": (
        lambda f: (f / "entries.jsonl").write_bytes((f / "entries.jsonl").read_bytes()[:-5]),
        "cut short",
    ),
    "entries are removed from the end": (lambda f: lines(f, lambda n: n[:2]), "not those of its checkpoint"),
    "the checkpoint is edited": (
        lambda f: (f / "checkpoint").write_bytes((f / "checkpoint").read_bytes().replace(b"\n4\n", b"\n2\n")),
        "not signed",
    ),
    "the checkpoint is emptied": (lambda f: (f / "checkpoint").write_bytes(b""), "not a checkpoint"),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_what_is_done_to_a_ledger_shows_and_nothing_is_added_to_it(
    book: Book, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    attack, part = ATTACKS[name]
    folder = book.copy(tmp_path / "ledger")
    attack(folder)
    assert app.run(["ledger", "check", str(folder), "--key", book.verifier]) == 4
    assert part in capsys.readouterr().err
    before = (folder / "entries.jsonl").read_bytes()
    assert app.run(["ledger", "add", str(folder), "--ledger-key", str(book.key), "hello"]) == 4
    assert (folder / "entries.jsonl").read_bytes() == before


def test_the_key_holder_who_writes_the_ledger_anew_is_caught_by_a_checkpoint_that_was_kept(
    book: Book, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copyfile(book.folder / "checkpoint", tmp_path / "kept")
    folder = book.copy(tmp_path / "ledger")
    lines(folder, lambda found: rechain(drop(2)(found)))
    forge(folder, book.key)
    check = ["ledger", "check", str(folder), "--key", book.verifier]
    assert app.run(check) == 0, "the chain alone cannot tell"
    assert app.run([*check, "--against", str(book.place / "kept")]) == 0, "what was before the drop is as it was"
    assert app.run([*check, "--against", str(tmp_path / "kept")]) == 4
    assert "written anew" in capsys.readouterr().err


def test_a_ledger_rolled_back_to_an_old_checkpoint_is_caught_by_a_newer_one(book: Book, tmp_path: Path) -> None:
    shutil.copyfile(book.folder / "checkpoint", tmp_path / "newer")
    folder = book.copy(tmp_path / "ledger")
    lines(folder, lambda found: found[:2])
    shutil.copyfile(book.place / "kept", folder / "checkpoint")
    check = ["ledger", "check", str(folder), "--key", book.verifier]
    assert app.run(check) == 0
    assert app.run([*check, "--against", str(tmp_path / "newer")]) == 4


def test_a_crash_between_entry_and_checkpoint_is_mended_by_the_next_entry(
    book: Book, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = book.copy(tmp_path / "ledger")
    before = (folder / "checkpoint").read_bytes()
    assert app.run(["ledger", "add", str(folder), "--ledger-key", str(book.key), "one"]) == 0
    (folder / "checkpoint").write_bytes(before)
    check = ["ledger", "check", str(folder), "--key", book.verifier]
    assert app.run(check) == 0 and "1 later, which no checkpoint covers yet" in capsys.readouterr().out
    assert app.run(["ledger", "add", str(folder), "--ledger-key", str(book.key), "two"]) == 0
    assert app.run(check) == 0 and "6 entries hold\n" in capsys.readouterr().out


def test_a_proof_shows_that_a_bundle_is_in_the_ledger(
    book: Book, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    proof = tmp_path / "run.tlog-proof"
    assert app.run(["ledger", "proof", str(book.folder), "--run", book.run_id, "-o", str(proof)]) == 0
    check = ["ledger", "check-proof", str(proof), str(book.bundle), "--key", book.verifier]
    assert app.run(check) == 0 and "entry 1 of 4" in capsys.readouterr().out
    whole = proof.read_bytes()
    head, extra, index, one, *rest = whole.split(b"\n")
    for forged in (
        b"\n".join([head, extra, b"index 0", one, *rest]),
        b"\n".join([head, extra, index, *rest]),
        b"\n".join([head, extra, index, one[::-1], *rest]),
        b"\n".join([head, extra[:-8] + b"AAAAAAA=", index, one, *rest]),
        b"hello",
    ):
        proof.write_bytes(forged)
        assert app.run(check) == 4, forged
    proof.write_bytes(whole)
    other = shutil.copytree(book.bundle, tmp_path / "other")
    statement = json.loads((other / "seal/statement.json").read_bytes())
    statement["predicate"]["operator"]["id"] = "mallory"
    (other / "seal/statement.json").write_bytes(canonical.to_bytes(statement))
    capsys.readouterr()
    assert app.run(["ledger", "check-proof", str(proof), str(other), "--key", book.verifier]) == 4
    assert "was sealed with another statement" in capsys.readouterr().err
    assert app.run(["ledger", "check", str(book.folder), "--key", book.verifier, "--bundle", str(other)]) == 4
    assert app.run(["ledger", "proof", str(book.folder), "--run", "none", "-o", str(tmp_path / "x")]) == 2


def test_coverage_shows_the_run_that_was_dropped(book: Book, capsys: pytest.CaptureFixture[str]) -> None:
    entries = ledgers.read(book.folder).entries
    start, end = entries[0].at, entries[-1].at + timedelta(milliseconds=1)
    span = ["--from", clock.text(start), "--to", clock.text(end), "--every", "weekly"]
    command = ["ledger", "coverage", str(book.folder), "--key", book.verifier, *span]
    assert app.run(command) == 3
    assert "2 runs opened, 1 sealed in time, 0 late, 1 dropped" in capsys.readouterr().out
    assert app.run([*command, "--format", "json"]) == 3
    found = json.loads(capsys.readouterr().out)
    assert faults("coverage", found) == [] and all(faults("ledger-entry", e.to_json()) == [] for e in entries)
    assert [entry["sequence"] for entry in found["dropped"]] == [2]


def test_a_run_is_refused_when_only_half_of_a_ledger_is_named(book: Book, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["run", "--key", str(book.place / "ci.pem"), "--ledger", str(book.folder)]) == 2
    assert "--ledger-key" in capsys.readouterr().err


# -- coverage over a longer period ------------------------------------------------------------------------------------

DAY = clock.parse("2026-03-01T00:00:00Z")


def run(number: int, day: int, *, hours: float = 1, status: str = "complete", controls: str = "0" * 64) -> list[Entry]:
    """Opened at two o'clock of a day and sealed some hours later; it observes the 24 hours before it was opened."""

    def entry(sequence: int, at: datetime, **fields: Any) -> Entry:
        place = {"sequence": sequence, "previous": "0" * 64, "at": at, "tool_version": "0.1.0"}
        return Entry.model_validate({**place, **fields})

    begun = DAY + timedelta(days=day, hours=2)
    window = {"start": begun - timedelta(days=1), "end": begun}
    return [
        entry(number, begun, kind="open", controls_sha256=controls),
        entry(number + 1, begun + timedelta(hours=hours), kind="seal", opens=number, status=status, observation=window),
    ]


def test_a_period_without_a_hole_is_covered() -> None:
    entries = [entry for day in range(6) for entry in run(2 * day, day)]
    found = coverage(entries, DAY, DAY + timedelta(days=5), "daily")
    assert (found.exit_code, len(found.slots), found.gaps, found.dropped, found.changes) == (0, 5, (), (), ())


def test_missing_late_partial_and_dropped_runs_gaps_and_changes_are_shown() -> None:
    entries = [
        *run(0, 0),
        *run(2, 1, hours=30),  # sealed a day late
        *run(4, 2, status="partial"),
        run(6, 3)[0],  # never sealed
        *run(7, 5, controls="1" * 64),  # nothing was begun on the day before
        *run(9, 6, controls="1" * 64),
    ]
    found = coverage(entries, DAY, DAY + timedelta(days=6), "daily")
    assert [slot.covered for slot in found.slots] == [True, False, False, False, False, True]
    assert [slot.late for slot in found.slots] == [0, 1, 0, 0, 0, 0]
    assert [entry.sequence for entry in found.dropped] == [6]
    assert [entry.sequence for entry in found.partial] == [5]
    night = timedelta(hours=2)
    assert [(gap.start, gap.end) for gap in found.gaps] == [
        (DAY + timedelta(days=1) + night, DAY + timedelta(days=4) + night)
    ]
    assert found.changes == ("2026-03-06T02:00:00Z, entry 7: other controls than in entry 6",)
    assert found.exit_code == 3


def test_nobody_has_observed_what_came_after_a_run_was_sealed() -> None:
    """The scope may name a period that is not over yet, and then each run is entered with the whole of it."""
    whole = Window(start=DAY, end=DAY + timedelta(days=9))
    entries = [entry.model_copy(update={"observation": whole}) for entry in (*run(0, 0), *run(2, 3))]
    (gap,) = coverage(entries, DAY, DAY + timedelta(days=9), "weekly").gaps
    assert (gap.start, gap.end) == (DAY + timedelta(days=3, hours=3), DAY + timedelta(days=9))


# -- a trust policy that names the ledger -----------------------------------------------------------------------------


def trusting(book: Book, tmp_path: Path, more: str = "") -> Path:
    for name in ("ci.pub.pem", "verifier.txt", "kept"):
        shutil.copyfile(book.place / name, tmp_path / name)
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        f"version: 1\nkeys: [{{key_file: ci.pub.pem, name: CI}}]\nledger: {{key_file: verifier.txt{more}}}\n"
    )
    return policy


def test_a_policy_that_names_a_ledger_wants_the_bundle_in_it(
    book: Book, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = trusting(book, tmp_path, ", checkpoint_files: [kept], latest: true")
    verify = ["verify", str(book.bundle), "--trust", str(policy)]
    assert app.run(verify) == 3, "no ledger was given"
    assert "16" in capsys.readouterr().out
    assert app.run([*verify, "--ledger", str(book.folder)]) == 0
    assert "Entry 1 of 4" in (said := capsys.readouterr().out) and "The latest one; 1 opened and never sealed" in said
    assert app.run([*verify, "--ledger", str(book.folder), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert faults("verification", found) == [] and found["steps"][-1]["title"] == "Entered in the ledger"
    assert faults("trust", {"version": 1, "keys": [{"key_file": "x", "name": "y"}], "ledger": {"key_file": "v"}}) == []


def test_a_proof_does_for_one_bundle_but_cannot_show_that_it_is_the_latest(book: Book, tmp_path: Path) -> None:
    proof = tmp_path / "run.tlog-proof"
    assert app.run(["ledger", "proof", str(book.folder), "--run", book.run_id, "-o", str(proof)]) == 0
    for more, code in (("", 0), (", latest: true", 3)):
        verify = ["verify", str(book.bundle), "--trust", str(trusting(book, tmp_path, more)), "--proof", str(proof)]
        assert app.run(verify) == code
    assert app.run([*verify, "--ledger", str(book.folder)]) == 2
    assert app.run(["verify", str(book.bundle), "--key", str(book.place / "ci.pub.pem"), "--proof", str(proof)]) == 2


def latest_again(folder: Path, book: Book) -> None:
    """Somebody seals another run; the bundle at hand is an old one."""
    again = {"kind": "seal", "opens": 2, "run_id": "later", "statement_sha256": "1" * 64, "status": "complete"}
    ledgers.append(folder, book.key, lambda found: ledgers.blank(**again))


def other_statement(folder: Path, book: Book) -> None:
    lines(folder, lambda n: rechain(edit(1, statement_sha256="2" * 64)(n)))
    forge(folder, book.key)


def another_status(folder: Path, book: Book) -> None:
    lines(folder, lambda n: rechain(edit(1, status="partial")(n)))
    forge(folder, book.key)


def not_entered(folder: Path, book: Book) -> None:
    lines(folder, lambda n: rechain([n[0], n[2]]))
    forge(folder, book.key)


PASSED_OFF: dict[str, tuple[Callable[[Path, Book], object], str]] = {
    "an old bundle is passed off as new": (latest_again, "It is not the latest: 1 sealed later"),
    "the run was sealed with another statement": (other_statement, "sealed with another statement"),
    "the entry says another status": (another_status, "says something else about the run"),
    "the run was never entered": (not_entered, "has no entry for this bundle"),
    "the ledger is edited": (lambda f, b: lines(f, edit(1, outcome="deviations")), "does not follow"),
    "the ledger is a stranger's": (lambda f, b: stranger(f), "not signed by the ledger's key"),
    "the ledger is cut short": (lambda f, b: lines(f, lambda n: n[:1]), "not those of its checkpoint"),
    "the checkpoint is of another ledger": (elsewhere, "is of the ledger 'larkspur.example/rehearsal', not of"),
}


@pytest.mark.parametrize("name", PASSED_OFF)
def test_a_bundle_that_the_ledger_does_not_bear_out_does_not_verify(
    book: Book, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    attack, part = PASSED_OFF[name]
    folder = book.copy(tmp_path / "ledger")
    attack(folder, book)
    verify = ["verify", str(book.bundle), "--trust", str(trusting(book, tmp_path, ", latest: true"))]
    assert app.run([*verify, "--ledger", str(folder)]) == 4
    assert part in (said := " ".join(capsys.readouterr().out.split())) and "step 16" in said


def test_a_ledger_written_anew_is_caught_by_the_checkpoint_in_the_policy(book: Book, tmp_path: Path) -> None:
    folder = book.copy(tmp_path / "ledger")
    lines(folder, lambda n: rechain(edit(0, controls_sha256="3" * 64)(n)))
    forge(folder, book.key)
    verify = ["verify", str(book.bundle), "--ledger", str(folder), "--trust"]
    assert app.run([*verify, str(trusting(book, tmp_path))]) == 0, "the chain alone cannot tell"
    assert app.run([*verify, str(trusting(book, tmp_path, ", checkpoint_files: [kept]"))]) == 4


@pytest.mark.parametrize("text", ["ledger: {}", "ledger: {key: hello}", "ledger: {key_file: nowhere}", "ledger: 1"])
def test_a_policy_with_a_wrong_ledger_is_a_bad_file(book: Book, tmp_path: Path, text: str) -> None:
    policy = trusting(book, tmp_path)
    policy.write_text(f"version: 1\nkeys: [{{key_file: ci.pub.pem, name: CI}}]\n{text}\n")
    assert app.run(["verify", str(book.bundle), "--trust", str(policy)]) == 2


def test_growth_is_proved_without_the_ledger(book: Book, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    proof, kept = tmp_path / "growth.proof", book.place / "kept"
    assert app.run(["ledger", "consistency", str(book.folder), "--since", str(kept), "-o", str(proof)]) == 0
    check = ["ledger", "check-consistency", str(proof), "--key", book.verifier, "--since"]
    assert app.run([*check, str(kept)]) == 0 and "2 entries then, 4 now" in capsys.readouterr().out
    whole = proof.read_bytes()
    folder = book.copy(tmp_path / "ledger")
    lines(folder, lambda n: rechain(edit(0, controls_sha256="3" * 64)(n)))
    forge(folder, book.key)
    assert app.run(["ledger", "consistency", str(folder), "--since", str(kept), "-o", str(tmp_path / "x")]) == 4
    head, first, *rest = whole.split(b"\n")
    anew = (folder / "checkpoint").read_bytes()
    for forged in (
        b"\n".join([head, *rest]),
        b"\n".join([head, first[::-1], *rest]),
        b"\n".join([b"c2sp.org/tlog-proof@v1", first, *rest]),
        whole.partition(b"\n\n")[0] + b"\n\n" + anew,
        b"hello",
    ):
        proof.write_bytes(forged)
        assert app.run([*check, str(kept)]) == 4, forged
    proof.write_bytes(whole)
    assert app.run([*check, str(folder / "checkpoint")]) == 4, "another ledger's checkpoint is not the one kept"


def test_exports_and_verifications_are_entered_and_what_cannot_be_entered_does_not_happen(
    book: Book, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, policy = book.copy(tmp_path / "ledger"), trusting(book, tmp_path)
    export = ["export", "junit", str(book.bundle), "-o", str(tmp_path / "junit.xml"), "--trust", str(policy)]
    assert app.run([*export, "--ledger", str(folder), "--ledger-key", str(book.key)]) == 0
    verify = ["verify", str(book.bundle), "--trust", str(policy), "--ledger", str(folder)]
    assert app.run([*verify, "--enter", str(book.key)]) == 0
    exported, verified = ledgers.read(folder).entries[-2:]
    assert (exported.kind, exported.run_id, exported.text) == ("export", book.run_id, "junit to junit.xml")
    assert (verified.kind, verified.statement_sha256, verified.text) == (
        "verify",
        exported.statement_sha256,
        "verified",
    )
    assert app.run(["verify", str(book.bundle), "--enter", str(book.key)]) == 2
    lines(folder, edit(0, at="2020-01-01T00:00:00Z"))
    again = [*export[:4], str(tmp_path / "again.xml"), "--ledger", str(folder), "--ledger-key", str(book.key)]
    assert app.run(again) == 4 and not (tmp_path / "again.xml").exists()


def test_a_package_of_bundles_is_verified_with_its_ledger(
    book: Book, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package, policy = tmp_path / "package", trusting(book, tmp_path, ", latest: true")
    shutil.copytree(book.bundle, package / "2026/first")
    ledger = book.copy(package / "ledger")
    verify = ["verify", str(package), "--trust", str(policy)]
    assert app.run(verify) == 0
    assert "1 of 1 bundles verified" in (said := " ".join(capsys.readouterr().out.split()))
    assert "1 of 1 sealed runs present" in said
    latest_again(ledger, book)
    assert app.run(verify) == 3
    assert "1 of 2 sealed runs present" in " ".join(capsys.readouterr().out.split())
    assert app.run([*verify, "--format", "json"]) == 3
    assert json.loads(capsys.readouterr().out)["missing"] == ["later"]
    (package / "2026/first/run.json").write_bytes(b"{}")
    assert app.run(verify) == 4
    assert "step 9" in capsys.readouterr().out
