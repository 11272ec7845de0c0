"""Networks, subnetworks, address translation and machines: Compute Engine API v1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from compliancectl.collectors.base import Row
from compliancectl.collectors.gcp.feed import Audited
from compliancectl.collectors.gcp.kinds import Kind, kinds_feed, last, link, percent
from compliancectl.collectors.gcp.redact import Drop
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.shaping import columns, describe, dig, project_column, resource_column, row
from compliancectl.model.table import BOOL, INT, TEXT, Column, ListOf, Table, struct

_n = describe("compute.v1#Network")
_s = describe("compute.v1#Subnetwork")
_r = describe("compute.v1#RouterNat")
_v = describe("compute.v1#Instance")

NETWORK = Table(
    "gcp.network",
    "One row per VPC network.",
    columns(
        project_column(),
        resource_column("//compute.googleapis.com/projects/P/global/networks/N"),
        _n("name", TEXT, "name", "Name of the network.", required=True),
        _n("auto_subnetworks", BOOL, "autoCreateSubnetworks", "A subnetwork is made in every region by itself."),
        Column(
            "legacy",
            BOOL,
            "A legacy network: one range for the whole world, without subnetworks.",
            "derived: compute.v1 Network IPv4Range is set",
        ),
        Column(
            "peerings",
            ListOf(struct(name=TEXT, network=TEXT, state=TEXT)),
            "Networks that it is joined to, as projects/P/global/networks/N, with ACTIVE or INACTIVE.",
            "compute.v1#Network:peerings[]",
        ),
    ),
    key=("resource",),
    permissions=("compute.networks.list",),
)

SUBNETWORK = Table(
    "gcp.subnetwork",
    "One row per subnetwork.",
    columns(
        project_column(),
        resource_column("//compute.googleapis.com/projects/P/regions/R/subnetworks/S"),
        _s("name", TEXT, "name", "Name within its region.", required=True),
        Column("region", TEXT, "Region.", "compute.v1#Subnetwork:region, last part"),
        Column("network", TEXT, "Full resource name of its network.", "compute.v1#Subnetwork:network"),
        _s("purpose", TEXT, "purpose", "PRIVATE: holds workloads; others hold proxies or endpoints of Google."),
        Column(
            "flow_logs",
            BOOL,
            "Traffic is recorded by its own setting; false when it has none.",
            "derived: compute.v1 Subnetwork logConfig.enable",
        ),
        Column(
            "flow_sampling", INT, "Share of the traffic that is recorded, in percent.", "logConfig.flowSampling, x 100"
        ),
        _s("flow_metadata", TEXT, "logConfig.metadata", "INCLUDE_ALL_METADATA, EXCLUDE_ALL_METADATA, CUSTOM_METADATA."),
    ),
    key=("resource",),
    permissions=("compute.subnetworks.list",),
)

NAT = Table(
    "gcp.nat",
    "One row per Cloud NAT gateway of a router.",
    columns(
        project_column(),
        resource_column("//compute.googleapis.com/projects/P/regions/R/routers/ROUTER/nats/NAT"),
        _r("name", TEXT, "name", "Name within its router.", required=True),
        Column("network", TEXT, "Full resource name of its network.", "compute.v1#Router:network"),
        Column(
            "logging",
            BOOL,
            "Translations are recorded; false when nothing is set.",
            "derived: compute.v1 RouterNat logConfig.enable",
        ),
        _r("log_filter", TEXT, "logConfig.filter", "ALL, ERRORS_ONLY or TRANSLATIONS_ONLY."),
    ),
    key=("resource",),
    permissions=("compute.routers.list",),
)

MACHINE = Table(
    "gcp.vm",
    "One row per virtual machine.",
    columns(
        project_column(),
        resource_column("//compute.googleapis.com/projects/P/zones/Z/instances/I"),
        _v("name", TEXT, "name", "Name within its zone.", required=True),
        _v("status", TEXT, "status", "RUNNING, TERMINATED …"),
        Column(
            "external_addresses",
            INT,
            "How many ways from the internet its interfaces are given, an address that is not yet assigned included.",
            "derived: compute.v1 Instance networkInterfaces[].accessConfigs, ipv6AccessConfigs",
        ),
    ),
    key=("resource",),
    permissions=("compute.instances.list",),
    drops=("metadata, labels, disks, tags: may hold secrets and names of people",),
)


def _network(record: Mapping[str, Any], project: str) -> Iterator[Row]:
    given = {
        "project": project,
        "resource": link(record.get("selfLink")),
        "legacy": "IPv4Range" in record,
        "peerings": [
            {"name": peer.get("name"), "network": (link(peer.get("network")) or "")[25:], "state": peer.get("state")}
            for peer in record.get("peerings", [])
        ],
    }
    yield "gcp.network", row(NETWORK, record, given)


def _subnetwork(record: Mapping[str, Any], project: str) -> Iterator[Row]:
    given = {
        "project": project,
        "resource": link(record.get("selfLink")),
        "region": last(record.get("region")),
        "network": link(record.get("network")),
        "flow_logs": dig(record, "logConfig.enable") is True,
        "flow_sampling": percent(dig(record, "logConfig.flowSampling")),
    }
    yield "gcp.subnetwork", row(SUBNETWORK, record, given)


def _router(record: Mapping[str, Any], project: str) -> Iterator[Row]:
    for nat in record.get("nats", []):
        given = {
            "project": project,
            "resource": f"{link(record.get('selfLink'))}/nats/{nat.get('name')}",
            "network": link(record.get("network")),
            "logging": dig(nat, "logConfig.enable") is True,
        }
        yield "gcp.nat", row(NAT, nat, given)


def _machine(record: Mapping[str, Any], project: str) -> Iterator[Row]:
    ways = [
        way
        for interface in record["networkInterfaces"]  # every machine has one
        for way in (*interface.get("accessConfigs", []), *interface.get("ipv6AccessConfigs", []))
    ]
    given = {"project": project, "resource": link(record.get("selfLink")), "external_addresses": len(ways)}
    yield "gcp.vm", row(MACHINE, record, given)


def _machine_drops(session: GcpSession) -> tuple[Drop, ...]:
    return (
        Drop("metadata", "secret"),
        Drop("disks", "secret"),
        Drop("tags", "label"),
        Drop("labels", "label", session.labels),
        Drop("description", "free text"),
    )


def aggregated(noun: str, asset: str, permission: str, rows: Any, **more: Any) -> Kind:
    """A kind of Compute Engine, global and of every region in one list."""
    path = f"compute/v1/projects/{{project}}/aggregated/{noun}"
    return Kind(
        f"compute.googleapis.com/{asset}",
        permission,
        path,
        "items",
        rows,
        ("maxResults", 500),
        scoped=noun,
        **more,
    )


FEEDS = (
    kinds_feed(
        "vpc",
        "Networks, subnetworks, address translation and machines.",
        (NETWORK, SUBNETWORK, NAT, MACHINE),
        (
            Kind(
                "compute.googleapis.com/Network",
                "compute.networks.list",
                "compute/v1/projects/{project}/global/networks",
                "items",
                _network,
                ("maxResults", 500),
            ),
            aggregated("subnetworks", "Subnetwork", "compute.subnetworks.list", _subnetwork),
            aggregated("routers", "Router", "compute.routers.list", _router),
            aggregated("instances", "Instance", "compute.instances.list", _machine, drops=_machine_drops),
        ),
        Audited("compute", "v1.compute.networks.list"),
    ),
)
