"""OCSF: one Compliance Finding (class 2003, schema 1.5.0) a line for every item of every population.

`compliance.status_id` follows the outcome: pass 1, unknown 2 (a warning: information is missing), fail and waived 3,
excluded 99. A waived finding is `Suppressed`. `finding_info.uid` is the same in every run for the same item, so that
a receiver can follow it. A test that could not be judged is one event about the control itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

from compliancectl import canonical
from compliancectl.export.source import Bundle
from compliancectl.export.words import line, sentences, uid, unjudged, visible
from compliancectl.model.control import Severity
from compliancectl.model.result import ControlResult, ItemOutcome, TestResult

VERSION = "1.5.0"
_SEVERITIES: dict[Severity, tuple[int, str]] = {
    "low": (2, "Low"),
    "medium": (3, "Medium"),
    "high": (4, "High"),
    "critical": (5, "Critical"),
}
_STATUSES: dict[ItemOutcome, tuple[int, str]] = {
    "pass": (1, "Pass"),
    "unknown": (2, "Warning"),
    "fail": (3, "Fail"),
    "waived": (3, "Fail"),
    "excluded": (99, "Excluded"),
}
_QUIET = ("pass", "excluded")


def write(bundle: Bundle, stream: BinaryIO) -> None:
    """Write one event a line, ordered by control, test and resource."""
    for event in _events(bundle):
        stream.write(canonical.to_bytes(event) + b"\n")


def _events(bundle: Bundle) -> Iterator[dict[str, Any]]:
    for control in bundle.results.controls:
        for test in control.tests:
            why = unjudged(test)
            if why is not None:
                yield _event(bundle, control, test, control.id, "unknown", why, {})
            for item in bundle.items(test):
                said = sentences(item)
                yield _event(bundle, control, test, item.resource, item.outcome, said, item.observed)


def _event(
    bundle: Bundle,
    control: ControlResult,
    test: TestResult,
    resource: str,
    outcome: ItemOutcome,
    said: str,
    observed: dict[str, Any],
) -> dict[str, Any]:
    results = bundle.results
    time = int(results.as_of.timestamp() * 1000)
    severity_id, severity = (1, "Informational") if outcome in _QUIET else _SEVERITIES[control.severity]
    status_id, status = _STATUSES[outcome]
    identity = (results.organization, results.system, results.environment, control.id, test.id, resource)
    event: dict[str, Any] = {
        "activity_id": 1,
        "activity_name": "Create",
        "category_name": "Findings",
        "category_uid": 2,
        "class_name": "Compliance Finding",
        "class_uid": 2003,
        "type_name": "Compliance Finding: Create",
        "type_uid": 200301,
        "time": time,
        "severity_id": severity_id,
        "severity": severity,
        "message": visible(said) or f"{line(resource)}: {outcome}",
        "metadata": {
            "version": VERSION,
            "uid": uid(bundle.sums_sha256, *identity),
            "correlation_uid": results.run_id,
            "product": {"name": "compliancectl", "vendor_name": "compliancectl", "version": results.tool_version},
        },
        "finding_info": {
            "uid": uid("finding", *identity),
            "title": line(control.title),
            "desc": visible(control.objective),
            "created_time": time,
            "types": [control.topic],
        },
        "compliance": {
            "control": control.id,
            "desc": visible(test.id),
            "requirements": [id for _, ids in sorted(control.satisfies.items()) for id in ids],
            "standards": sorted(control.satisfies),
            "status": status,
            "status_id": status_id,
        },
        "remediation": {"desc": visible(control.remediation)},
        "resources": [{"uid": visible(resource), "name": line(resource), "data": observed}],
        "unmapped": {"outcome": outcome, "test": test.id, "bundle": bundle.sums_sha256},
    }
    if outcome not in _QUIET:
        event["status_id"], event["status"] = (3, "Suppressed") if outcome == "waived" else (1, "New")
    return event
