"""A period as a sealed package: the findings, every population, the exceptions, the ledger of runs, the last bundle.

    period.json           what `period` found
    ledger.csv            every bundle that was found, with its digest, and what became of it
    exceptions.csv        every deviation, with cause, extent and duration
    populations/*.jsonl   every item of each test once, sorted; what an assessor samples from
    populations.csv       their sizes and digests
    last-bundle.zip       the last capture, whole: controls, queries and evidence as they were at the end
    SHA256SUMS, seal/     as a bundle has them

The bundles themselves stay where they are: the ledger names each by the digest of its SHA256SUMS. The same bundles,
operator, tool and key give the same bytes.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path

from compliancectl import __version__, canonical, clock, disk
from compliancectl.errors import OutputError
from compliancectl.export.comma import write_table
from compliancectl.export.tables import Row, Sheet
from compliancectl.model.manifest import ControlTotals, Digest, Observation, Operator, Resource
from compliancectl.model.package import Maker, PeriodPredicate, PeriodStatement
from compliancectl.model.period import Period
from compliancectl.period import populations
from compliancectl.period.capture import Capture
from compliancectl.period.judge import chained
from compliancectl.period.kind import PERIOD
from compliancectl.seal import archive as zip_archive
from compliancectl.seal import signers, staging, sums
from compliancectl.seal.container import Folder
from compliancectl.seal.statement import source_digest

LAST = "last-bundle.zip"
README = "README.txt"
LEDGER = Sheet(
    "ledger", "Run ledger",
    ("Bundle", "Verdict", "Counted", "Why not", "Run", "As of", "Status", "Outcome", "SHA-256 of SHA256SUMS", "Problem"),
)  # fmt: skip
EXCEPTIONS = Sheet(
    "exceptions", "Exceptions",
    ("Control", "Test", "Severity", "Resource", "Finding", "First seen", "Last seen", "Gone since", "Captures", "Hours"),
)  # fmt: skip
POPULATIONS = Sheet(
    "populations", "Populations",
    ("Control", "Test", "Kind", "Items", "Pass", "Fail", "Waived", "Excluded", "Unknown", "File", "SHA-256"),
)  # fmt: skip
_README = """\
PERIOD PACKAGE

Organisation   {organization}
System         {system} ({environment})
Period         {start} to {end} (the end is not included)
Captures       {captures} of {bundles} bundles that were found

period.json is what the tool found in the chain of runs; ledger.csv names every bundle by the digest of its SHA256SUMS;
exceptions.csv lists every deviation; populations/ holds every item of each test once, as the capture that counts for it
has it; last-bundle.zip is the last capture, whole.

The seal proves who vouched for exactly these bytes, and nothing about whether a source told the truth. Obtain the
signer's public key from them by another way than this package.

    compliancectl verify PACKAGE --key TRUSTED-KEY.pub.pem
    compliancectl sample CONTROL PACKAGE --seed 'any text that you choose' -o sample.xlsx
    compliancectl report type2 PACKAGE -o type2.pdf

To judge the period again, with the bundles at hand:

    compliancectl period FOLDER --from {start} --to {end} --package AGAIN
"""


def write(
    found: Period,
    captures: Iterable[Capture],
    folder: Path,
    out: Path,
    *,
    key: Path | str,
    operator: Operator,
    archive: Path | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> str:
    """Write and seal a package; returns the digest of its SHA256SUMS.

    Args:
        found: the period, judged.
        captures: every bundle that verifies, as it was judged.
        folder: where the bundles are, by the names that the captures have.
        out: the package's folder; must not exist.
        key: the private key, or the name of one in a key service.
        operator: who runs this.
        archive: also write it as this ZIP file; must not exist.
        progress: told what is going on.

    Raises:
        FileError: the key cannot be used.
        VerifyError: a bundle is not what it was when it was verified.
        OutputError: `out` or `archive` exists, or there is no room.
    """
    signer = signers.load(key)
    for place in (out, archive):
        if place is not None and place.exists():
            raise OutputError("something is here already", file=place, hint="Choose a name that does not exist yet.")
    chain, _ = chained(captures, found.start, found.end)
    last = max(chain.inside, key=lambda capture: (capture.as_of, capture.run_id))
    beside = staging.staged(archive) if archive else nullcontext()
    with staging.staged(out) as place, beside as packing, disk.output_errors(out):
        progress("uniting populations")
        tests = [(control.id, test.id) for control in found.controls for test in control.tests]
        populations.write(chain, tests, folder, place)
        _write_tables(found, place)
        progress("enclosing the last bundle")
        _enclose(folder / last.bundle, last, place / LAST)
        digest = _seal(found, last, operator, signer, place)
        disk.sync_tree(place)
        if archive and packing:
            with (packing / "archive").open("wb") as stream:
                name = f"period-{found.start:%Y%m%d}-{found.end:%Y%m%d}"
                zip_archive.write(Folder(place), name, stream)
        staging.publish(place, out)
        if archive and packing:
            staging.publish_file(packing / "archive", archive)
    return digest


def _write_tables(found: Period, place: Path) -> None:
    disk.write_whole(place / PERIOD, canonical.to_bytes(found.to_json()) + b"\n")
    write_table(place / "ledger.csv", LEDGER, _ledger(found))
    write_table(place / "exceptions.csv", EXCEPTIONS, exceptions(found))
    write_table(place / "populations.csv", POPULATIONS, _populations(found, place))
    counted = sum(entry.counted for entry in found.ledger)
    text = _README.format(
        organization=found.organization,
        system=found.system,
        environment=found.environment,
        start=clock.text(found.start),
        end=clock.text(found.end),
        captures=counted,
        bundles=len(found.ledger),
    )
    disk.write_whole(place / README, text.encode())


def _ledger(found: Period) -> Iterator[Row]:
    for entry in found.ledger:
        at = clock.text(entry.as_of) if entry.as_of else None
        told = (entry.why_not, entry.run_id, at, entry.run_status, entry.outcome, entry.bundle_sha256, entry.problem)
        yield (entry.bundle, entry.verdict, entry.counted, *told)


def exceptions(found: Period) -> Iterator[Row]:
    """Every deviation of the period, as a row of `exceptions.csv`."""
    for control in found.controls:
        for test in control.tests:
            for item in test.deviations:
                until = clock.text(item.until) if item.until else None
                span = (clock.text(item.first), clock.text(item.last), until, item.captures, item.hours)
                yield (control.id, test.id, control.severity, item.resource, item.sentence, *span)


def _populations(found: Period, place: Path) -> Iterator[Row]:
    for control in found.controls:
        for test in control.tests:
            name, n = populations.file_name(control.id, test.id), test.population
            counts = (n.total, n.passed, n.failed, n.waived, n.excluded, n.unknown)
            yield (control.id, test.id, test.kind, *counts, name, canonical.sha256_file(place / name))


def _enclose(bundle: Path, last: Capture, out: Path) -> None:
    if bundle.is_file():
        shutil.copyfile(bundle, out)
        return
    with out.open("wb") as stream:
        zip_archive.write(Folder(bundle), last.run_id, stream)


def _seal(found: Period, last: Capture, operator: Operator, signer: signers.Signer, place: Path) -> str:
    files = sorted(path for path in place.rglob("*") if path.is_file())
    listing = sums.write({path.relative_to(place).as_posix(): canonical.sha256_file(path) for path in files})
    disk.write_whole(place / sums.NAME, listing)
    outcomes = Counter(control.outcome.replace(" ", "_") for control in found.controls)
    predicate = PeriodPredicate(
        organization=found.organization,
        system=found.system,
        environment=found.environment,
        period=Observation(start=found.start, end=found.end),
        outcome=found.outcome,
        bundles=len(found.ledger),
        captures=sum(entry.counted for entry in found.ledger),
        not_verifying=sum(entry.verdict == "does not verify" for entry in found.ledger),
        controls=ControlTotals(**outcomes),
        last_bundle=Digest(sha256=last.bundle_sha256),
        producer=Maker(name="compliancectl", version=__version__, source_digest=Digest(sha256=source_digest())),
        operator=operator,
    )
    subject = Resource(name=sums.NAME, digest=Digest(sha256=canonical.sha256(listing)))
    payload = canonical.to_bytes(PeriodStatement(subject=(subject,), predicate=predicate).to_json())
    for name, data in signer.sign(payload).seal().items():
        disk.write_whole(place / name, data)
    return canonical.sha256(listing)
