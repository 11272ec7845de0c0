"""Verification of a period package: the steps of `verify` that concern a seal, and the package's own records.

The last bundle that is enclosed is a bundle like any other; whoever verifies a package verifies it too.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pydantic
from pydantic_core import from_json

from compliancectl import canonical, clock
from compliancectl.model.manifest import TITLES, Signer, StepResult, Verification, VerifyStep
from compliancectl.model.package import PeriodStatement
from compliancectl.model.period import Period
from compliancectl.model.trust import Trust
from compliancectl.period.kind import PERIOD
from compliancectl.period.package import LAST
from compliancectl.period.populations import file_name
from compliancectl.seal import Problem, Skipped, additions, archive, container, dsse, keys, names, policy, sums

_LIMIT = 256 * 1024**2


@contextmanager
def last_bundle(path: Path) -> Iterator[Path]:
    """The enclosed bundle, laid out as a ZIP file meanwhile."""
    with tempfile.TemporaryDirectory(prefix="compliancectl-period-") as scratch:
        file = Path(scratch) / LAST
        with archive.opened(path) as found, found.open(LAST) as source, file.open("wb") as target:
            shutil.copyfileobj(source, target)
        yield file


def verify_package(
    path: Path,
    *,
    trust: Trust | None = None,
    now: datetime | None = None,
    tell: Callable[[StepResult], None] = lambda step: None,
) -> Verification:
    """Verify a package, folder or ZIP; nothing is written. What is wrong is in the steps and is not raised.

    How old it may be is counted from the end of its period until `now`; the bundle that it encloses is as old as it must be.
    """
    checker = _Checker(path, trust, now)
    done: list[StepResult] = []
    for step, take in checker.steps():
        if any(result.outcome == "failed" for result in done):
            message = "Not taken: an earlier step failed."
            done.append(StepResult(number=step, title=TITLES[step], outcome="skipped", message=message))
        else:
            done.append(_take(step, take))
        tell(done[-1])
    listed = len(checker.listed)
    return Verification(path=str(path), steps=tuple(done), signer=checker.signer, listed=listed, present=listed)


def _take(step: VerifyStep, take: Callable[[], str]) -> StepResult:
    title = TITLES[step]
    try:
        return StepResult(number=step, title=title, outcome="ok", message=take())
    except Skipped as skipped:
        return StepResult(number=step, title=title, outcome="skipped", message=skipped.message, hint=skipped.hint)
    except Problem as problem:
        said = f"{problem.member} {problem.message}" if problem.member else problem.message
        return StepResult(
            number=step, title=title, outcome="failed", message=f"{said}.", hint=problem.hint, file=problem.member
        )
    except OSError as error:
        message = f"The period package cannot be read: {error.strerror or error}."
        return StepResult(number=step, title=title, outcome="failed", message=message)


class _Checker:
    """Holds what earlier steps have established for later ones."""

    def __init__(self, path: Path, trust: Trust | None, now: datetime | None) -> None:
        self.path, self.trust, self.now = path, trust, now
        self.listed: dict[str, str] = {}
        self.signer: Signer | None = None
        self.sizes: set[str] = set()
        self.listing = b""
        self.envelope: dsse.Envelope
        self.statement: PeriodStatement

    def steps(self) -> tuple[tuple[VerifyStep, Callable[[], str]], ...]:
        return (
            (VerifyStep.CONTAINER, self._container),
            (VerifyStep.NAMES, self._names),
            (VerifyStep.SUMS, self._sums),
            (VerifyStep.UNLISTED, self._unlisted),
            (VerifyStep.STATEMENT, self._statement),
            (VerifyStep.SIGNATURE, self._signature),
            (VerifyStep.SIGNER, self._signer),
            (VerifyStep.SUBJECT, self._subject),
            (VerifyStep.DIGESTS, self._digests),
            (VerifyStep.RECORDS, self._records),
            (VerifyStep.DEMANDS, self._demands),
        )

    def _read(self, name: str) -> bytes:
        with archive.opened(self.path) as found:
            return container.read(found, name, limit=_LIMIT)

    def _container(self) -> str:
        with archive.opened(self.path) as found:
            self.sizes = set(found.sizes)
        return f"{len(self.sizes)} plain files."

    def _names(self) -> str:
        for name in sorted(self.sizes):
            if reason := names.problem(name):
                raise Problem(f"The name {name!r} {reason}")
        if pair := names.clash(self.sizes):
            raise Problem(f"{pair[0]} and {pair[1]} are one file on some systems")
        return "No name is unsafe, and none collides with another."

    def _sums(self) -> str:
        self.listing = self._read(sums.NAME)
        self.listed = sums.parse(self.listing)
        return f"{len(self.listed)} files are listed."

    def _unlisted(self) -> str:
        seal = set(names.SEAL)
        known = {additions.identity_name(key_id) for key_id in additions.identities(self.sizes)}
        if extra := sorted(self.sizes - self.listed.keys() - seal - known - {sums.NAME}):
            raise Problem("is not listed in SHA256SUMS", member=extra[0])
        if gone := sorted((self.listed.keys() | seal) - self.sizes):
            raise Problem("is missing", member=gone[0])
        return f"All {len(self.listed)} listed files are present, and no other."

    def _statement(self) -> str:
        payload = self._read("seal/statement.json")
        self.envelope = dsse.parse(self._read("seal/evidence.intoto.jsonl"), member="seal/evidence.intoto.jsonl")
        for name, data in (
            ("seal/statement.json", self.envelope.payload),
            ("seal/statement.pae", self.envelope.pae),
            ("seal/statement.sig", self.envelope.signature),
        ):
            if self._read(name) != data:
                raise Problem("is not what the signed envelope holds", member=name)
        try:
            self.statement = PeriodStatement.model_validate_json(payload)
        except pydantic.ValidationError as error:
            raise Problem(f"is no statement about a period: {error.errors()[0]['msg']}", member="seal") from error
        if canonical.to_bytes(json.loads(payload)) != payload:
            raise Problem("is not in RFC 8785 form", member="seal/statement.json")
        return "statement.json, statement.pae and the envelope say the same."

    def _signature(self) -> str:
        pem = self._read("seal/signer.pub.pem")
        key = keys.parse_public(pem)
        if key is None or keys.public_pem(key) != pem:
            raise Problem("is not an ECDSA P-256 public key, plainly written", member="seal/signer.pub.pem")
        if dsse.key_id(key) != self.envelope.key_id or not dsse.verify(self.envelope, key):
            raise Problem("The signature is not by the enclosed key over this statement")
        policy.refuse_strays(self.sizes, {self.envelope.key_id})
        self.signer = Signer(key_id=self.envelope.key_id)
        return f"Made with the key {self.envelope.key_id}."

    def _signer(self) -> str:
        with archive.opened(self.path) as found:
            self.signer, said = policy.signed(found, self.envelope, self.trust, self.statement.predicate.period.end)
        return said

    def _subject(self) -> str:
        (subject,) = self.statement.subject
        if subject.name != sums.NAME or subject.digest.sha256 != canonical.sha256(self.listing):
            raise Problem("is not the list that was signed", member=sums.NAME)
        return f"SHA256SUMS has the digest that was signed, {subject.digest.sha256}."

    def _digests(self) -> str:
        with archive.opened(self.path) as found:
            digests = {name: digest for name, digest, _ in found.digests(self.listed)}
        for name, expected in self.listed.items():
            if digests[name] != expected:
                raise Problem("was altered", member=name)
        return f"{len(self.listed)} files have the digests that are listed."

    def _records(self) -> str:
        try:
            period = Period.model_validate_json(self._read(PERIOD))
        except pydantic.ValidationError as error:
            raise Problem(f"does not have its declared form: {error.errors()[0]['msg']}", member=PERIOD) from error
        said = self.statement.predicate
        counted = [entry for entry in period.ledger if entry.counted]
        pairs = (
            ("the system", (said.organization, said.system), (period.organization, period.system)),
            ("the period", (said.period.start, said.period.end), (period.start, period.end)),
            ("the outcome", said.outcome, period.outcome),
            ("the bundles", (said.bundles, said.captures), (len(period.ledger), len(counted))),
            ("the last bundle", said.last_bundle.sha256, counted[-1].bundle_sha256 if counted else None),
        )
        for what, mine, theirs in pairs:
            if mine != theirs:
                raise Problem(f"and the statement differ in {what}", member=PERIOD)
        for control in period.controls:
            for test in control.tests:
                self._population(file_name(control.id, test.id), test.population.model_dump())
        if LAST not in self.listed:
            raise Problem("is missing", member=LAST)
        with last_bundle(self.path) as file, archive.opened(file) as enclosed:
            if canonical.sha256(container.read(enclosed, sums.NAME, limit=_LIMIT)) != said.last_bundle.sha256:
                raise Problem("is not the bundle with which the period ended", member=LAST)
        return f"{clock.text(period.start)} to {clock.text(period.end)}, {len(counted)} captures; counts agree."

    def _demands(self) -> str:
        """What the trust policy asks of whoever and whatever is judged; the rest is asked of the enclosed bundle."""
        if self.trust is None:
            return "Nothing: you gave no trust policy."
        asked, said = self.trust.require, self.statement.predicate
        for name in ("organization", "system", "environment"):
            wanted, stated = getattr(asked, name), getattr(said, name)
            if wanted is not None and stated != wanted:
                raise Problem(f"The package is about the {name} {stated!r}; you ask for {wanted!r}")
        mine = self.signer.name if self.signer else None
        if set(asked.signers) - {mine} or asked.timestamps or asked.stamped_within_hours:
            raise Skipped(
                "You ask for countersignatures or time stamps, which a period package does not hold.",
                "They are looked for in the bundle that it encloses; verify the package by a policy without them.",
            )
        if asked.max_age_days is None:
            return "It is about what you ask for; the rest of it is asked of the bundle that it encloses."
        ended = said.period.end
        policy.check_age(asked.max_age_days, ended, self.now, f"The period ended {clock.text(ended)}")
        return (
            f"It is about what you ask for, and its period ended at most {asked.max_age_days} days ago; how old the bundle "
            "is that it encloses is not asked: it lies in that period. The rest is asked of that bundle."
        )

    def _population(self, name: str, stated: dict[str, int]) -> None:
        words = {"pass": "passed", "fail": "failed"}
        counts = dict.fromkeys(stated, 0)
        last = None
        with archive.opened(self.path) as found:
            if name not in found.sizes:
                raise Problem("is missing", member=name)
            with found.open(name) as stream:
                for line in stream:
                    item = from_json(line)
                    if last is not None and item["resource"] <= last:
                        raise Problem("is not sorted, or holds an item twice", member=name)
                    last = item["resource"]
                    counts[words.get(item["outcome"], item["outcome"])] += 1
        if counts != stated:
            raise Problem("does not hold as many items as period.json counts", member=name)
