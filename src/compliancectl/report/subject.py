"""What a report is about: a bundle or run as it is, or a period package as if it were one.

Of a package, the controls, queries and evidence are those of the last bundle, which it encloses; populations, counts
and outcomes are those of the period.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from compliancectl.errors import UsageError
from compliancectl.model.evidence import Window
from compliancectl.model.result import TestResult
from compliancectl.period import reading
from compliancectl.period.check import last_bundle
from compliancectl.period.kind import is_package
from compliancectl.report import population, source
from compliancectl.report.population import Population
from compliancectl.report.source import Source

PERIOD = "period_view"
"""The view of kinds that are about a period."""
_WORDS = {"pass": "passed", "fail": "failed"}


def load(path: Path, views: Sequence[str], *, screen: bool, tables: Sequence[str]) -> Source:
    """Read what a report of a kind with these views is about.

    Raises:
        UsageError: it is about a period and `path` is no package, or the other way round; and as `source.load`.
    """
    if PERIOD not in views:
        if is_package(path):
            raise UsageError(f"{path} is a period package", hint="Reports on a period: `compliancectl report type2`.")
        return source.load(path, screen=screen, tables=tables)
    if not path.exists():
        raise UsageError(f"{path} does not exist", hint="Name a period package: the folder, or its ZIP.")
    if not is_package(path):
        hint = "Make one: compliancectl period FOLDER --from DATE --to DATE --package DIR."
        raise UsageError(f"{path} is no period package", hint=hint)
    return _of_package(path, screen=screen, tables=tables)


def _of_package(path: Path, *, screen: bool, tables: Sequence[str]) -> Source:
    package = reading.read(path)
    with last_bundle(path) as file:
        last = source.load(file, screen=screen, tables=tables)
    results = reading.united(package, last.results)
    populations: dict[tuple[str, str], Population] = {}
    controls = []
    for control in results.controls:
        tests = []
        for test in control.tests:
            data = reading.member(path, str(test.items_path)) if test.counts.total else b""
            name = f"{control.id}.{test.id}.csv"
            shown = source.ON_SCREEN // 40 if screen else source.PRINTED
            populations[control.id, test.id] = (
                population.read(data, name=name, shown=shown, enclose=not screen, period=source.days(results))
                if data
                else population.NOTHING
            )
            tests.append(_counted(test, data))
        controls.append(control.model_copy(update={"tests": tuple(tests)}))
    return replace(
        last,
        name=package.name,
        results=results.model_copy(update={"controls": tuple(controls)}),
        populations=populations,
        windows={
            (control.id, test.id): tuple(Window(start=part.start, end=part.end) for part in test.coverage)
            for control in package.period.controls
            for test in control.tests
        },
        sums=package.listing,
        statement=package.statement,
        signer=package.signer,
    )


def _counted(test: TestResult, data: bytes) -> TestResult:
    """The test with its checks counted over the united population."""
    tally: Counter[tuple[str, str]] = Counter()
    for line in data.splitlines():
        for name, outcome in population.item(line).get("checks", {}).items():
            tally[name, _WORDS.get(outcome, outcome)] += 1
    checks = tuple(
        check.model_copy(update={word: tally[check.name, word] for word in ("passed", "failed", "waived", "unknown")})
        for check in test.checks
    )
    return test.model_copy(update={"checks": checks})
