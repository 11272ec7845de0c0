"""Compute Engine: expands the definition into networks, firewall rules and firewall policies."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from compliancectl.sandbox.google import errors
from compliancectl.sandbox.google.server import Call
from compliancectl.sandbox.google.state import REGIONS, State

LINK = "https://www.googleapis.com/compute/v1/"


class Networks:
    """Answers of the Compute Engine API."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.answers: dict[str, Callable[[Call], Any]] = {
            "compute.firewalls.list": self.firewalls,
            "compute.networks.list": self.networks,
            "compute.networks.getEffectiveFirewalls": self.effective_firewalls,
            "compute.networkFirewallPolicies.aggregatedList": self.network_policies,
        }

    def _of(self, call: Call, key: str, default: Any = None) -> Any:
        return self.state.project(call.path["project"]).get(key, {} if default is None else default)

    def firewalls(self, call: Call) -> dict[str, Any]:
        """compute.firewalls.list."""
        project = call.path["project"]
        rules = self._of(call, "firewalls")
        return {
            "kind": "compute#firewallList",
            "id": f"projects/{project}/global/firewalls",
            "items": [firewall(project, n, rules[n]) for n in sorted(rules)],
        }

    def networks(self, call: Call) -> dict[str, Any]:
        """compute.networks.list."""
        project = call.path["project"]
        return {
            "kind": "compute#networkList",
            "id": f"projects/{project}/global/networks",
            "items": [network(project, n, self.state.project(project)) for n in sorted(self._of(call, "networks", []))],
        }

    def effective_firewalls(self, call: Call) -> dict[str, Any]:
        """compute.networks.getEffectiveFirewalls: the hierarchical policy, network policies, VPC rules."""
        project, network = call.path["project"], call.path["network"]
        if network not in self._of(call, "networks", []):
            raise errors.not_found(f"The resource 'projects/{project}/global/networks/{network}' was not found")
        rules = self._of(call, "firewalls")
        policies = [("HIERARCHY", "500100200300", it) for it in self.state.data.get("firewall_policies", {}).values()]
        policies += [("NETWORK", _number(n), it) for n, it in sorted(self._of(call, "network_policies").items())]
        names = [*self.state.data.get("firewall_policies", {}), *sorted(self._of(call, "network_policies"))]
        return {
            "firewalls": [firewall(project, n, it) for n, it in sorted(rules.items()) if it["network"] == network],
            "firewallPolicys": [
                {"name": number, "shortName": name, "type": kind, "rules": [_policy_rule(r) for r in it["rules"]]}
                for name, (kind, number, it) in zip(names, policies, strict=True)
            ],
        }

    def network_policies(self, call: Call) -> dict[str, Any]:
        """compute.networkFirewallPolicies.aggregatedList: by place, with a warning where there is none."""
        project = call.path["project"]
        places: dict[str, Any] = {
            f"regions/{region}": {
                "warning": {"code": "NO_RESULTS_ON_PAGE", "message": "There are no results on this page."}
            }
            for region in REGIONS
        }
        policies = [network_policy(project, n, it) for n, it in sorted(self._of(call, "network_policies").items())]
        if policies:
            places["global"] = {"firewallPolicies": policies}
        return {
            "kind": "compute#networkFirewallPoliciesAggregatedList",
            "id": f"projects/{project}/aggregated/firewallPolicies",
            "items": places,
        }


def network(project: str, name: str, it: dict[str, Any]) -> dict[str, Any]:
    """One network, with what `network_settings` of its project says."""
    return {
        "kind": "compute#network",
        "id": _number(name),
        "name": name,
        "autoCreateSubnetworks": False,
        "selfLink": f"{LINK}projects/{project}/global/networks/{name}",
        **it.get("network_settings", {}).get(name, {}),
    }


def hierarchical_policy(root: str, name: str, it: dict[str, Any]) -> dict[str, Any]:
    """A firewall policy of the organisation, with what it is attached to."""
    number = "500100200300"
    return {
        "kind": "compute#firewallPolicy",
        "id": number,
        "name": number,
        "shortName": name,
        "selfLink": f"{LINK}locations/global/firewallPolicies/{number}",
        "parent": root,
        "rules": [_policy_rule(rule) for rule in it["rules"]],
        "associations": [{"name": f"{name}-1", "attachmentTarget": root}],
    }


def firewall(project: str, name: str, it: dict[str, Any]) -> dict[str, Any]:
    """One firewall."""
    ports = [{"IPProtocol": p, **({"ports": n} if n else {})} for p, n in it["protocols"].items()]
    return {
        "kind": "compute#firewall",
        "id": _number(name),
        "name": name,
        "description": it.get("description", ""),
        "network": f"{LINK}projects/{project}/global/networks/{it['network']}",
        "priority": it.get("priority", 1000),
        "direction": it.get("direction", "INGRESS"),
        "disabled": it.get("disabled", False),
        "sourceRanges": it.get("sources", []),
        it.get("action", "allowed"): ports,
        "logConfig": {"enable": it.get("logging", True)},
        "selfLink": f"{LINK}projects/{project}/global/firewalls/{name}",
    }


def network_policy(project: str, name: str, it: dict[str, Any]) -> dict[str, Any]:
    """One network policy."""
    link = f"{LINK}projects/{project}/global"
    return {
        "kind": "compute#firewallPolicy",
        "id": _number(name),
        "name": name,
        "description": it.get("description", ""),
        "selfLink": f"{link}/firewallPolicies/{name}",
        "rules": [_policy_rule(rule) for rule in it["rules"]],
        "associations": [{"name": f"{name}-{n}", "attachmentTarget": f"{link}/networks/{n}"} for n in it["networks"]],
    }


def _policy_rule(it: dict[str, Any]) -> dict[str, Any]:
    layers = [{"ipProtocol": p, **({"ports": n} if n else {})} for p, n in it["protocols"].items()]
    return {
        "kind": "compute#firewallPolicyRule",
        "priority": it["priority"],
        "direction": it.get("direction", "INGRESS"),
        "action": it["action"],
        "description": it.get("description", ""),
        "disabled": it.get("disabled", False),
        "enableLogging": it.get("logging", True),
        "match": {"srcIpRanges": it.get("sources", []), "layer4Configs": layers},
    }


def _number(text: str) -> str:
    return str(int(hashlib.sha256(text.encode()).hexdigest()[:15], 16))
