"""Cloud Run: deployed images and job executions, from the Cloud Run Admin API v2 (regions: v1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from compliancectl.collectors.base import Fetched, Row, Target
from compliancectl.collectors.gcp.everywhere import Everywhere
from compliancectl.collectors.gcp.feed import Audited, feed
from compliancectl.collectors.gcp.listing import Listing, Tally, pages, single
from compliancectl.collectors.gcp.places import locations, regions
from compliancectl.collectors.gcp.redact import Drop, people_outside
from compliancectl.collectors.gcp.session import GcpSession, Request
from compliancectl.collectors.gcp.shaping import (
    columns,
    describe,
    dig,
    full_name,
    project_column,
    resource_column,
    row,
    text,
)
from compliancectl.collectors.gcp.verdict import Asked
from compliancectl.model.table import BOOL, INT, TEXT, TIME, Column, ListOf, Table, struct

_e = describe("run.v2#GoogleCloudRunV2Execution")
_s = "run.v2#GoogleCloudRunV2Service"
_r = "run.v2#GoogleCloudRunV2Revision"

EXECUTION = Table(
    "gcp.run_execution",
    "One row per execution of a Cloud Run job that Cloud Run still lists.",
    columns(
        project_column(),
        resource_column("//run.googleapis.com/projects/P/locations/L/jobs/J/executions/E"),
        _e("job", TEXT, "job", "Name of the job.", required=True),
        _e("created", TIME, "createTime", "When it was started."),
        _e("completed", TIME, "completionTime", "When it ended; NULL: it has not."),
        Column("succeeded", INT, "Tasks that succeeded.", "run.v2#GoogleCloudRunV2Execution:succeededCount"),
        Column("failed", INT, "Tasks that failed.", "run.v2#GoogleCloudRunV2Execution:failedCount"),
    ),
    key=("resource",),
    permissions=("run.executions.list", "run.locations.list"),
    drops=(
        "creator, annotations, labels: personal data",
        "environment values, arguments and commands of containers: may hold secrets",
    ),
)

SERVICE = Table(
    "gcp.run_service",
    "One row per container of each Cloud Run revision that is ready or receives traffic: what is deployed.",
    columns(
        project_column(),
        resource_column("//run.googleapis.com/projects/P/locations/L/services/S/revisions/R#CONTAINER"),
        Column("name", TEXT, "Name of the service.", f"{_s}:name, last part", required=True),
        Column("service", TEXT, "Full resource name of the service.", f"{_s}:name", required=True),
        Column("revision", TEXT, "Name of the revision.", f"{_r}:name, last part", required=True),
        Column(
            "container",
            TEXT,
            "Name of the container; empty when there is one without a name.",
            f"{_r}:containers[].name",
        ),
        Column("image", TEXT, "Image as it was asked for.", f"{_r}:containers[].image"),
        Column("digest", TEXT, "Digest that runs: `sha256:…`.", f"{_r}:containerStatuses[].imageDigest"),
        Column("ingress", TEXT, "Which traffic reaches the service.", f"{_s}:ingress"),
        Column(
            "deployed_by",
            TEXT,
            "Service account that last changed the service; `(redacted)`: a person did.",
            f"{_s}:lastModifier",
        ),
        Column("ssh", BOOL, "People may open a shell in its containers.", f"{_s}:sshEnabled"),
        Column(
            "admission",
            TEXT,
            "What decides which images may run: `default policy`, the name of a policy, or `none`.",
            f"{_s}:binaryAuthorization",
        ),
        Column("created", TIME, "When the revision was made.", f"{_r}:createTime"),
        Column(
            "default_uri_disabled",
            BOOL,
            "The address at run.app does not answer; false when it is not said.",
            f"derived: {_s}:defaultUriDisabled",
        ),
        Column(
            "invoker_iam_disabled",
            BOOL,
            "Anybody may call it, whatever IAM says; false when it is not said.",
            f"derived: {_s}:invokerIamDisabled",
        ),
        Column("identity", TEXT, "Service account that it runs as.", f"{_r}:serviceAccount"),
        Column(
            "vpc",
            TEXT,
            "Connector, or networks, through which it reaches the VPC; NULL: it does not.",
            f"derived: {_r}:vpcAccess.connector, vpcAccess.networkInterfaces[].network",
        ),
        Column("vpc_egress", TEXT, "ALL_TRAFFIC or PRIVATE_RANGES_ONLY.", f"{_r}:vpcAccess.egress"),
        Column(
            "environment",
            ListOf(struct(name=TEXT, secret=TEXT)),
            "Names of environment variables, with the secret that each takes its value from; never a value.",
            f"{_r}:containers[].env[].name, valueSource.secretKeyRef.secret",
        ),
        Column("max_instances", INT, "Most instances; NULL: Google's own limit.", f"{_r}:scaling.maxInstanceCount"),
        Column("min_instances", INT, "Least instances; 0 when it is not said.", f"{_r}:scaling.minInstanceCount"),
    ),
    key=("resource",),
    permissions=("run.locations.list", "run.revisions.get", "run.services.list"),
    drops=(
        "creator, annotations, labels: personal data",
        "lastModifier when it is a person: personal data",
        "environment values, arguments and commands of containers: may hold secrets",
    ),
)


def _container_drops(prefix: str) -> tuple[Drop, ...]:
    return (
        Drop(f"{prefix}.env[].value", "secret"),
        Drop(f"{prefix}.args", "secret"),
        Drop(f"{prefix}.command", "secret"),
    )


def _person_drops(prefix: str) -> tuple[Drop, ...]:
    names = ("annotations", "client", "creator", "labels")
    modifier = Drop(f"{prefix}lastModifier", "personal", people_outside(()))  # service accounts stay
    return (*(Drop(f"{prefix}{name}", "personal") for name in names), modifier)


_SERVICE_DROPS = (
    *_person_drops("services[]."),
    *_person_drops("services[].template."),
    *_container_drops("services[].template.containers[]"),
    Drop("services[].buildConfig.environmentVariables", "secret"),
)
_REVISION_DROPS = (*_person_drops(""), *_container_drops("containers[]"))
_EXECUTION_DROPS = (*_person_drops("executions[]."), *_container_drops("executions[].template.containers[]"))


def _listing(project: str, place: str, what: str, permission: str, drops: tuple[Drop, ...], **more: Any) -> Listing:
    return Listing(
        Asked("run", permission, f"projects/{project}"),
        f"v2/projects/{project}/locations/{place}/{what}",
        what.rpartition("/")[2],
        ("pageSize", 100),
        drops=drops,
        context={"project": project, "part": what.rpartition("/")[2]},
        **more,
    )


# -- executions -------------------------------------------------------------------------------------------------------


def _fetch_executions(session: GcpSession, target: Target) -> Fetched:
    tally = Tally()
    places = yield from locations(session, "run", "run.locations.list", target.name, tally)
    return (yield from _executions_in(session, target.name, places, tally))


def _ask_executions(session: GcpSession, project: str, assets: list[Any]) -> Fetched:
    return (yield from _executions_in(session, project, regions(assets), Tally()))


def _executions_in(session: GcpSession, project: str, places: list[str], tally: Tally) -> Fetched:
    for place in places:
        listing = _listing(project, place, "jobs/-/executions", "run.executions.list", _EXECUTION_DROPS)
        for page in pages(session, listing, tally):
            yield page.reply
    return tally.completeness("regions, and the executions of all jobs in each")


def _shape_executions(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    if context["part"] != "executions":
        return
    for record in data.get("executions", []):
        job = record.get("job")
        yield (
            "gcp.run_execution",
            row(
                EXECUTION,
                record,
                {
                    "project": context["project"],
                    "resource": _full(record.get("name")),
                    "job": job.rpartition("/")[2] if isinstance(job, str) else job,
                    "succeeded": record.get("succeededCount", 0),
                    "failed": record.get("failedCount", 0),
                },
            ),
        )


# -- services ---------------------------------------------------------------------------------------------------------


def _fetch_services(session: GcpSession, target: Target) -> Fetched:
    tally = Tally()
    places = yield from locations(session, "run", "run.locations.list", target.name, tally)
    return (yield from _services_in(session, target.name, places, tally))


def _ask_services(session: GcpSession, project: str, assets: list[Any]) -> Fetched:
    return (yield from _services_in(session, project, regions(assets), Tally()))


def _services_in(session: GcpSession, project: str, places: list[str], tally: Tally) -> Fetched:
    asked = Asked("run", "run.revisions.get", f"projects/{project}")
    for place in places:
        listing = _listing(project, place, "services", "run.services.list", _SERVICE_DROPS, counted=False)
        for page in pages(session, listing, tally):
            yield page.reply
            for service in page.items:
                for revision in _live(service):
                    reply, data = single(session, Request(asked, f"v2/{revision}"), tally, _REVISION_DROPS, {})
                    tally.items += len(data["containers"])
                    yield replace(reply, context={"project": project, "part": "revision", **_about(service)})
    return tally.completeness("regions, the services of each, and their live revisions")


def _about(service: Mapping[str, Any]) -> dict[str, str]:
    """What a revision does not say of itself; an empty text is NULL."""
    admission = service.get("binaryAuthorization", {})
    return {
        "service": str(service.get("name")),
        "ingress": str(service.get("ingress", "")),
        "deployed_by": str(service.get("lastModifier", "")),
        "ssh": "yes" if service.get("sshEnabled") else "no",
        "default_uri_disabled": str(service.get("defaultUriDisabled") is True),
        "invoker_iam_disabled": str(service.get("invokerIamDisabled") is True),
        "admission": "default policy" if admission.get("useDefault") else str(admission.get("policy") or "none"),
    }


def _live(service: Mapping[str, Any]) -> list[str]:
    """Full names of the revisions that are ready or receive traffic, sorted."""
    base = f"{text(service, 'name')}/revisions/"
    names = {str(service["latestReadyRevision"])} if service.get("latestReadyRevision") else set()
    for target in service.get("trafficStatuses", []):
        if target.get("revision"):
            name = str(target["revision"])
            names.add(name if "/" in name else base + name)
    return sorted(names)


def _shape_services(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    if context["part"] != "revision":
        return
    digests = {s.get("name", ""): s.get("imageDigest") for s in data.get("containerStatuses", [])}
    for container in data["containers"]:
        name, image = container.get("name", ""), container.get("image")
        suffix = f"#{name}" if name else ""
        yield (
            "gcp.run_service",
            row(
                SERVICE,
                data,
                {
                    "project": context["project"],
                    "resource": f"{_full(data.get('name'))}{suffix}",
                    "name": context["service"].rpartition("/")[2],
                    "service": _full(context["service"]),
                    "revision": str(data.get("name")).rpartition("/")[2],
                    "container": name,
                    "image": image,
                    "digest": _digest(digests.get(name)) or _digest(image),
                    "ingress": context["ingress"] or None,
                    "deployed_by": context["deployed_by"] or None,
                    "ssh": context["ssh"] == "yes",
                    "admission": context["admission"],
                    "default_uri_disabled": context["default_uri_disabled"] == "True",
                    "invoker_iam_disabled": context["invoker_iam_disabled"] == "True",
                    "vpc": _vpc(data.get("vpcAccess", {})),
                    "environment": [
                        {"name": variable.get("name"), "secret": dig(variable, "valueSource.secretKeyRef.secret")}
                        for variable in container.get("env", [])
                    ],
                    "min_instances": dig(data, "scaling.minInstanceCount") or 0,
                },
            ),
        )


def _vpc(access: Mapping[str, Any]) -> str | None:
    ways = [access.get("connector"), *(one.get("network") for one in access.get("networkInterfaces", []))]
    return " ".join(sorted({way for way in ways if way})) or None


def _digest(reference: Any) -> str | None:
    _, found, digest = str(reference or "").partition("@")
    return digest if found else None


def _full(name: Any) -> str | None:
    return full_name("//run.googleapis.com/", name)


FEEDS = (
    feed(
        "run_executions",
        "Executions of Cloud Run jobs.",
        (EXECUTION,),
        _fetch_executions,
        _shape_executions,
        Audited("run", "google.cloud.run.v2.Executions.ListExecutions"),
        everywhere=Everywhere(held=("run.googleapis.com/Job",), ask=_ask_executions),
    ),
    feed(
        "run_services",
        "Cloud Run services and the images that they run.",
        (SERVICE,),
        _fetch_services,
        _shape_services,
        Audited("run", "google.cloud.run.v2.Services.ListServices"),
        everywhere=Everywhere(held=("run.googleapis.com/Service",), ask=_ask_services),
    ),
)
