"""The ledger: an append-only chain of runs, so that none can be dropped, added or changed later without a trace.

    ledger/entries.jsonl   one RFC 8785 object a line; each names the digest of the line before
    ledger/checkpoint      origin, size and Merkle root (RFC 6962), signed with the ledger's key

A run is entered before its first call (`open`) and again when it is sealed (`seal`): a run that was abandoned because
it looked bad stays visible. The holder of the key can still write the whole ledger anew; every checkpoint that somebody
else keeps, on a protected branch, with an auditor, at a witness, shows it.
"""

from __future__ import annotations

import base64
import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

import compliancectl
from compliancectl import canonical, clock, disk
from compliancectl.errors import FileError, OutputError, UsageError, VerifyError
from compliancectl.model.ledger import ORIGIN, Entry
from compliancectl.seal import Problem, merkle, note

ENTRIES = "entries.jsonl"
CHECKPOINT = "checkpoint"
PROOF = "c2sp.org/tlog-proof@v1"
GROWTH = "compliancectl.dev/ledger-consistency@v1"
_MAX_PROOF = 1024**2


@dataclass(frozen=True)
class Ledger:
    """A ledger as it lies on disk: entries whose chain holds, and a checkpoint over all or the first of them."""

    folder: Path
    entries: tuple[Entry, ...]
    leaves: tuple[bytes, ...]
    checkpoint: bytes

    def covers(self, checkpoint: note.Checkpoint) -> bool:
        """True if this ledger begins with what `checkpoint` was made over."""
        return checkpoint.size <= len(self.leaves) and merkle.root(self.leaves[: checkpoint.size]) == checkpoint.root


def create(folder: Path, origin: str, key: Path) -> note.LedgerKey:
    """Make an empty ledger and its key.

    Raises:
        OutputError: if either is there already.
    """
    if folder.exists() and any(folder.iterdir()):
        raise OutputError("something is here already", file=folder, hint="Name a folder that does not exist yet.")
    made = note.new_key(key, origin)
    with disk.output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        disk.write_whole(folder / CHECKPOINT, note.sign(note.Checkpoint(origin, 0, merkle.root(())), made))
        disk.write_whole(folder / ENTRIES, b"")
    return made


def read(folder: Path) -> Ledger:
    """Read a ledger and check its chain. Who signed the checkpoint is not looked at: `check` does that.

    Raises:
        FileError: if there is none.
        VerifyError: naming the entry at which the chain breaks.
    """
    try:
        data, checkpoint = (folder / ENTRIES).read_bytes(), (folder / CHECKPOINT).read_bytes()
    except OSError as error:
        hint = "`compliancectl ledger new` makes one."
        raise FileError(f"there is no ledger here: {error.strerror}", file=folder, hint=hint) from error
    if data and not data.endswith(b"\n"):
        raise _broken(folder, "its last entry is cut short")
    lines = data.splitlines()
    entries = tuple(_chain(folder, lines))
    return Ledger(folder, entries, tuple(merkle.leaf(line) for line in lines), checkpoint)


def _chain(folder: Path, lines: Sequence[bytes]) -> Iterator[Entry]:
    previous, opened, last = ORIGIN, set[int | None](), None
    for number, line in enumerate(lines):
        try:
            entry = Entry.model_validate_json(line)
            exact = canonical.to_bytes(entry.to_json()) == line
        except (ValidationError, ValueError) as error:
            raise _broken(folder, f"entry {number} cannot be read") from error
        if not exact:
            raise _broken(folder, f"entry {number} is not in RFC 8785 form")
        if (entry.sequence, entry.previous) != (number, previous):
            raise _broken(folder, f"entry {number} does not follow the one before it")
        if last is not None and entry.at < last:
            raise _broken(folder, f"entry {number} is dated before the one before it")
        if entry.kind == "seal" and entry.opens not in opened:
            raise _broken(folder, f"entry {number} seals a run that was not opened, or was sealed before")
        if entry.kind == "open":
            opened.add(number)
        elif entry.kind == "seal":
            opened.discard(entry.opens)
        previous, last = canonical.sha256(line), entry.at
        yield entry


def check(folder: Path, verifier: str, kept: Sequence[Path] = ()) -> tuple[Ledger, note.Checkpoint]:
    """Check chain, root and signature, and that the ledger was only added to since the checkpoints in `kept`.

    Args:
        folder: The ledger.
        verifier: The ledger's verifier key, obtained from its owner and not from the ledger.
        kept: Checkpoints that somebody kept.

    Raises:
        VerifyError: saying what does not hold.
        FileError: if a file cannot be read, or the verifier key is none.
    """
    ledger = read(folder)
    try:
        checkpoint = note.read(ledger.checkpoint, verifier, member=CHECKPOINT)
    except Problem as problem:
        raise _broken(folder, f"its checkpoint {problem.message}") from problem
    if not ledger.covers(checkpoint):
        raise _broken(folder, f"its entries are not those of its checkpoint over {checkpoint.size} entries")
    for path in kept:
        hold_against(ledger, verifier, str(path), _read_file(path))
    return ledger, checkpoint


def hold_against(ledger: Ledger, verifier: str, name: str, kept: bytes) -> None:
    """Check that a ledger begins with what a checkpoint, called `name`, was made over.

    Raises:
        VerifyError: if it does not, or the checkpoint is not signed by the ledger's key.
    """
    try:
        old = note.read(kept, verifier, member=name)
    except Problem as problem:
        raise _broken(ledger.folder, f"{name} {problem.message}") from problem
    if not ledger.covers(old):
        raise _broken(ledger.folder, f"it was written anew: it does not begin with the {old.size} entries of {name}")


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(_MAX_PROOF)
    except OSError as error:
        raise FileError(f"it cannot be read: {error.strerror}", file=path, hint="Check the path.") from error


def append(folder: Path, key: Path, make: Callable[[Ledger], Entry]) -> Entry:
    """Add one entry and sign a new checkpoint.

    Args:
        folder: The ledger.
        key: The ledger's private key.
        make: Gives the entry; its `sequence`, `previous`, `at` and `tool_version` are filled in here.

    Raises:
        VerifyError: if the ledger does not hold: nothing is added to a broken one.
        OutputError: if it cannot be written.
    """
    with _locked(folder):
        ledger = read(folder)
        origin = ledger.checkpoint.decode(errors="replace").partition("\n")[0]
        signer = note.load_key(key, origin)
        check(folder, signer.verifier)
        previous = canonical.sha256(_line(ledger.entries[-1])) if ledger.entries else ORIGIN
        last = ledger.entries[-1].at if ledger.entries else None
        now = clock.now()
        entry = make(ledger).model_copy(
            update={
                "sequence": len(ledger.entries),
                "previous": previous,
                "at": max(now, last) if last else now,  # a clock that was set back must not break the chain
                "tool_version": compliancectl.__version__,
            }
        )
        lines = [*map(_line, ledger.entries), _line(entry)]
        root = merkle.root([merkle.leaf(line) for line in lines])
        with disk.output_errors(folder):
            # Entries first: a crash in between leaves an entry that no checkpoint covers yet, and the next one does.
            disk.write_whole(folder / ENTRIES, b"".join(line + b"\n" for line in lines))
            disk.write_whole(folder / CHECKPOINT, note.sign(note.Checkpoint(origin, len(lines), root), signer))
    return entry


def blank(**fields: object) -> Entry:
    """An entry whose place in the chain is filled in when it is appended."""
    place = {"sequence": 0, "previous": ORIGIN, "at": clock.now(), "tool_version": compliancectl.__version__}
    return Entry.model_validate({**place, **fields})


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with disk.output_errors(folder):
        handle = (folder / ".lock").open("w")
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)  # an entry takes milliseconds: wait for the other one
        yield


def _line(entry: Entry) -> bytes:
    return canonical.to_bytes(entry.to_json())


def _broken(file: Path, message: str) -> VerifyError:
    hint = "Compare it with a copy that somebody else keeps; nothing is added to a ledger that does not hold."
    return VerifyError(message, step=0, file=file, hint=hint)


# -- proofs -----------------------------------------------------------------------------------------------------------


def prove(ledger: Ledger, run_id: str) -> bytes:
    """A proof, in the form of c2sp.org/tlog-proof, that the sealing of a run is in the ledger.

    Raises:
        UsageError: if no such run was sealed, or no checkpoint covers it yet.
    """
    entry = next((e for e in ledger.entries if e.kind == "seal" and e.run_id == run_id), None)
    if entry is None:
        raise UsageError(f"no sealed run is called {run_id!r}", hint="`compliancectl ledger show` lists the entries.")
    size = note.parse(ledger.checkpoint, member=CHECKPOINT)[0].size
    if entry.sequence >= size:
        raise UsageError("no checkpoint covers this run yet", hint="The next entry brings one.")
    hashes = merkle.inclusion(ledger.leaves[:size], entry.sequence)
    lines = [PROOF, f"extra {_encode(_line(entry))}", f"index {entry.sequence}", *map(_encode, hashes), ""]
    return "\n".join(lines).encode() + b"\n" + ledger.checkpoint


def check_proof(path: Path, verifier: str) -> tuple[Entry, note.Checkpoint]:
    """Check a proof with the ledger's verifier key alone; returns the entry and the checkpoint that it is in.

    Raises:
        VerifyError: if it does not hold.
        FileError: if it cannot be read.
    """
    head, _, checkpoint = _read_file(path).partition(b"\n\n")
    try:
        first, extra, index, *hashes = head.decode("ascii").split("\n")
        line = base64.b64decode(extra.removeprefix("extra "), validate=True)
        position = int(index.removeprefix("index "))
        entry = Entry.model_validate_json(line)
        proof = [base64.b64decode(text, validate=True) for text in hashes]
        if first != PROOF or not extra.startswith("extra ") or not index.startswith("index "):
            raise ValueError("head")
        found = note.read(checkpoint, verifier, member="checkpoint")
    except Problem as problem:
        raise VerifyError(f"the checkpoint in it {problem.message}", step=0, file=path) from problem
    except ValueError as error:
        raise VerifyError("this is not a proof", step=0, file=path) from error
    root = merkle.root_by_inclusion(merkle.leaf(line), position, found.size, proof)
    if root != found.root or entry.sequence != position:
        raise VerifyError("the entry is not in the ledger of this checkpoint", step=0, file=path)
    return entry, found


def prove_growth(ledger: Ledger, old: bytes) -> bytes:
    """A proof (RFC 6962, consistency) that the ledger was only added to since the checkpoint `old`; ends with the present one.

    Raises:
        VerifyError: if it was not.
        UsageError: if the checkpoint is newer than the ledger's own.
    """
    try:
        before, now = (note.parse(data, member=CHECKPOINT)[0] for data in (old, ledger.checkpoint))
    except Problem as problem:
        raise VerifyError(f"the checkpoint {problem.message}", step=0) from problem
    if before.size > now.size:
        raise UsageError("the checkpoint is newer than the ledger", hint="Name an older one, or fetch the ledger.")
    if not ledger.covers(before):
        raise _broken(ledger.folder, f"it was written anew: it does not begin with the {before.size} entries")
    hashes = merkle.consistency(ledger.leaves[: now.size], before.size) if before.size else []
    return "\n".join([GROWTH, *map(_encode, hashes), ""]).encode() + b"\n" + ledger.checkpoint


def check_growth(path: Path, old: Path, verifier: str) -> tuple[note.Checkpoint, note.Checkpoint]:
    """Check with the verifier key alone that a ledger was only added to since the checkpoint in `old`.

    Returns:
        The old checkpoint and the one in the proof.

    Raises:
        VerifyError: if it does not hold.
        FileError: if a file cannot be read.
    """
    head, _, checkpoint = _read_file(path).partition(b"\n\n")
    try:
        before = note.read(_read_file(old), verifier, member="the old checkpoint")
        now = note.read(checkpoint, verifier, member="the checkpoint in the proof")
        first, *hashes = head.decode("ascii").split("\n")
        proof = [base64.b64decode(text, validate=True) for text in hashes]
    except Problem as problem:
        raise VerifyError(f"{problem.member} {problem.message}", step=0, file=path) from problem
    except ValueError as error:
        raise VerifyError("this is not a proof", step=0, file=path) from error
    empty = before.size == 0 and before.root == merkle.root(()) and not proof
    held = empty or (before.size and merkle.is_consistent(before.size, before.root, now.size, now.root, proof))
    if first != GROWTH or not held:
        raise VerifyError("it does not show that the ledger was only added to", step=0, file=path)
    return before, now


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
