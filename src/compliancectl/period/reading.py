"""A period package, open for reading: its findings, its last bundle, and its populations as samples are drawn from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from compliancectl import canonical
from compliancectl.export.source import Bundle, opened
from compliancectl.model.evidence import Window
from compliancectl.model.period import Period, PeriodControl, PeriodTest
from compliancectl.model.result import ControlOutcome, ControlResult, Counts, Results, TestResult
from compliancectl.period.check import last_bundle
from compliancectl.period.kind import PERIOD
from compliancectl.period.populations import file_name
from compliancectl.seal import archive, container, dsse, sums

_LIMIT = 256 * 1024**2


@dataclass(frozen=True)
class Package:
    """What a package says about itself."""

    name: str
    period: Period
    listing: bytes
    """SHA256SUMS."""
    statement: bytes
    signer: str
    """Id of the key that sealed it."""

    @property
    def sums_sha256(self) -> str:
        return canonical.sha256(self.listing)

    @property
    def digests(self) -> dict[str, str]:
        """Member → SHA-256."""
        return sums.parse(self.listing)


def read(path: Path) -> Package:
    """Read a package that has been verified."""
    with archive.opened(path) as found:
        line = container.read(found, "seal/evidence.intoto.jsonl", limit=_LIMIT)
        return Package(
            name=path.resolve().name,
            period=Period.model_validate_json(container.read(found, PERIOD, limit=_LIMIT)),
            listing=container.read(found, sums.NAME, limit=_LIMIT),
            statement=container.read(found, "seal/statement.json", limit=_LIMIT),
            signer=dsse.parse(line, member="seal/evidence.intoto.jsonl").key_id,
        )


def member(path: Path, name: str) -> bytes:
    """One file of a package."""
    with archive.opened(path) as found:
        return container.read(found, name, limit=_LIMIT)


@contextmanager
def as_bundle(path: Path) -> Iterator[Bundle]:
    """The package as what a sample is drawn from: the controls of the last bundle, the populations of the period.

    Tests that the last bundle no longer has are left out: there is no text to print beside them.
    """
    package = read(path)
    with last_bundle(path) as file, opened(file) as last, archive.opened(path) as found:
        yield replace(
            last,
            name=package.name,
            members=found,
            digests=package.digests,
            sums_sha256=package.sums_sha256,
            results=united(package, last.results),
        )


def united(package: Package, last: Results) -> Results:
    """The results of the last capture with the populations, counts and outcomes of the period in their place."""
    held = {control.id: control for control in package.period.controls}
    controls = tuple(
        _control(control, held[control.id], package.digests) for control in last.controls if control.id in held
    )
    window = Window(start=package.period.start, end=package.period.end)
    return last.model_copy(update={"controls": controls, "period": window, "outcome": package.period.outcome})


def _control(control: ControlResult, held: PeriodControl, digests: dict[str, str]) -> ControlResult:
    tests = {test.id: test for test in held.tests}
    mine = tuple(_test(control.id, test, tests[test.id], digests) for test in control.tests if test.id in tests)
    return control.model_copy(update={"tests": mine, "outcome": held.outcome})


def _test(control: str, test: TestResult, held: PeriodTest, digests: dict[str, str]) -> TestResult:
    name, counts = file_name(control, test.id), held.population
    outcome, reason = _said(counts, test)
    return test.model_copy(
        update={
            "outcome": outcome,
            "reason": reason,
            "items_path": name,
            "items_sha256": digests[name],
            "counts": counts,
            "deviations": (),
        }
    )


def _said(counts: Counts, last: TestResult) -> tuple[ControlOutcome, str | None]:
    """What the united population says of its test; whether captures are missing is said of the control."""
    if counts.total == 0:
        known = last.outcome == "no occurrences"
        return ("no occurrences", last.reason) if known else ("inconclusive", "No capture determined its population.")
    if counts.unknown:
        return "inconclusive", f"{counts.unknown} of {counts.total} items are unknown in a capture, and fail in none."
    if counts.failed:
        return "deviations", None
    return ("no occurrences" if counts.excluded == counts.total else "no deviations"), None
