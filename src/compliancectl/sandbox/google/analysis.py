"""Cloud Asset API's analysis of IAM policies: who holds a permission where, with the members of the company's groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from compliancectl.sandbox.google import errors
from compliancectl.sandbox.google.server import Call
from compliancectl.sandbox.google.state import State

_SQL = ("cloudsql.instances.connect", "cloudsql.instances.export", "cloudsql.instances.login")
_ROLES = {
    "roles/owner": (*_SQL, "secretmanager.versions.access"),
    "roles/editor": _SQL,
    "roles/cloudsql.admin": _SQL,
    "roles/cloudsql.client": ("cloudsql.instances.connect",),
    "roles/cloudsql.instanceUser": ("cloudsql.instances.login",),
    "roles/secretmanager.admin": ("secretmanager.versions.access",),
    "roles/secretmanager.secretAccessor": ("secretmanager.versions.access",),
    "roles/storage.admin": ("storage.objects.get",),
    "roles/storage.objectViewer": ("storage.objects.get",),
}
"""Role → which of the permissions that are asked for it holds."""
_PLACES = "//cloudresourcemanager.googleapis.com/"
_QUERY = "analysisQuery"


class Analysis:
    """Answers of cloudasset.analyzeIamPolicy."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.answers: dict[str, Callable[[Call], Any]] = {"cloudasset.analyzeIamPolicy": self.analyze}

    def analyze(self, call: Call) -> dict[str, Any]:
        """All that is granted in a scope, or what is granted on one place and above it."""
        wanted = set(call.query.get(f"{_QUERY}.accessSelector.permissions", ()))
        if not wanted or call.first(f"{_QUERY}.options.expandGroups") != "true":
            raise errors.invalid("The sandbox wants permissions, and groups expanded.")
        scope = f"{call.path['kind']}/{call.path['name']}"
        about = call.first(f"{_QUERY}.resourceSelector.fullResourceName")
        found = list(self._inherited(about.removeprefix(_PLACES)) if about else self._below(scope))
        results = [self._result(where, binding, wanted) for where, binding in found]
        return {
            "mainAnalysis": {"analysisResults": [one for one in results if one], "fullyExplored": True},
            "fullyExplored": True,
        }

    def _inherited(self, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for name in (place, *self.state.ancestors(place)[1:]):
            yield from self._bindings(name)

    def _below(self, scope: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for folder in sorted(self.state.data.get("folders", {})):
            if scope in self.state.ancestors(f"folders/{folder}"):
                yield from self._bindings(f"folders/{folder}")
        if scope.startswith("organizations/"):
            yield from self._bindings(scope)
        for project, it in sorted(self.state.projects.items()):
            if scope in (f"projects/{project}", *self.state.ancestors(f"projects/{project}")):
                yield from self._bindings(f"projects/{project}")
                for policy in it.get("iam", ()):
                    for binding in self.state.bindings(policy):
                        yield policy["resource"], binding

    def _bindings(self, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for binding in self.state.policy(place).get("bindings", []):
            yield f"{_PLACES}{place}", binding

    def _result(self, where: str, binding: dict[str, Any], wanted: set[str]) -> dict[str, Any] | None:
        held = sorted(wanted & set(_ROLES.get(binding["role"], ())))
        if not held:
            return None
        names, edges = list(binding["members"]), []
        for name in names:  # grows while it is read: a group may hold a group
            for member in self.state.data.get("groups", {}).get(name.removeprefix("group:"), ()):
                edges.append({"sourceNode": name, "targetNode": member})
                names += [member] if member not in names else []
        access: dict[str, Any] = {
            "resources": [{"fullResourceName": where}],
            "accesses": [{"permission": name} for name in held],
        }
        if "condition" in binding:
            access["conditionEvaluation"] = {"evaluationValue": "CONDITIONAL"}
        return {
            "attachedResourceFullName": where,
            "iamBinding": binding,
            "accessControlLists": [access],
            "identityList": {"identities": [{"name": name} for name in names], "groupEdges": edges},
            "fullyExplored": True,
        }
