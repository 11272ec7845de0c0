"""Container images: repositories of Artifact Registry, and what Artifact Analysis knows of the images."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from compliancectl.sandbox.google import errors
from compliancectl.sandbox.google.server import Call
from compliancectl.sandbox.google.state import REGIONS, State

_PLACES = ("europe", *REGIONS)
_VULNERABILITIES, _SCANS = 'kind="VULNERABILITY"', 'kind="DISCOVERY"'


class Supply:
    """Answers of the Artifact Registry and Container Analysis APIs."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.answers: dict[str, Callable[[Call], Any]] = {
            "artifactregistry.projects.locations.list": self.locations,
            "artifactregistry.projects.locations.repositories.list": self.repositories,
            "containeranalysis.projects.occurrences.list": self.occurrences,
        }

    def locations(self, call: Call) -> dict[str, Any]:
        """Artifact Registry's locations: regions and multi-regions."""
        base = f"projects/{call.path['project']}/locations"
        return {"locations": [{"name": f"{base}/{r}", "locationId": r, "displayName": r} for r in _PLACES]}

    def repositories(self, call: Call) -> dict[str, Any]:
        """Artifact Registry's repositories.list."""
        project, place = call.path["project"], call.path["location"]
        if place not in _PLACES:
            raise errors.invalid(f"Location {place} is not valid.")
        found = self.state.project(project).get("artifact_repositories", {})
        here = [(name, it) for name, it in sorted(found.items()) if it["location"] == place]
        return {"repositories": [repository(project, name, it) for name, it in here]}

    def occurrences(self, call: Call) -> dict[str, Any]:
        """Container Analysis's occurrences.list, of one kind."""
        project, wanted = call.path["project"], call.first("filter")
        if wanted not in (_VULNERABILITIES, _SCANS):
            raise errors.invalid("The sandbox knows only the filters for vulnerabilities and for discoveries.")
        it = self.state.project(project)
        if wanted == _SCANS:
            scans = it.get("image_scans", {})
            return {"occurrences": [_scan(project, name, scans[name]) for name in sorted(scans)]}
        found = it.get("vulnerabilities", {})
        return {"occurrences": [_vulnerability(project, cve, found[cve]) for cve in sorted(found)]}


def repository(project: str, name: str, it: dict[str, Any]) -> dict[str, Any]:
    """One repository."""
    record: dict[str, Any] = {
        "name": f"projects/{project}/locations/{it['location']}/repositories/{name}",
        "format": it["format"],
        "mode": "STANDARD_REPOSITORY",
        "labels": it.get("labels", {}),
        "createTime": it["created"],
        "updateTime": it["created"],
        "sizeBytes": "734003200",
        "vulnerabilityScanningConfig": {"enablementConfig": "INHERITED", "enablementState": it["scanning"]},
    }
    return record | ({"dockerConfig": {"immutableTags": True}} if it.get("immutable_tags") else {})


def _occurrence(project: str, mark: str, kind: str, it: dict[str, Any], at: str) -> dict[str, Any]:
    return {
        "name": f"projects/{project}/occurrences/{_uuid(mark + it['digest'])}",
        "kind": kind,
        "resourceUri": f"https://{it['image']}@{it['digest']}",
        "createTime": at,
        "updateTime": at,
    }


def _scan(project: str, name: str, it: dict[str, Any]) -> dict[str, Any]:
    found = {"continuousAnalysis": it["continuous"], "analysisStatus": it["status"], "lastScanTime": it["at"]}
    note = {"noteName": "projects/goog-analysis/notes/PACKAGE_VULNERABILITY"}
    return {**_occurrence(project, f"scan {name}", "DISCOVERY", it, it["at"]), **note, "discovery": found}


def _vulnerability(project: str, cve: str, it: dict[str, Any]) -> dict[str, Any]:
    return {
        **_occurrence(project, cve, "VULNERABILITY", it, it["found"]),
        "noteName": f"projects/goog-vulnz/notes/{cve}",
        "vulnerability": {
            "severity": it["severity"],
            "effectiveSeverity": it["severity"],
            "shortDescription": cve,
            **({"fixAvailable": True} if it.get("fix") else {}),
            "packageIssue": [{"affectedPackage": it["package"], "effectiveSeverity": it["severity"]}],
        },
    }


def _uuid(text: str) -> str:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:32]))
