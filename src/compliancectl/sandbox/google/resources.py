"""Resources that the definition writes in Google's own form: listed by their API, and held by the inventory.

`projects.P.resources.KEY` in `company/google.yaml` is a list by name of the fields of each; what a name, a place or a link
adds is put in here. A name `parent:name` lies in a parent, as a version lies in a secret.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from compliancectl.sandbox.google.server import Call
from compliancectl.sandbox.google.state import State

LINK = "https://www.googleapis.com/compute/v1/"
_LINKED = ("network", "target", "urlMap", "sslPolicy", "securityPolicy", "defaultService", "networkUrl")


@dataclass(frozen=True)
class Spec:
    """One kind of resource."""

    key: str
    asset: str
    method: str
    items: str
    name: str
    """Of `{project}`, `{number}`, `{at}`, `{parent}`, `{name}`."""
    schema: tuple[str, str, str]
    """API, version and message of its content in the inventory."""
    parent: str = ""
    """Which part of a list's path names the parent."""
    kind: str = ""
    """For APIs with links: `compute#subnetwork`."""

    @property
    def aggregated(self) -> bool:
        return self.method.endswith(".aggregatedList")


def _compute(key: str, noun: str, message: str) -> Spec:
    return Spec(
        key,
        f"compute.googleapis.com/{message}",
        f"compute.{noun}.aggregatedList",
        noun,
        f"projects/{{project}}/{{at}}/{noun}/{{name}}",
        ("compute", "v1", message),
        kind=f"compute#{message[0].lower()}{message[1:]}",
    )


SPECS = (
    _compute("subnetworks", "subnetworks", "Subnetwork"),
    _compute("routers", "routers", "Router"),
    _compute("vms", "instances", "Instance"),
    _compute("forwarding_rules", "forwardingRules", "ForwardingRule"),
    _compute("https_proxies", "targetHttpsProxies", "TargetHttpsProxy"),
    _compute("http_proxies", "targetHttpProxies", "TargetHttpProxy"),
    _compute("ssl_policies", "sslPolicies", "SslPolicy"),
    _compute("url_maps", "urlMaps", "UrlMap"),
    _compute("backend_services", "backendServices", "BackendService"),
    _compute("security_policies", "securityPolicies", "SecurityPolicy"),
    _compute("ssl_certificates", "sslCertificates", "SslCertificate"),
    Spec(
        "dns_zones",
        "dns.googleapis.com/ManagedZone",
        "dns.managedZones.list",
        "managedZones",
        "projects/{project}/managedZones/{name}",
        ("dns", "v1", "ManagedZone"),
        kind="dns#managedZone",
    ),
    Spec(
        "dns_policies",
        "dns.googleapis.com/Policy",
        "dns.policies.list",
        "policies",
        "projects/{project}/policies/{name}",
        ("dns", "v1", "Policy"),
        kind="dns#policy",
    ),
    Spec(
        "certificates",
        "certificatemanager.googleapis.com/Certificate",
        "certificatemanager.projects.locations.certificates.list",
        "certificates",
        "projects/{project}/{at}/certificates/{name}",
        ("certificatemanager", "v1", "Certificate"),
    ),
    Spec(
        "service_accounts",
        "iam.googleapis.com/ServiceAccount",
        "iam.projects.serviceAccounts.list",
        "accounts",
        "projects/{project}/serviceAccounts/{name}",
        ("iam", "v1", "ServiceAccount"),
    ),
    Spec(
        "service_account_keys",
        "iam.googleapis.com/ServiceAccountKey",
        "iam.projects.serviceAccounts.keys.list",
        "keys",
        "projects/{project}/serviceAccounts/{parent}/keys/{name}",
        ("iam", "v1", "ServiceAccountKey"),
        parent="account",
    ),
    Spec(
        "identity_pools",
        "iam.googleapis.com/WorkloadIdentityPool",
        "iam.projects.locations.workloadIdentityPools.list",
        "workloadIdentityPools",
        "projects/{number}/locations/global/workloadIdentityPools/{name}",
        ("iam", "v1", "WorkloadIdentityPool"),
    ),
    Spec(
        "identity_providers",
        "iam.googleapis.com/WorkloadIdentityPoolProvider",
        "iam.projects.locations.workloadIdentityPools.providers.list",
        "workloadIdentityPoolProviders",
        "projects/{number}/locations/global/workloadIdentityPools/{parent}/providers/{name}",
        ("iam", "v1", "WorkloadIdentityPoolProvider"),
        parent="pool",
    ),
    Spec(
        "keys",
        "cloudkms.googleapis.com/CryptoKey",
        "kmsinventory.projects.cryptoKeys.list",
        "cryptoKeys",
        "projects/{project}/{at}/keyRings/data/cryptoKeys/{name}",
        ("cloudkms", "v1", "CryptoKey"),
    ),
    Spec(
        "secrets",
        "secretmanager.googleapis.com/Secret",
        "secretmanager.projects.secrets.list",
        "secrets",
        "projects/{number}/secrets/{name}",
        ("secretmanager", "v1", "Secret"),
    ),
    Spec(
        "secret_versions",
        "secretmanager.googleapis.com/SecretVersion",
        "secretmanager.projects.secrets.versions.list",
        "versions",
        "projects/{number}/secrets/{parent}/versions/{name}",
        ("secretmanager", "v1", "SecretVersion"),
        parent="secret",
    ),
    Spec(
        "alert_policies",
        "monitoring.googleapis.com/AlertPolicy",
        "monitoring.projects.alertPolicies.list",
        "alertPolicies",
        "projects/{project}/alertPolicies/{name}",
        ("monitoring", "v3", "AlertPolicy"),
    ),
    Spec(
        "notification_channels",
        "monitoring.googleapis.com/NotificationChannel",
        "monitoring.projects.notificationChannels.list",
        "notificationChannels",
        "projects/{project}/notificationChannels/{name}",
        ("monitoring", "v3", "NotificationChannel"),
    ),
    Spec(
        "uptime_checks",
        "monitoring.googleapis.com/UptimeCheckConfig",
        "monitoring.projects.uptimeCheckConfigs.list",
        "uptimeCheckConfigs",
        "projects/{project}/uptimeCheckConfigs/{name}",
        ("monitoring", "v3", "UptimeCheckConfig"),
    ),
    Spec(
        "topics",
        "pubsub.googleapis.com/Topic",
        "",
        "topics",
        "projects/{project}/topics/{name}",
        ("pubsub", "v1", "Topic"),
    ),
    Spec(
        "flow_log_configs",
        "",
        "networkmanagement.projects.locations.vpcFlowLogsConfigs.list",
        "vpcFlowLogsConfigs",
        "projects/{project}/{at}/vpcFlowLogsConfigs/{name}",
        ("networkmanagement", "v1", "VpcFlowLogsConfig"),
    ),
)


class Resources:
    """Lists of all kinds."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.answers: dict[str, Callable[[Call], Any]] = {
            spec.method: partial(self.list, spec) for spec in SPECS if spec.method
        }

    def list(self, spec: Spec, call: Call) -> dict[str, Any]:
        """The list of one kind, in one place or by place."""
        found = list(self.of(spec, self.state.project_id(call.path["project"]), call.path.get(spec.parent, "")))
        if not spec.aggregated:
            return {spec.items: [make() for _, _, make in found]}
        places: dict[str, Any] = {
            "global": {"warning": {"code": "NO_RESULTS_ON_PAGE", "message": "There are no results on this page."}}
        }
        for at, _, make in found:
            holder = places.get(at, {})
            places[at] = {spec.items: [*holder.get(spec.items, []), make()]}
        return {"items": places}

    def of(self, spec: Spec, project: str, parent: str = "") -> Iterator[tuple[str, str, Callable[[], dict[str, Any]]]]:
        """Place, full name, and what makes the record, of each resource of a kind in a project."""
        held = self.state.project(project).get("resources", {}).get(spec.key, {})
        for key in sorted(held):
            above, _, name = key.rpartition(":")
            if parent and above != parent:
                continue
            at = held[key].get("at", "global" if spec.kind else "locations/global")
            number = self.state.number(f"projects/{project}")
            full = spec.name.format(project=project, number=number, at=at, parent=above, name=name)
            yield at, full, partial(_record, spec, name, full, held[key])


def _record(spec: Spec, name: str, full: str, it: dict[str, Any]) -> dict[str, Any]:
    record = {field: _linked(field, value) for field, value in it.items() if field != "at"}
    if spec.key == "service_accounts":
        record |= {"email": name, "projectId": full.split("/")[1]}
    if not spec.kind:
        return {"name": full, **record}
    record |= {"kind": spec.kind, "id": str(int(hashlib.sha256(full.encode()).hexdigest()[:15], 16)), "name": name}
    if spec.kind.startswith("compute#"):
        place, _, region = it.get("at", "").partition("/")
        record |= {"selfLink": LINK + full, **({place.removesuffix("s"): region} if region else {})}
    return record


def _linked(field: str, value: Any) -> Any:
    """Names of other resources as links; inside lists and objects too."""
    if isinstance(value, list):
        return [_linked("", item) for item in value]
    if isinstance(value, dict):
        return {key: _linked(key, item) for key, item in value.items()}
    return LINK + value if field in _LINKED and str(value).startswith("projects/") else value
