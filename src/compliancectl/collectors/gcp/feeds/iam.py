"""Who may do what: the IAM policies of the organisation, its folders and projects, and which audit logs they switch on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from compliancectl.collectors.base import Fetched, Row, Target
from compliancectl.collectors.gcp.everywhere import Everywhere
from compliancectl.collectors.gcp.feed import Audited, feed, place
from compliancectl.collectors.gcp.inventory import LIST
from compliancectl.collectors.gcp.listing import Tally, single
from compliancectl.collectors.gcp.redact import Drop, people_outside
from compliancectl.collectors.gcp.session import GcpSession, Request
from compliancectl.collectors.gcp.shaping import columns, dig, resource_column
from compliancectl.collectors.gcp.verdict import Asked
from compliancectl.model.table import BOOL, INT, TEXT, Column, ListOf, Table

POLICIES = "cloudasset.assets.listIamPolicy"
_KINDS = ("Organization", "Folder", "Project")
_P = "cloudresourcemanager.v3#Policy"
_FORM = "//cloudresourcemanager.googleapis.com/projects/P, folders/F or organizations/N"
_PLACE = Column("project", TEXT, "The project; or folders/F, organizations/N.", "scope", required=True)
_NEEDS = ("resourcemanager.projects.getIamPolicy",)

SERVICE_AGENT = Column(
    "service_agent",
    BOOL,
    "An identity of Google's own that acts for a service, and that nobody can log in as.",
    "derived: the domain of the member",
)

POLICY = Table(
    "gcp.iam_policy",
    "One row per project, folder and organisation whose IAM policy was read.",
    columns(
        _PLACE,
        resource_column(_FORM),
        Column(
            "above",
            ListOf(TEXT),
            "The folders and the organisation that it lies in, as folders/F and organizations/N; NULL: not said.",
            "cloudasset.v1#Asset:ancestors[]",
        ),
        Column("bindings", INT, "How many roles are granted there.", f"derived: count of {_P} bindings", required=True),
    ),
    key=("resource",),
    permissions=_NEEDS,
)

BINDING = Table(
    "gcp.iam_binding",
    "One row per role and member in the IAM policy of a project, a folder or the organisation.",
    columns(
        _PLACE,
        resource_column(_FORM),
        Column("position", INT, "Number of the grant within its policy.", "derived: position", required=True),
        Column("role", TEXT, "The role that is granted.", f"{_P}:bindings[].role", required=True),
        Column(
            "member",
            TEXT,
            "To whom, as Google writes it; addresses of people outside `staff_domains` are redacted.",
            f"{_P}:bindings[].members[]",
            required=True,
        ),
        Column("member_type", TEXT, "user, group, serviceAccount, domain …", "derived: member, before the colon"),
        SERVICE_AGENT,
        Column("condition", TEXT, "Under which condition, as an expression.", f"{_P}:bindings[].condition.expression"),
    ),
    key=("resource", "position"),
    permissions=_NEEDS,
    drops=("members outside `staff_domains`: personal data",),
)

AUDIT = Table(
    "gcp.audit_config",
    "One row per service and kind of audit log that a policy switches on; projects below inherit it.",
    columns(
        _PLACE,
        resource_column(_FORM),
        Column("service", TEXT, "The service, or allServices.", f"{_P}:auditConfigs[].service", required=True),
        Column(
            "log_type",
            TEXT,
            "ADMIN_READ, DATA_READ or DATA_WRITE.",
            f"{_P}:auditConfigs[].auditLogConfigs[].logType",
            required=True,
        ),
        Column(
            "exempted_members",
            ListOf(TEXT),
            "Whose acts are left out.",
            f"{_P}:auditConfigs[].auditLogConfigs[].exemptedMembers[]",
        ),
    ),
    key=("resource", "service", "log_type"),
    permissions=_NEEDS,
    drops=("members outside `staff_domains`: personal data",),
)


def _targets(session: GcpSession) -> Iterator[Target]:
    """The organisation if the scope names it, and the projects or roots."""
    organization, places = session.config.organization, session.config.projects or session.config.roots
    above = (f"organizations/{organization}",) if organization else ()
    for name in dict.fromkeys((*above, *places)):
        yield Target(name, session.endpoint("resourcemanager"))


def _drops(session: GcpSession) -> tuple[Drop, ...]:
    outside = people_outside(session.config.staff_domains)
    return (
        Drop("bindings[].members[]", "personal", outside),
        Drop("bindings[].condition.description", "free text"),
        Drop("bindings[].condition.title", "free text"),
        Drop("auditConfigs[].auditLogConfigs[].exemptedMembers[]", "personal", outside),
    )


def _asset_drops(session: GcpSession) -> tuple[Drop, ...]:
    return tuple(Drop(f"assets[].iamPolicy.{drop.path}", drop.kind, drop.replace) for drop in _drops(session))


def _fetch(session: GcpSession, target: Target) -> Fetched:
    tally, where = Tally(), place(target)
    kind = where.partition("/")[0]
    request = Request(
        Asked("resourcemanager", f"resourcemanager.{kind}.getIamPolicy", where),
        f"v3/{where}:getIamPolicy",
        json={"options": {"requestedPolicyVersion": 3}},
    )
    reply, data = single(session, request, tally, _drops(session), {"project": target.name, "parent": where})
    tally.items += len(data.get("bindings", []))
    yield reply
    return tally.completeness("the IAM policy")


def _shape(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    yield from _rows(data, context["project"], context.get("parent") or f"projects/{context['project']}", None)


def _shape_assets(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    for asset in data["assets"]:
        yield from _rows(asset.get("iamPolicy", {}), context["project"], context["parent"], asset["ancestors"][1:])


def _rows(policy: Mapping[str, Any], project: str, where: str, above: list[str] | None) -> Iterator[Row]:
    base = {"project": project, "resource": f"//cloudresourcemanager.googleapis.com/{where}"}
    bindings = policy.get("bindings", [])
    yield "gcp.iam_policy", {**base, "above": above, "bindings": len(bindings)}
    position = 0
    for binding in bindings:
        for member in binding["members"]:  # a grant to nobody is none
            position += 1
            yield (
                "gcp.iam_binding",
                {
                    **base,
                    "position": position,
                    "role": binding.get("role"),
                    "member": member,
                    "member_type": str(member).partition(":")[0],
                    "service_agent": is_service_agent(str(member)),
                    "condition": dig(binding, "condition.expression"),
                },
            )
    for config in policy.get("auditConfigs", []):
        for log in config["auditLogConfigs"]:
            yield (
                "gcp.audit_config",
                {
                    **base,
                    "service": config.get("service"),
                    "log_type": log.get("logType"),
                    "exempted_members": log.get("exemptedMembers", []),
                },
            )


_AGENTS = (
    "cloudservices.gserviceaccount.com",
    "compute-system.iam.gserviceaccount.com",
    "container-engine-robot.iam.gserviceaccount.com",
    "firebase-rules.iam.gserviceaccount.com",
    "serverless-robot-prod.iam.gserviceaccount.com",
)


def is_service_agent(member: str) -> bool:
    """Whether a member is one of Google's own agents, which live in projects of Google's."""
    domain = member.partition("@")[2]
    own = domain in _AGENTS or (domain.startswith("gcp-sa-") and domain.endswith(".iam.gserviceaccount.com"))
    return member.startswith("serviceAccount:") and own


FEEDS = (
    feed(
        "iam_policies",
        "IAM policies of the organisation, its folders and projects.",
        (POLICY, BINDING, AUDIT),
        _fetch,
        _shape,
        Audited("resourcemanager", "google.cloud.resourcemanager.v3.Projects.GetIamPolicy"),
        everywhere=Everywhere(
            types=tuple(f"cloudresourcemanager.googleapis.com/{kind}" for kind in _KINDS),
            key="items",
            content="IAM_POLICY",
            drops=_asset_drops,
            shape=_shape_assets,
            permissions=(
                LIST,
                "resourcemanager.folders.getIamPolicy",
                "resourcemanager.organizations.getIamPolicy",
                POLICIES,
            ),
            root_too=True,
        ),
        targets=_targets,
    ),
)
