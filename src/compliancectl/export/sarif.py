"""SARIF 2.1.0: what code scanning shows as alerts.

One rule per check, one result per item and check that is not true, and one per test that could not be judged. What
passes is not written: GitHub would show each as an alert. GitHub refuses a whole file for one result without a
physical location, so every result points at the line of its check in the control file that the bundle holds; the item
itself is the logical location.

`kind` is `fail`, or `review` when it could not be determined. A waived finding carries its waiver as a suppression.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from compliancectl import canonical, clock
from compliancectl.errors import Error
from compliancectl.export.source import Bundle
from compliancectl.export.words import line, uid, unjudged, visible
from compliancectl.model.control import Severity
from compliancectl.model.result import ControlResult, Finding, ItemResult, TestResult, WaiverUse

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
MAX_RESULTS = 25_000
"""GitHub refuses a run with more."""
MAX_TAGS = 20
"""GitHub refuses a rule with more."""
_LEVELS: dict[Severity, str] = {"critical": "error", "high": "error", "medium": "warning", "low": "note"}
_SCORES: dict[Severity, str] = {"critical": "9.5", "high": "8.0", "medium": "5.5", "low": "2.0"}
"""GitHub's `security-severity`: above 9.0 critical, from 7.0 high, from 4.0 medium, above 0.1 low."""
_ORDER: tuple[Severity, ...] = ("critical", "high", "medium", "low")


def write(bundle: Bundle, stream: BinaryIO, *, max_results: int = MAX_RESULTS) -> None:
    """Write the findings as SARIF, the most severe first if there are more than GitHub takes."""
    lines = {control.id: _lines(bundle, control) for control in bundle.results.controls}
    rules = [rule for control in bundle.results.controls for rule in _rules(control)]
    index = {rule["id"]: number for number, rule in enumerate(rules)}
    waivers = {waiver.id: waiver for waiver in bundle.results.waivers}
    results: list[dict[str, Any]] = []
    left_out = 0
    for severity in _ORDER:
        for control in bundle.results.controls:
            if control.severity == severity:
                for result in _results(bundle, control, lines[control.id], waivers):
                    if len(results) < max_results:
                        results.append({**result, "ruleIndex": index[result["ruleId"]]})
                    else:
                        left_out += 1
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(bundle, rules, results, left_out)]}
    stream.write(json.dumps(log, indent=1, ensure_ascii=False, sort_keys=True).encode() + b"\n")


def _run(bundle: Bundle, rules: list[dict[str, Any]], results: list[dict[str, Any]], left_out: int) -> dict[str, Any]:
    run = bundle.results
    return {
        "tool": {"driver": {"name": "compliancectl", "semanticVersion": run.tool_version, "rules": rules}},
        "automationDetails": {
            "id": f"compliancectl/{line(run.system)}/{line(run.environment)}/{run.run_id}".replace(" ", "-"),
            "guid": uid("sarif", bundle.sums_sha256),
        },
        "columnKind": "utf16CodeUnits",
        "artifacts": [
            {
                "location": {"uri": control.file},
                "hashes": {"sha-256": control.sha256},
                "mimeType": "application/yaml",
                "roles": ["policy"],
            }
            for control in run.controls
        ],
        "results": results,
        "invocations": [_invocation(bundle, left_out)],
        "properties": {
            "bundle": bundle.sums_sha256,
            "organization": line(run.organization),
            "outcome": run.outcome,
            "period": {"from": clock.text(run.period.start), "to": clock.text(run.period.end)},
        },
    }


def _invocation(bundle: Bundle, left_out: int) -> dict[str, Any]:
    notes: list[dict[str, Any]] = []
    if bundle.run.status != "complete":
        notes.append(
            {"level": "error", "message": {"text": "The run was not complete; see the results of kind review."}}
        )
    if left_out:
        text = f"{left_out:,} further results are left out, because GitHub takes at most {MAX_RESULTS:,}; the bundle has all."
        notes.append({"level": "warning", "message": {"text": text}})
    return {
        "executionSuccessful": bundle.run.status == "complete",
        "exitCode": bundle.results.exit_code,
        "startTimeUtc": clock.text(bundle.run.started_at),
        "endTimeUtc": clock.text(bundle.results.as_of),
        "toolExecutionNotifications": notes,
    }


def _rules(control: ControlResult) -> Iterator[dict[str, Any]]:
    """One rule per check, and one per test for what concerns the population as a whole."""
    tags = ["security", control.topic, *(f"{f}/{id}" for f, ids in sorted(control.satisfies.items()) for id in ids)]
    for test in control.tests:
        population = "Everything that the control applies to was there to be judged."
        for name, says in ((None, population), *((check.name, check.finding) for check in test.checks)):
            yield {
                "id": _rule_id(control, test, name),
                "name": _rule_id(control, test, name).replace("-", "_"),
                "shortDescription": {"text": line(f"{control.id}: {control.title}")},
                "fullDescription": {"text": line(f"{control.objective} ({test.id}: {says})")},
                "help": {
                    "text": visible(f"{control.objective}\n\n{control.remediation}"),
                    "markdown": visible(f"**{control.title}**\n\n{control.objective}\n\n{control.remediation}"),
                },
                "defaultConfiguration": {"level": _LEVELS[control.severity]},
                "properties": {
                    "tags": tags[:MAX_TAGS],
                    "security-severity": _SCORES[control.severity],
                    "problem.severity": {"error": "error", "warning": "warning", "note": "recommendation"}[
                        _LEVELS[control.severity]
                    ],
                    "precision": "very-high",
                },
            }


def _rule_id(control: ControlResult, test: TestResult, check: str | None) -> str:
    return f"{control.id}/{test.id}/{check}" if check else f"{control.id}/{test.id}"


def _results(
    bundle: Bundle, control: ControlResult, lines: dict[str, int], waivers: dict[str, WaiverUse]
) -> Iterator[dict[str, Any]]:
    for test in control.tests:
        why = unjudged(test)
        if why is not None:
            yield _result(control, test, None, None, why, "review", lines)
        for item in bundle.items(test):
            for finding in item.findings:
                kind = "review" if finding.outcome == "unknown" else "fail"
                text = f"{line(item.resource)}: {line(finding.sentence)}"
                result = _result(control, test, finding.check, item, text, kind, lines)
                yield {**result, **_suppressed(finding, waivers)}
            if item.outcome == "unknown" and not item.findings:
                text = f"{line(item.resource)}: {line(item.reason or 'not known')}"
                yield _result(control, test, None, item, text, "review", lines)


def _suppressed(finding: Finding, waivers: dict[str, WaiverUse]) -> dict[str, Any]:
    if finding.outcome != "waived":
        return {}
    waiver = waivers.get(finding.waiver or "")
    why = f"{waiver.reason} (until {waiver.expires}, approved by {waiver.approver})" if waiver else "waived"
    return {"suppressions": [{"kind": "external", "status": "accepted", "justification": line(why)}]}


def _result(
    control: ControlResult,
    test: TestResult,
    check: str | None,
    item: ItemResult | None,
    text: str,
    kind: str,
    lines: dict[str, int],
) -> dict[str, Any]:
    rule = _rule_id(control, test, check)
    place: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": {"uri": control.file},
            "region": {"startLine": lines.get(rule) or lines.get(_rule_id(control, test, None)) or 1},
        }
    }
    if item is not None:
        place["logicalLocations"] = [{"fullyQualifiedName": visible(item.resource), "kind": "resource"}]
    # GitHub tells alerts apart by this one; without it all items of one check would be a single alert.
    identity = canonical.sha256(f"{rule}\n{item.resource if item else ''}".encode())
    return {
        "ruleId": rule,
        "kind": kind,
        # The standard ties the level to the kind: only `fail` has one.
        "level": _LEVELS[control.severity] if kind == "fail" else "none",
        "message": {"text": visible(text)},
        "locations": [place],
        "partialFingerprints": {"primaryLocationLineHash": f"{identity[:32]}:1", "compliancectlItem/v1": identity},
    }


def _lines(bundle: Bundle, control: ControlResult) -> dict[str, int]:
    """Rule → line of its test or check in the control's file. Empty if this version cannot read the file."""
    from compliancectl.load import load_control

    with tempfile.TemporaryDirectory(prefix="compliancectl-export-") as folder:
        file = Path(folder) / Path(control.file).name
        file.write_bytes(bundle.read(control.file))
        try:
            read = load_control(file, topic=control.topic)
        except Error:
            return {}
    found: dict[str, int] = {}
    for test in read.tests:
        found[f"{control.id}/{test.id}"] = test.line
        found |= {f"{control.id}/{test.id}/{check.name}": check.line for check in test.checks if check.line}
    return {rule: number for rule, number in found.items() if number > 0}
