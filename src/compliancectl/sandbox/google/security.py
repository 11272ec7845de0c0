"""Security Command Center: what it found, and the rules that mute some of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from compliancectl.sandbox.google import errors
from compliancectl.sandbox.google.server import Call
from compliancectl.sandbox.google.state import State

_SOURCE = "5001"


class Security:
    """Answers of the Security Command Center API."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.answers: dict[str, Callable[[Call], Any]] = {
            "securitycenter.organizations.sources.findings.list": self.findings,
            "securitycenter.folders.sources.findings.list": self.findings,
            "securitycenter.projects.sources.findings.list": self.findings,
            "securitycenter.organizations.muteConfigs.get": self.rule,
        }

    def findings(self, call: Call) -> dict[str, Any]:
        """findings.list of all sources, for the one filter that is needed."""
        if call.first("filter") != 'state="ACTIVE"' or call.path["source"] != "-":
            raise errors.invalid("The sandbox knows only the active findings of all sources.")
        (kind, name), *_ = call.path.items()
        above = self.state.ancestors(f"{kind}s/{name}")[0]
        return {
            "listFindingsResults": [
                self._result(project, mark, found[mark])
                for project, it in sorted(self.state.projects.items())
                if above in self.state.ancestors(f"projects/{project}")
                for found in [it.get("security_findings", {})]
                for mark in sorted(found)
            ]
        }

    def _result(self, project: str, mark: str, it: dict[str, Any]) -> dict[str, Any]:
        source = f"organizations/{self.state.data['organization']}/sources/{_SOURCE}"
        name = f"{source}/findings/{mark}"
        finding = {
            "name": name,
            "parent": source,
            "resourceName": it["about"],
            "state": "ACTIVE",
            "category": it["category"],
            "findingClass": "MISCONFIGURATION",
            "severity": it["severity"],
            "mute": it.get("mute", "UNDEFINED"),
            "eventTime": it["seen"],
            "createTime": it["seen"],
            "description": it.get("description", ""),
            "securityMarks": {"name": f"{name}/securityMarks", "marks": it.get("marks", {})},
        }
        if it.get("muted_by"):
            finding["muteInitiator"] = it["muted_by"]
        place = f"//cloudresourcemanager.googleapis.com/projects/{self.state.number(f'projects/{project}')}"
        return {
            "finding": finding,
            "resource": {"name": it["about"], "projectName": place, "projectDisplayName": project},
        }

    def rule(self, call: Call) -> dict[str, Any]:
        """muteConfigs.get."""
        rule = self.state.data.get("mute_rules", {}).get(call.path["rule"])
        if rule is None:
            raise errors.error(404, "Requested entity was not found.", "notFound")
        name = f"organizations/{call.path['organization']}/muteConfigs/{call.path['rule']}"
        return {"name": name, "type": "STATIC", "mostRecentEditor": "seeded-person@larkspur.example", **rule}
