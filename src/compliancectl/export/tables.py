"""The tables that spreadsheets get: the control matrix, criteria, findings, and the populations. Rows of plain values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from compliancectl import canonical, clock
from compliancectl.export.source import Bundle
from compliancectl.export.words import unjudged
from compliancectl.model.result import ControlResult, Counts, TestResult

Value = str | int | bool | None
Row = tuple[Value, ...]


@dataclass(frozen=True)
class Sheet:
    """One table: its name and its columns. `rows` gives its rows."""

    name: str
    title: str
    columns: tuple[str, ...]


ABOUT = Sheet("about", "About", ("Key", "Value"))
CONTROLS = Sheet(
    "controls",
    "Controls",
    (
        "Control", "Title", "Outcome", "Severity", "Frequency", "Owner", "Tests", "Items", "Pass", "Fail", "Waived",
        "Excluded", "Unknown", "Criteria", "Parameters", "Objective", "Remediation", "File", "SHA-256",
    ),
)  # fmt: skip
CRITERIA = Sheet("criteria", "Criteria", ("Framework", "Criterion", "Control", "Title", "Outcome"))
FINDINGS = Sheet(
    "findings",
    "Findings",
    (
        "Control", "Title", "Severity", "Owner", "Test", "Resource", "Outcome", "Check", "Finding", "Waiver",
        "Remediation",
    ),
)  # fmt: skip
POPULATIONS = Sheet(
    "populations",
    "Populations",
    (
        "Control", "Test", "Outcome", "Reason", "Items", "Pass", "Fail", "Waived", "Excluded", "Unknown", "Tables",
        "File", "SHA-256", "SQL",
    ),
)  # fmt: skip
ITEMS = Sheet("items", "Items", ("Control", "Test", "Resource", "Outcome", "Reason", "Findings", "Observed"))


def about(bundle: Bundle) -> Iterator[Row]:
    """What this was made from: enough to find the bundle again and to verify it."""
    run, results = bundle.run, bundle.results
    yield "Organization", run.organization
    yield "System", run.system
    yield "Environment", run.environment
    yield "Run", run.id
    yield "Run status", run.status
    yield "Period from", clock.text(results.period.start)
    yield "Period to (exclusive)", clock.text(results.period.end)
    yield "Judged as of", clock.text(results.as_of)
    yield "Outcome", results.outcome
    yield "Bundle (SHA-256 of SHA256SUMS)", bundle.sums_sha256
    yield "Tool", f"compliancectl {results.tool_version}"
    yield "Engine", results.engine
    for waiver in results.waivers:
        state = "expired" if waiver.expired else f"until {waiver.expires}"
        yield f"Waiver {waiver.id}", f"{waiver.control}, {state}, {waiver.applied} findings: {waiver.reason}"


def controls(bundle: Bundle) -> Iterator[Row]:
    """One row per control, ordered by id."""
    for control in bundle.results.controls:
        counts = total(control)
        criteria = [f"{name} {id}" for name, ids in sorted(control.satisfies.items()) for id in ids]
        params = [f"{use.name}={_text(use.value)}{' (overridden)' if use.overridden else ''}" for use in control.params]
        yield (
            control.id, control.title, control.outcome, control.severity, control.frequency, control.owner,
            len(control.tests), counts.total, counts.passed, counts.failed, counts.waived, counts.excluded,
            counts.unknown, ", ".join(criteria), ", ".join(params), control.objective, control.remediation,
            control.file, control.sha256,
        )  # fmt: skip


def criteria(bundle: Bundle) -> Iterator[Row]:
    """One row per criterion and control that serves it, ordered by framework, criterion and control."""
    found = [
        (framework, id, control.id, control.title, control.outcome)
        for control in bundle.results.controls
        for framework, ids in control.satisfies.items()
        for id in ids
    ]
    yield from sorted(found)


def findings(bundle: Bundle) -> Iterator[Row]:
    """One row per item and check that is not true, and one per item or test that could not be judged at all."""
    for control in bundle.results.controls:
        head = (control.id, control.title, control.severity, control.owner)
        for test in control.tests:
            why = unjudged(test)
            if why is not None:
                yield (*head, test.id, None, "unknown", None, why, None, control.remediation)
            for item in bundle.items(test):
                for finding in item.findings:
                    yield (
                        *head, test.id, item.resource, finding.outcome, finding.check, finding.sentence,
                        finding.waiver, control.remediation,
                    )  # fmt: skip
                if item.outcome == "unknown" and not item.findings:
                    yield (*head, test.id, item.resource, "unknown", None, item.reason, None, control.remediation)


def populations(bundle: Bundle) -> Iterator[Row]:
    """One row per test, ordered by control."""
    for control in bundle.results.controls:
        for test in control.tests:
            counts = test.counts
            tables = [f"{use.table} ({use.status}, {use.rows} rows)" for use in test.tables]
            yield (
                control.id, test.id, test.outcome, test.reason, counts.total, counts.passed, counts.failed,
                counts.waived, counts.excluded, counts.unknown, ", ".join(tables), test.items_path, test.items_sha256,
                test.population_sql,
            )  # fmt: skip


def items(bundle: Bundle) -> Iterator[Row]:
    """One row per item of every population, with what was observed as JSON."""
    for control in bundle.results.controls:
        for test in control.tests:
            for item in bundle.items(test):
                said = " ".join(finding.sentence for finding in item.findings)
                yield control.id, test.id, item.resource, item.outcome, item.reason, said, _text(item.observed)


def population(bundle: Bundle, test: TestResult) -> tuple[Sheet, Iterator[Row]]:
    """One population with the columns that its own SQL gives, ordered by resource."""
    observed = sorted({name for item in bundle.items(test) for name in item.observed} - {"resource"})
    sheet = Sheet("", "", ("Resource", "Outcome", "Reason", "Findings", *observed))
    return sheet, _population(bundle, test, observed)


def _population(bundle: Bundle, test: TestResult, observed: list[str]) -> Iterator[Row]:
    for item in bundle.items(test):
        said = " ".join(finding.sentence for finding in item.findings)
        values = (value_of(item.observed.get(name)) for name in observed)
        yield (item.resource, item.outcome, item.reason, said, *values)


def total(control: ControlResult) -> Counts:
    """Items of all tests of a control by outcome."""
    return Counts(**{name: sum(getattr(test.counts, name) for test in control.tests) for name in Counts.model_fields})


def value_of(value: Any) -> Value:
    """An observed value as a cell: text, numbers and truth values as they are, the rest as JSON."""
    return value if value is None or isinstance(value, str | int | bool) else _text(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else canonical.to_bytes(value).decode()
