"""One bundle as one capture of a period: only what the period needs of it, so that a year fits into memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from sys import intern
from typing import Any

from pydantic_core import from_json

from compliancectl.export.source import Bundle, held
from compliancectl.model.control import Frequency, Severity
from compliancectl.model.evidence import Window
from compliancectl.model.result import ControlOutcome, ControlResult, ItemOutcome, TestResult
from compliancectl.period.kind import is_packed
from compliancectl.seal import sums
from compliancectl.seal.records import Whole


@dataclass(frozen=True)
class Population:
    """The items of one test in one capture. Shared by all captures whose file is the same, byte for byte."""

    outcomes: dict[str, ItemOutcome]
    """Resource → outcome."""
    failures: dict[str, str]
    """Resource → sentence, for those that failed."""


@dataclass(frozen=True)
class CapturedTest:
    """One test of one capture."""

    id: str
    outcome: ControlOutcome
    reason: str | None
    population: Population | None
    """None when it was not judged."""
    problems: dict[str, str]
    """Table that could not be relied on → why."""
    tables: tuple[str, ...]
    windows: tuple[tuple[str, Window], ...]
    """(evidence item, the span it speaks about) for evidence about events."""


@dataclass(frozen=True)
class CapturedControl:
    """One control of one capture."""

    id: str
    title: str
    severity: Severity
    frequency: Frequency
    outcome: ControlOutcome
    sha256: str
    params: tuple[tuple[str, Any], ...]
    tests: tuple[CapturedTest, ...]


@dataclass(frozen=True)
class Capture:
    """One bundle."""

    bundle: str
    bundle_sha256: str
    run_id: str
    run_status: str
    subject: tuple[str, str, str]
    """Organization, system, environment."""
    as_of: datetime
    outcome: ControlOutcome
    controls: dict[str, CapturedControl]


@dataclass
class Reader:
    """Reads captures. Populations that are equal are read once; what is equal in two captures in a row is held once."""

    _known: dict[str, Population] = field(default_factory=dict)
    _last: dict[str, CapturedControl] = field(default_factory=dict)

    def read(self, path: Path, name: str, whole: Whole) -> Capture:
        """Read a bundle that verification has open; `name` is what the ledger calls it.

        Raises:
            Error: as `held`.
        """
        with held(path, whole) as bundle:
            windows = {id: item.window for id, item in whole.records.items.items() if item.window is not None}
            controls = {c.id: self._control(bundle, c, windows) for c in bundle.results.controls}
            results = bundle.results
            return Capture(
                bundle=name,
                bundle_sha256=bundle.sums_sha256,
                run_id=results.run_id,
                run_status=bundle.run.status,
                subject=(results.organization, results.system, results.environment),
                as_of=results.as_of,
                outcome=results.outcome,
                controls=controls,
            )

    def _control(self, bundle: Bundle, control: ControlResult, windows: dict[str, Window]) -> CapturedControl:
        last = self._last.get(control.id)
        populations = {test.id: test.population for test in last.tests} if last else {}
        found = CapturedControl(
            id=control.id,
            title=control.title,
            severity=control.severity,
            frequency=control.frequency,
            outcome=control.outcome,
            sha256=control.sha256,
            params=tuple((use.name, use.value) for use in control.params),
            tests=tuple(self._test(bundle, test, windows, populations.get(test.id)) for test in control.tests),
        )
        if last is None or found != last:
            self._last[control.id] = last = found
        return last

    def _test(
        self, bundle: Bundle, test: TestResult, windows: dict[str, Window], before: Population | None
    ) -> CapturedTest:
        spoken = {id: windows[id] for use in test.tables for id in use.items if id in windows}
        return CapturedTest(
            id=test.id,
            outcome=test.outcome,
            reason=test.reason,
            population=self._population(bundle, test, before),
            problems={use.table: use.problem for use in test.tables if use.problem},
            tables=tuple(use.table for use in test.tables),
            windows=tuple(sorted(spoken.items())),
        )

    def _population(self, bundle: Bundle, test: TestResult, before: Population | None) -> Population | None:
        if test.items_path is None or test.items_sha256 is None:
            return None
        found = self._known.get(test.items_sha256)
        if found is None:
            outcomes: dict[str, ItemOutcome] = {}
            failures: dict[str, str] = {}
            for line in bundle.lines(test):
                item = from_json(line)  # millions of lines in a year: three times as fast as json
                resource = intern(item["resource"])
                outcomes[resource] = item["outcome"]
                if item["outcome"] == "fail":
                    failures[resource] = " ".join(f["sentence"] for f in item["findings"] if f["outcome"] == "fail")
            # Lines differ from day to day, by an age or an instant that was observed, where outcomes do not.
            found = Population(outcomes, failures)
            found = self._known[test.items_sha256] = before if before == found and before is not None else found
        return found


def bundles(folder: Path) -> Iterator[Path]:
    """Every bundle below a folder, sorted: folders that hold a SHA256SUMS, and ZIP files. Period packages are none."""
    if (folder / sums.NAME).exists():
        if not (folder / "period.json").is_file():
            yield folder
        return
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and not entry.is_symlink():
            yield from bundles(entry)
        elif entry.suffix == ".zip" and entry.is_file() and not is_packed(entry):
            yield entry
