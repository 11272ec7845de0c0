"""OSCAL assessment results (JSON), in the versions 1.1.3 and 1.2.1.

An observation per test says what was examined and what was seen; its evidence refers to resources in the back matter,
each with the digest of the file in the bundle. A finding per control says `satisfied` or `not-satisfied`, because
OSCAL knows nothing else: a control without deviations is the first; deviations and what could not be determined are
the second. A control that nothing occurred to has observations and no finding. The property `outcome` has our own word.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from functools import partial
from typing import Any, BinaryIO

from compliancectl import clock
from compliancectl.export.source import Bundle
from compliancectl.export.words import line, sentences, uid, visible
from compliancectl.model.control import MAX_AGE_HOURS
from compliancectl.model.result import ControlResult, ItemResult, TestResult
from compliancectl.numbers import counted

NAMESPACE = "https://compliancectl.dev/ns/oscal"
VERSIONS = ("1.2.1", "1.1.3")
Ids = Any


def write(bundle: Bundle, stream: BinaryIO, *, version: str = VERSIONS[0]) -> None:
    """Write the results as one OSCAL document."""
    make = partial(uid, "oscal", bundle.sums_sha256)
    document = {"assessment-results": _document(bundle, version, make)}
    stream.write(json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n")


def _document(bundle: Bundle, version: str, make: Ids) -> dict[str, Any]:
    results = bundle.results
    return {
        "uuid": make("document"),
        "metadata": {
            "title": line(f"Assessment results of {results.system}, {results.environment}"),
            "last-modified": clock.text(results.as_of),
            "version": results.run_id,
            "oscal-version": version,
            "props": [
                _prop("tool", f"compliancectl {results.tool_version}"),
                _prop("engine", results.engine),
                _prop("bundle", bundle.sums_sha256),
            ],
            "roles": [{"id": "assessed-party", "title": "The organization whose system was examined"}],
            "parties": [{"uuid": make("party"), "type": "organization", "name": line(results.organization)}],
            "responsible-parties": [{"role-id": "assessed-party", "party-uuids": [make("party")]}],
        },
        "import-ap": {
            "href": f"#{make('resource', _PLAN)}",
            "remarks": "The selection, parameters and instant of judgement; the bundle has the controls themselves.",
        },
        "results": [_result(bundle, make)],
        "back-matter": {"resources": _resources(bundle, make)},
    }


_PLAN = "catalog/config.json"


def _result(bundle: Bundle, make: Ids) -> dict[str, Any]:
    results = bundle.results
    odd: dict[str, ItemResult] = {}
    for control in results.controls:
        for test in control.tests:
            odd |= {item.resource: item for item in test.deviations}
    result: dict[str, Any] = {
        "uuid": make("result"),
        "title": line(f"Run {results.run_id}"),
        "description": "What the controls found in the evidence of this run.",
        "start": clock.text(results.period.start),
        "end": clock.text(max(results.period.end, results.period.start)),
        "props": [_prop("outcome", results.outcome), _prop("run-status", bundle.run.status)],
        "reviewed-controls": {
            "control-selections": [{"include-controls": [{"control-id": control.id} for control in results.controls]}]
            if results.controls
            else [{"remarks": "No control was selected."}]
        },
    }
    if odd:
        result["local-definitions"] = {
            "inventory-items": [
                {"uuid": make("item", resource), "description": visible(resource) or "-"} for resource in sorted(odd)
            ]
        }
    observations = [_observation(bundle, control, test, make) for control in results.controls for test in control.tests]
    findings = [_finding(control, make) for control in results.controls if control.outcome != "no occurrences"]
    return {
        **result,
        **({"observations": observations} if observations else {}),
        **({"findings": findings} if findings else {}),
    }


def _observation(bundle: Bundle, control: ControlResult, test: TestResult, make: Ids) -> dict[str, Any]:
    oldest = min((use.oldest for use in test.tables if use.oldest), default=None)
    collected = oldest or bundle.run.finished_at or bundle.results.as_of
    found: dict[str, Any] = {
        "uuid": make("observation", control.id, test.id),
        "title": line(f"{control.id}, {test.id}"),
        "description": visible(_description(test)),
        "props": [
            _prop("outcome", test.outcome),
            _prop("control", control.id),
            _prop("test", test.id),
            *(_prop(f"items-{name}", str(value)) for name, value in test.counts.model_dump().items()),
        ],
        "methods": ["TEST"],
        "types": ["control-objective"],
        "collected": clock.text(collected),
        "expires": clock.text(_expires(collected, control)),
    }
    subjects = [_subject(item, make) for item in _distinct(test.deviations)]
    if subjects:
        found["subjects"] = subjects
    evidence = sorted({f"evidence/{id}/item.json" for use in test.tables for id in use.items} & set(bundle.digests))
    members = [*evidence, *([test.items_path] if test.items_path else [])]
    if members:
        found["relevant-evidence"] = [
            {"href": f"#{make('resource', name)}", "description": f"{name} in the bundle"} for name in members
        ]
    return found


def _expires(collected: datetime, control: ControlResult) -> datetime:
    return collected + timedelta(hours=MAX_AGE_HOURS[control.frequency])


def _description(test: TestResult) -> str:
    counts = test.counts
    total = counts.total
    said = [
        f"{counted(total, 'item')} examined by SQL over {', '.join(use.table for use in test.tables) or 'no table'}."
    ]
    said += [test.reason] if test.reason else []
    said += [f"Check {check.name}: {line(check.expect)}" for check in test.checks]
    hidden = total - counts.passed - len(test.deviations)
    if hidden > 0:
        said.append(f"{hidden:,} further items that did not pass are in {test.items_path} only.")
    return "\n\n".join(said)


def _distinct(items: tuple[ItemResult, ...]) -> list[ItemResult]:
    return list({item.resource: item for item in items}.values())


def _subject(item: ItemResult, make: Ids) -> dict[str, Any]:
    return {
        "subject-uuid": make("item", item.resource),
        "type": "inventory-item",
        "title": line(item.resource),
        "props": [_prop("outcome", item.outcome)],
        "remarks": visible(sentences(item)) or item.outcome,
    }


def _finding(control: ControlResult, make: Ids) -> dict[str, Any]:
    satisfied = control.outcome == "no deviations"
    criteria = [_prop("criterion", f"{name} {id}") for name, ids in sorted(control.satisfies.items()) for id in ids]
    return {
        "uuid": make("finding", control.id),
        "title": line(control.title),
        "description": visible(control.objective) or "-",
        "props": [_prop("outcome", control.outcome), _prop("severity", control.severity), *criteria],
        "target": {
            "type": "objective-id",
            "target-id": control.id,
            "title": line(control.title),
            "status": {
                "state": "satisfied" if satisfied else "not-satisfied",
                "reason": "pass" if satisfied else "fail" if control.outcome == "deviations" else "other",
            },
        },
        "related-observations": [
            {"observation-uuid": make("observation", control.id, test.id)} for test in control.tests
        ],
    }


def _resources(bundle: Bundle, make: Ids) -> list[dict[str, Any]]:
    """Every file of the bundle that this document rests on, with its digest."""
    wanted = {_PLAN, "run.json", "results/results.json"}
    for control in bundle.results.controls:
        wanted.add(control.file)
        for test in control.tests:
            wanted |= {f"evidence/{id}/item.json" for use in test.tables for id in use.items}
            wanted |= {test.items_path} if test.items_path else set()
    return [
        {
            "uuid": make("resource", name),
            "title": name,
            "props": [_prop("type", "plan" if name == _PLAN else "evidence", ns=None)],
            "rlinks": [
                {
                    "href": name,
                    "media-type": _media(name),
                    "hashes": [{"algorithm": "SHA-256", "value": bundle.digests[name]}],
                }
            ],
        }
        for name in sorted(wanted & set(bundle.digests))
    ]


def _media(name: str) -> str:
    kinds = {".json": "application/json", ".jsonl": "application/x-ndjson", ".yaml": "application/yaml"}
    return kinds[name[name.rindex(".") :]]


def _prop(name: str, value: str, ns: str | None = NAMESPACE) -> dict[str, str]:
    return {"name": name, **({"ns": ns} if ns else {}), "value": line(value)}
