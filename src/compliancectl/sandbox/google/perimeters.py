"""Perimeters of VPC Service Controls, as Access Context Manager lists them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from compliancectl.sandbox.google import errors
from compliancectl.sandbox.google.server import Call
from compliancectl.sandbox.google.state import State

_POLICY = "accessPolicies/770011"


class Perimeters:
    """Answers about perimeters; they lie in one policy of the organisation."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.answers: dict[str, Callable[[Call], Any]] = {
            "accesscontextmanager.accessPolicies.list": self.policies,
            "accesscontextmanager.accessPolicies.servicePerimeters.list": self.perimeters,
        }

    def policies(self, call: Call) -> dict[str, Any]:
        """accessPolicies.list of an organisation."""
        if not str(call.first("parent")).startswith("organizations/"):
            raise errors.invalid("The parent must be an organization.")
        parent = {"name": _POLICY, "parent": call.first("parent"), "title": "seeded-person-chen's policy"}
        return {"accessPolicies": [parent] if self.state.data.get("perimeters") else []}

    def perimeters(self, call: Call) -> dict[str, Any]:
        """servicePerimeters.list of a policy."""
        if f"accessPolicies/{call.path['policy']}" != _POLICY:
            raise errors.not_found(f"Policy {call.path['policy']} was not found.")
        return {
            "servicePerimeters": [
                {
                    "name": f"{_POLICY}/servicePerimeters/{name}",
                    "title": f"seeded-person-chen's {name}",
                    "status": {
                        "resources": [f"projects/{self.state.number(f'projects/{p}')}" for p in it["projects"]],
                        "restrictedServices": it["services"],
                    },
                }
                for name, it in sorted(self.state.data.get("perimeters", {}).items())
            ]
        }
