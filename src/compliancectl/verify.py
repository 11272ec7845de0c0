"""Verification: is this bundle what its signer sealed, and is the signer one you trust? Offline, and without any setup.

    1  container   a folder of plain files, or a ZIP of exactly such a folder
    2  names       every name is plain, and stays one file on every system
    3  sums        SHA256SUMS is well formed
    4  unlisted    the files that are there are those that it lists, and the seal is complete
    5  statement   the statement, the envelope's payload and the signed bytes are one and the same
    6  signature   the signature over them was made with the enclosed key
    7  signer      you trust that key, or the identity whose key it was, and did so for the time of the run
    8  subject     the statement is about this SHA256SUMS
    9  digests     every file has the digest that is listed
    10 records     run, evidence and results agree with the files and with each other
    11 totals      the counts in the statement are those of the files
    12 status      says whether the run was complete
    13 counter     countersignatures are by their keys over the same statement; those that you ask for are there
    14 time        time stamps are about this signature, by authorities that you trust, at a time that fits the run
    15 demands     the bundle is what your trust policy asks for: whose, complete, how old
    16 ledger      it is entered in the ledger that your trust policy names
    17 elsewhere   only if tables and replies lie elsewhere: they say what was sealed

The first step that fails ends the verification; later ones would rest on it. A step that could not be taken is
`skipped`, and then the answer is `not established`: never `verified`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from compliancectl import clock, elsewhere
from compliancectl.canonical import sha256
from compliancectl.entered import NO_BOOK, Book, check_arguments, entered
from compliancectl.errors import UsageError, VerifyError
from compliancectl.lake import lies_elsewhere
from compliancectl.model.manifest import (
    TITLES,
    RunInfo,
    Signer,
    Statement,
    StepResult,
    TimeStamp,
    Verification,
    VerifyStep,
)
from compliancectl.model.trust import Trust
from compliancectl.seal import (
    Problem,
    Skipped,
    additions,
    container,
    dsse,
    keys,
    names,
    policy,
    records,
    statement,
    sums,
)
from compliancectl.seal.ahead import Ahead, Read
from compliancectl.seal.archive import Archive
from compliancectl.seal.container import Container, Folder
from compliancectl.seal.records import Files, Records, Whole
from compliancectl.seal.steps import failed, not_taken, plain, some

_MAX_SUMS = 256 * 1024**2
_MAX_SEAL = 16 * 1024**2
_MAX_RECORD = 256 * 1024**2
_FAR_MORE = 1024**3
"""Bytes above those that the statement counts, from which the files are not even hashed."""


def verify(
    path: Path,
    *,
    trust: Trust | None = None,
    subset_ok: bool = False,
    now: datetime | None = None,
    book: Book = NO_BOOK,
    away: elsewhere.Away | None = None,
    ahead: Ahead | None = None,
    progress: Callable[[str], None] = lambda text: None,
    tell: Callable[[StepResult], None] = lambda step: None,
    take: Callable[[Whole], None] = lambda whole: None,
) -> Verification:
    """Verify a bundle, a folder or a ZIP. Nothing is written and nothing is unpacked.

    Args:
        path: The bundle.
        trust: Whose signatures you accept. Without it the best answer is `not established`.
        subset_ok: The bundle is a sample: files may be missing. The best answer is then `not established` too.
        now: The present, for a trust policy that says how old a bundle may be.
        book: The ledger that the trust policy names, or a proof from it.
        away: Gives, by the run's id, what lies elsewhere of the tables and replies that are not in the bundle.
        ahead: Another process that already hashes this folder.
        progress: Told the title of each step before it is taken.
        tell: Told what came of each step, as soon as it is known.
        take: Given the bundle while it is open, if no step failed and no file is missing.

    Returns:
        All steps with their outcomes. What is wrong with the bundle is in there and is not raised.

    Raises:
        UsageError: there is nothing at `path`, or a ledger was given and the policy names none.
    """
    if not path.exists():
        raise UsageError(f"there is nothing at {path}", hint="Give the folder or the ZIP file of a bundle.")
    check_arguments(trust, book)
    return _Verifier(path, trust, subset_ok, now, book, away, ahead, progress, tell, take).run()


class _Verifier:
    """Holds what earlier steps have established for later ones."""

    container: Container
    listed: dict[str, str]
    statement: Statement
    envelope: dsse.Envelope
    files: Files
    records: Records

    def __init__(
        self,
        path: Path,
        trust: Trust | None,
        subset_ok: bool,
        now: datetime | None,
        book: Book,
        away: elsewhere.Away | None,
        ahead: Ahead | None,
        progress: Callable[[str], None],
        tell: Callable[[StepResult], None],
        take: Callable[[Whole], None],
    ) -> None:
        self.path = path
        self.trust = trust
        self.subset_ok = subset_ok
        self.now = now
        self.book = book
        self.open_away = away
        self.ahead = ahead
        self.progress = progress
        self.tell = tell
        self.take = take
        self.listed = {}
        self.present, self.away = list[str](), list[str]()
        self.signer: Signer | None = None
        self.countersigners: tuple[Signer, ...] = ()
        self.timestamps: tuple[TimeStamp, ...] = ()
        self.run_info: RunInfo | None = None

    def run(self) -> Verification:
        """Take the steps in order until one fails."""
        steps: tuple[tuple[VerifyStep, Callable[[], str]], ...] = (
            (VerifyStep.CONTAINER, self.step_1_container),
            (VerifyStep.NAMES, self.step_2_names),
            (VerifyStep.SUMS, self.step_3_sums),
            (VerifyStep.UNLISTED, self.step_4_unlisted),
            (VerifyStep.STATEMENT, self.step_5_statement),
            (VerifyStep.SIGNATURE, self.step_6_signature),
            (VerifyStep.SIGNER, self.step_7_signer),
            (VerifyStep.SUBJECT, self.step_8_subject),
            (VerifyStep.DIGESTS, self.step_9_digests),
            (VerifyStep.RECORDS, self.step_10_records),
            (VerifyStep.TOTALS, self.step_11_totals),
            (VerifyStep.STATUS, self.step_12_status),
            (VerifyStep.COUNTERSIGNED, self.step_13_countersigned),
            (VerifyStep.TIME, self.step_14_time),
            (VerifyStep.DEMANDS, self.step_15_demands),
            (VerifyStep.LEDGER, self.step_16_ledger),
            *([(VerifyStep.ELSEWHERE, self.step_17_elsewhere)] if self.open_away is not None else []),
        )
        done: list[StepResult] = []
        try:
            for step, take in steps:
                broken = bool(done) and any(result.outcome == "failed" for result in done)
                done.append(not_taken(step) if broken else self._take(step, take))
                self.tell(done[-1])
            if not self._sample and not any(result.outcome == "failed" for result in done):
                self.take(Whole(self.container, self.listed, sha256(self.sums_bytes), self.records))
        finally:
            if hasattr(self, "container"):
                self.container.__exit__(None, None, None)
        return Verification(
            path=str(self.path),
            steps=tuple(done),
            signer=self.signer,
            countersigners=self.countersigners,
            timestamps=self.timestamps,
            run=self.run_info,
            listed=len(self.listed),
            present=len(self.present),
            elsewhere=len(self.away),
        )

    def _take(self, step: VerifyStep, take: Callable[[], str]) -> StepResult:
        self.progress(TITLES[step])
        try:
            return StepResult(number=step, title=TITLES[step], outcome="ok", message=plain(take()))
        except Skipped as skipped:
            said, hint = skipped.message, skipped.hint
            return StepResult(number=step, title=TITLES[step], outcome="skipped", message=said, hint=hint)
        except Problem as problem:
            message = f"{problem.member} {problem.message}" if problem.member else problem.message
            return failed(step, message.rstrip(".") + ".", problem.hint, problem.member)
        except VerifyError as error:
            return failed(step, error.message, error.hint, error.file)
        except OSError as error:
            return failed(step, f"The bundle cannot be read: {error.strerror or error}.", None, None)

    def step_1_container(self) -> str:
        """The bundle is a folder of plain files, or a ZIP of exactly such a folder."""
        if not self.path.is_dir() and not self.path.is_file():
            raise Problem("The bundle is neither a folder nor a file")
        self.container = Folder(self.path) if self.path.is_dir() else Archive(self.path)
        size = sum(self.container.sizes.values())
        return f"{len(self.container.sizes)} plain files, {size:,} bytes."

    def step_2_names(self) -> str:
        """Every name is plain, and stays one file on every system."""
        for name in self.container.sizes:
            if reason := names.problem(name):
                raise Problem(f"The name {name!r} {reason}")
        if pair := names.clash(self.container.sizes):
            raise Problem(f"{pair[0]} and {pair[1]} are one file on some systems")
        return "No name is unsafe, and none collides with another."

    def step_3_sums(self) -> str:
        """SHA256SUMS is well formed."""
        if sums.NAME not in self.container.sizes:
            raise Problem("is missing", member=sums.NAME, hint="Name a bundle: a folder with SHA256SUMS, or its ZIP.")
        self.sums_bytes = container.read(self.container, sums.NAME, limit=_MAX_SUMS)
        self.listed = sums.parse(self.sums_bytes)
        return f"{len(self.listed)} files are listed."

    def step_4_unlisted(self) -> str:
        """The files that are there are those that are listed, and the seal is complete."""
        here = set(self.container.sizes)
        unlisted = here - self.listed.keys() - set(names.SEAL) - {sums.NAME}
        extra = sorted(name for name in unlisted if not additions.is_addition(name))
        if extra:
            raise Problem(f"{some(extra)}: not listed in SHA256SUMS", hint="Nothing may be added to a sealed bundle.")
        for name in names.SEAL:
            if name not in here:
                raise Problem("is missing", member=name)
        self.present = [name for name in self.listed if name in here]
        missing = [name for name in self.listed if name not in here]
        if self.open_away is not None:
            self.away = [name for name in missing if lies_elsewhere(name)]
            missing = [name for name in missing if not lies_elsewhere(name)]
        if missing and not self.subset_ok:
            raise Problem(
                f"{len(missing)} of {len(self.listed)} listed files are missing: {some(missing)}",
                hint="If this is a sample of the bundle on purpose, say --subset; if its tables lie elsewhere, --tables.",
            )
        if missing:
            return f"{len(self.present)} of {len(self.listed)} listed files are present: this is a sample."
        but = f" but for {len(self.away)} that must lie elsewhere" if self.away else ""
        return f"All {len(self.listed)} listed files are present{but}, and no other."

    def step_5_statement(self) -> str:
        """The statement, the envelope's payload and the signed bytes are one and the same."""
        line = container.read(self.container, "seal/evidence.intoto.jsonl", limit=_MAX_SEAL)
        payload = container.read(self.container, "seal/statement.json", limit=_MAX_SEAL)
        self.envelope = dsse.parse(line, member="seal/evidence.intoto.jsonl")
        if self.envelope.payload != payload:
            raise Problem("is not the payload of the signed envelope", member="seal/statement.json")
        if container.read(self.container, "seal/statement.pae", limit=_MAX_SEAL) != self.envelope.pae:
            raise Problem("is not the encoding of the statement", member="seal/statement.pae")
        if container.read(self.container, "seal/statement.sig", limit=_MAX_SEAL) != self.envelope.signature:
            raise Problem("is not the envelope's signature", member="seal/statement.sig")
        self.statement = statement.parse(payload, member="seal/statement.json")
        return "statement.json, statement.pae and the envelope say the same."

    def step_6_signature(self) -> str:
        """The signature was made with the enclosed key."""
        pem = container.read(self.container, "seal/signer.pub.pem", limit=_MAX_SEAL)
        key = keys.parse_public(pem)
        if key is None or keys.public_pem(key) != pem:
            raise Problem("is not an ECDSA P-256 public key, plainly written", member="seal/signer.pub.pem")
        key_id = dsse.key_id(key)
        if key_id != self.envelope.key_id:
            raise Problem("is not the key that the envelope names", member="seal/signer.pub.pem")
        if not dsse.verify(self.envelope, key):
            raise Problem("The signature is not by the enclosed key over this statement")
        self.signer = Signer(key_id=key_id)
        self.run_info = self.statement.predicate.run
        return f"Made with the key {key_id}."

    def step_7_signer(self) -> str:
        """You trust that key, or the identity whose key it was, and did so for the time of the run."""
        run = self.statement.predicate.run
        self.signer, said = policy.signed(self.container, self.envelope, self.trust, run.finished_at)
        return said

    def step_8_subject(self) -> str:
        """The statement is about this SHA256SUMS."""
        subject = self.statement.subject[0]
        if subject.name != sums.NAME or subject.digest.sha256 != sha256(self.sums_bytes):
            raise Problem("is not the list that was signed", member=sums.NAME)
        return f"SHA256SUMS has the digest that was signed, {subject.digest.sha256}."

    def step_9_digests(self) -> str:
        """Every file has the digest that is listed."""
        size, stated = sum(self.container.sizes[name] for name in self.present), self.statement.predicate.totals.bytes
        if size > stated + _FAR_MORE:  # a file that is a terabyte of nothing would keep whoever verifies busy for hours
            raise Problem(f"The files have {size:,} bytes, and those that were sealed {stated:,}: they were altered")
        read = self.ahead.wait() if self.ahead else Read()
        # The bytes of a record are kept, so that what is judged later is what was hashed.
        kept, found = {name: data for name, data in read.records.items() if name in self.listed}, read.digests
        for name in self.present:
            if names.is_record(name) and name not in kept:
                kept[name] = container.read(self.container, name, limit=_MAX_RECORD)
                found[name] = sha256(kept[name]), len(kept[name])
        left = [name for name in self.present if name not in found]
        found.update((name, (digest, size)) for name, digest, size in self.container.digests(left))
        altered = [name for name in self.present if found[name][0] != self.listed[name]]
        if altered:
            raise Problem(f"{len(altered)} of {len(self.present)} files were altered: {some(altered)}")
        sizes = {name: found[name][1] for name in self.present}
        self.files = Files({name: self.listed[name] for name in self.present}, sizes, kept)
        return f"{len(self.present)} files have the digests that are listed."

    def step_10_records(self) -> str:
        """Run, evidence and results agree with the files and with each other."""
        self.records = records.load(self.files)
        self.files = elsewhere.assumed(self.files, self.records, self.away, self.listed)
        records.check(self.records, self.files, sample=self._sample)
        run, stated = self.records.run, self.statement.predicate.run
        for name, record in ((records.RUN, run), (records.RESULTS, self.records.results)):
            if record is None and not self._sample:
                raise Problem("is missing", member=name)
        if run is not None and (run.id, run.status, run.finished_at) != (stated.id, stated.status, stated.finished_at):
            raise Problem("is not the run that the statement is about", member=records.RUN)
        for source in self.statement.predicate.inputs:
            if self.listed.get(source.name) != source.digest.sha256:
                raise Problem("is not the one that the statement names as an input", member=source.name)
        return f"Run {stated.id}: {len(self.records.items)} evidence items agree with their files."

    def step_11_totals(self) -> str:
        """The counts in the statement are those of the files."""
        stated = self.statement.predicate.totals
        if self._sample:
            raise Skipped(
                f"The bundle has {stated.evidence_items} evidence items; a sample cannot show that.",
                "Verify the whole bundle.",
            )
        counted = records.totals(self.records, self.files.sizes)
        if counted != stated:
            field = next(name for name in type(stated).model_fields if getattr(counted, name) != getattr(stated, name))
            raise Problem(
                f"The statement counts {getattr(stated, field)} for {field}; the files, {getattr(counted, field)}"
            )
        redacted = records.redaction(self.records.items)
        if redacted != self.statement.predicate.redaction:
            raise Problem(f"The statement counts other redactions than the items, which have {redacted.values} values")
        return (
            f"{stated.evidence_items} evidence items, {stated.files} files, {stated.bytes:,} bytes, "
            f"{redacted.values} values redacted, as stated."
        )

    def step_12_status(self) -> str:
        """Say whether the run was complete. A partial run is honest evidence, so this never fails."""
        run, totals = self.statement.predicate.run, self.statement.predicate.totals
        if run.status == "complete":
            return f"The run finished {clock.text(run.finished_at)} and is complete."
        which = records.incomplete(self.records.items)
        return (
            f"The run finished {clock.text(run.finished_at)} and is PARTIAL: {totals.incomplete_items} of "
            f"{totals.evidence_items} evidence items were not collected in full"
            + (f" ({some(which)})." if which else ".")
        )

    def step_13_countersigned(self) -> str:
        """Countersignatures are by their keys over this statement, and those that you ask for are there."""
        run = self.statement.predicate.run
        self.countersigners, said = policy.countersigned(self.container, self.envelope, self.trust, run, self.signer)
        return said

    def step_14_time(self) -> str:
        """Time stamps are about this signature, and your authorities say what you ask for."""
        run, signature = self.statement.predicate.run, self.envelope.signature
        self.timestamps, said = policy.stamped(self.container, signature, self.trust, run, self.signer, self.now)
        return said

    def step_15_demands(self) -> str:
        """The bundle is what the trust policy asks for."""
        return policy.demanded(self.trust, self.statement.predicate.run, self.now)

    def step_16_ledger(self) -> str:
        """The bundle is entered in the ledger that the trust policy names."""
        return entered(self.trust, self.book, sha256(self.envelope.payload), self.statement.predicate.run)

    def step_17_elsewhere(self) -> str:
        """Tables that lie elsewhere say what was sealed, and replies there are unaltered."""
        return elsewhere.hold(self.open_away, self.statement.predicate.run.id, self.records, self.away, self.listed)

    @property
    def _sample(self) -> bool:
        return len(self.present) + len(self.away) < len(self.listed)
