"""Data profiles of Sensitive Data Protection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from compliancectl.sandbox.google import errors
from compliancectl.sandbox.google.server import Call
from compliancectl.sandbox.google.state import REGIONS, State


class Profiles:
    """Answers about what was found in columns."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.answers: dict[str, Callable[[Call], Any]] = {
            "dlp.projects.locations.columnDataProfiles.list": self.of_project,
            "dlp.organizations.locations.columnDataProfiles.list": self.of_organization,
        }

    def of_project(self, call: Call) -> dict[str, Any]:
        """Those that a project keeps itself."""
        holder = self.state.project(call.path["project"])
        return self._list(f"projects/{call.path['project']}", holder, call)

    def of_organization(self, call: Call) -> dict[str, Any]:
        """Those that the organisation keeps of all its projects."""
        return self._list(f"organizations/{call.path['organization']}", self.state.data, call)

    def _list(self, place: str, holder: dict[str, Any], call: Call) -> dict[str, Any]:
        location = call.path["location"]
        if location not in REGIONS:
            raise errors.invalid(f"Malformed parent: location {location} does not exist.")
        found = sorted(holder.get("column_profiles", {}).items())
        return {
            "columnDataProfiles": [
                self._profile(f"{place}/locations/{location}/columnDataProfiles/{name}", it)
                for name, it in found
                if it["location"] == location
            ]
        }

    def _profile(self, name: str, it: dict[str, Any]) -> dict[str, Any]:
        record = {
            "name": name,
            "state": "DONE",
            "profileLastGenerated": it["at"],
            "profileStatus": {"status": {"code": it["failed"]} if it.get("failed") else {}},
            "column": it["column"],
            "columnType": "TYPE_STRING",
            "tableId": it["table"].rpartition("/")[2],
            "tableFullResource": it["table"],
            "datasetProjectId": it["project"],
            "sensitivityScore": {"score": it.get("sensitivity", "SENSITIVITY_LOW")},
        }
        if "found" in it:
            record["columnInfoType"] = {"infoType": {"name": it["found"]}}
        if "others" in it:
            record["otherMatches"] = [
                {"infoType": {"name": kind}, "estimatedPrevalence": 4, "excludedFromAnalysis": kind == "DATE"}
                for kind in it["others"]
            ]
        return record
