"""JUnit XML: what CI systems show as tests.

One suite per control. In it, for each test, one case for the population (was everything there to be judged?) and one
per check. `failure` is a deviation, `error` is something that could not be determined, `skipped` is a population that
is legitimately empty. Only TRUE is a pass.

The file follows the stricter of the two schemas that are around (Ant's), which Jenkins' own also accepts: no
attributes on `testsuites`, times without a zone (they are UTC), `properties`, `system-out` and `system-err` always.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Literal
from xml.etree import ElementTree as Xml

from compliancectl.export.source import Bundle
from compliancectl.export.words import line, unjudged, visible
from compliancectl.model.result import CheckResult, ControlResult, TestResult
from compliancectl.numbers import counted

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

Verdict = Literal["pass", "failure", "error", "skipped"]


@dataclass(frozen=True)
class Case:
    """One test case."""

    name: str
    verdict: Verdict
    message: str = ""
    text: str = ""
    kind: str = ""
    """Word for the type of a failure or error."""


def write(bundle: Bundle, stream: BinaryIO) -> None:
    """Write the results as JUnit XML."""
    root = Xml.Element("testsuites")
    for number, control in enumerate(bundle.results.controls):
        root.append(_suite(bundle, control, number))
    Xml.indent(root)
    Xml.ElementTree(root).write(stream, encoding="utf-8", xml_declaration=True)
    stream.write(b"\n")


def _suite(bundle: Bundle, control: ControlResult, number: int) -> Element:
    cases = [case for test in control.tests for case in cases_of(test)]
    tally = {verdict: sum(case.verdict == verdict for case in cases) for verdict in ("failure", "error", "skipped")}
    suite = Xml.Element(
        "testsuite",
        {
            "id": str(number),
            "package": "compliancectl",
            "name": line(f"{control.id} {control.title}"),
            "timestamp": bundle.results.as_of.strftime("%Y-%m-%dT%H:%M:%S"),
            "hostname": "localhost",
            "tests": str(len(cases)),
            "failures": str(tally["failure"]),
            "errors": str(tally["error"]),
            "skipped": str(tally["skipped"]),
            "time": "0",
        },
    )
    properties = Xml.SubElement(suite, "properties")
    for name, value in _properties(bundle, control):
        Xml.SubElement(properties, "property", {"name": name, "value": visible(value)})
    for case in cases:
        suite.append(_element(control, case))
    Xml.SubElement(suite, "system-out")
    Xml.SubElement(suite, "system-err")
    return suite


def _properties(bundle: Bundle, control: ControlResult) -> Iterator[tuple[str, str]]:
    yield "outcome", control.outcome
    yield "severity", control.severity
    yield "owner", control.owner
    for framework, criteria in sorted(control.satisfies.items()):
        yield framework, " ".join(criteria)
    yield "run", bundle.run.id
    yield "bundle", bundle.sums_sha256
    yield "tool", f"compliancectl {bundle.results.tool_version}"


def _element(control: ControlResult, case: Case) -> Element:
    element = Xml.Element("testcase", {"classname": control.id, "name": case.name, "time": "0"})
    if case.verdict != "pass":
        attributes = {"message": visible(case.message)}
        if case.verdict != "skipped":
            attributes["type"] = case.kind
        inner = Xml.SubElement(element, case.verdict, attributes)
        inner.text = visible(case.text) or None
    return element


def cases_of(test: TestResult) -> Iterator[Case]:
    """The cases of one test: its population, then each check."""
    why = unjudged(test)
    if why is not None:
        yield Case(f"{test.id}: population", "error", why, _tables(test), "inconclusive")
    elif not test.counts.total:
        yield Case(f"{test.id}: population", "skipped", test.reason or "no occurrences")
    else:
        yield Case(f"{test.id}: population", "pass")
    for check in test.checks:
        yield _check(test, check, why)


def _check(test: TestResult, check: CheckResult, why: str | None) -> Case:
    name = f"{test.id}: {check.name}"
    judged = check.passed + check.failed + check.waived + check.unknown
    if check.unknown:
        message = f"{check.unknown:,} of {counted(judged, 'item')} could not be judged"
        message += f"; {check.failed:,} more deviate" if check.failed else ""
        return Case(name, "error", f"{message}.", _findings(test, check), "unknown")
    if check.failed:
        message = f"{check.failed:,} of {counted(judged, 'item')} {'deviates' if check.failed == 1 else 'deviate'}."
        return Case(name, "failure", message, _findings(test, check), "deviation")
    if not judged and why is not None:
        return Case(name, "error", why, kind="inconclusive")
    if not judged:
        return Case(name, "skipped", test.reason or "No item of the population was judged.")
    return Case(name, "pass")


def _findings(test: TestResult, check: CheckResult) -> str:
    shown = [
        f"{line(item.resource)}: {line(finding.sentence)}"
        for item in test.deviations
        for finding in item.findings
        if finding.check == check.name and finding.outcome != "waived"
    ]
    missing = check.failed + check.unknown - len(shown)
    more = [f"and {missing:,} more in {test.items_path}"] if missing > 0 else []
    return "\n".join(["", *shown, *more, ""])


def _tables(test: TestResult) -> str:
    problems = [line(use.problem) for use in test.tables if use.problem]
    return "\n".join(["", *problems, ""]) if problems else ""
