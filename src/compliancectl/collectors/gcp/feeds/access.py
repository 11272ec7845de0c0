"""Who can really reach data: principals with a decisive permission, groups expanded, from the policy analysis of Cloud Asset API v1.

A binding says who was given a role; the analysis says who can connect to a database, read an object or a secret, by
whatever role, wherever above it was granted, and through whatever group. Two things are never taken for nobody: a group
whose members the source does not say, and an analysis that was not explored to its end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from compliancectl.collectors.base import Fetched, Reply, Row, Target
from compliancectl.collectors.gcp.everywhere import reworded
from compliancectl.collectors.gcp.feed import Audited, feed, place
from compliancectl.collectors.gcp.feeds.iam import SERVICE_AGENT, is_service_agent
from compliancectl.collectors.gcp.inventory import LIST, Inventory, Outside
from compliancectl.collectors.gcp.listing import Tally, single
from compliancectl.collectors.gcp.redact import REDACTED, Drop, people_outside
from compliancectl.collectors.gcp.session import GcpSession, Request
from compliancectl.collectors.gcp.shaping import columns, dig, text
from compliancectl.collectors.gcp.verdict import Asked
from compliancectl.model.table import BOOL, INT, TEXT, Column, ListOf, Table

ANALYZE = "cloudasset.assets.analyzeIamPolicy"
PERMISSIONS = (
    "cloudsql.instances.connect",
    "cloudsql.instances.export",
    "cloudsql.instances.login",
    "secretmanager.versions.access",
    "storage.objects.get",
)
"""What whoever holds it can read data with; Google takes ten in one analysis at most."""
_RESULT = "cloudasset.v1#IamPolicyAnalysisResult"
_PLACE = re.compile(r"//cloudresourcemanager\.googleapis\.com/((?:projects|folders|organizations)/[^/]+)")
_IN_PROJECT = re.compile(r"//[^/]+/(?:v\d\w*/)?(projects/[^/]+)/")
_SINGLE = {"user", "serviceAccount", "principal", "deleted"}

ACCESS = Table(
    "gcp.effective_access",
    "One row per grant, condition and principal that can connect to databases, or read objects or secrets, groups expanded.",
    columns(
        Column("project", TEXT, "The project, folder or organisation that was analysed.", "scope", required=True),
        Column(
            "resource",
            TEXT,
            "The thing whose IAM policy grants it, as Cloud Asset Inventory names it.",
            f"{_RESULT}:attachedResourceFullName",
            required=True,
        ),
        Column("position", INT, "Number of the row among those of its policy.", "derived: position", required=True),
        Column(
            "place",
            TEXT,
            "From where on it is granted: projects/P, folders/F, organizations/N; NULL when the name does not tell the project.",
            f"{_RESULT}:attachedResourceFullName",
        ),
        Column("role", TEXT, "The role that grants it.", f"{_RESULT}:iamBinding.role", required=True),
        Column(
            "permissions",
            ListOf(TEXT),
            f"Which of {', '.join(PERMISSIONS)} it holds; sorted.",
            f"{_RESULT}:accessControlLists[].accesses[].permission",
            required=True,
        ),
        Column(
            "member",
            TEXT,
            "Who, as Google writes members; addresses outside `staff_domains` are redacted.",
            f"{_RESULT}:identityList.identities[].name",
            required=True,
        ),
        Column("member_type", TEXT, "user, group, serviceAccount, domain …", "derived: member, before the colon"),
        Column(
            "expanded",
            BOOL,
            "It is one identity, or a group whose members are rows of their own; false: who is in it is not said.",
            f"derived: {_RESULT}:identityList.groupEdges[]",
            required=True,
        ),
        SERVICE_AGENT,
        Column(
            "condition", TEXT, "Under which condition, as an expression.", f"{_RESULT}:iamBinding.condition.expression"
        ),
        Column(
            "evaluation",
            TEXT,
            "What the condition comes to: TRUE, FALSE, or CONDITIONAL (it depends on the request); NULL: there is none.",
            f"{_RESULT}:accessControlLists[].conditionEvaluation.evaluationValue",
        ),
    ),
    key=("project", "resource", "position"),
    permissions=(
        ANALYZE,
        "cloudasset.assets.searchAllIamPolicies",
        "cloudasset.assets.searchAllResources",
        "iam.roles.get",
    ),
    drops=("principals outside `staff_domains`: personal data",),
)


def _targets(session: GcpSession) -> Iterator[Target]:
    """Each project that is named; or the organisation or folders whose projects are in scope."""
    for name in session.config.projects or session.config.roots:
        yield Target(name, session.endpoint("cloudasset"))


def _drops(session: GcpSession) -> tuple[Drop, ...]:
    outside, results = people_outside(session.config.staff_domains), "mainAnalysis.analysisResults[]"
    return (
        Drop(f"{results}.identityList.identities[].name", "personal", outside),
        Drop(f"{results}.identityList.groupEdges[].sourceNode", "personal", outside),
        Drop(f"{results}.identityList.groupEdges[].targetNode", "personal", outside),
        Drop(f"{results}.iamBinding.members[]", "personal", outside),
        Drop(f"{results}.iamBinding.condition.title", "free text"),
        Drop(f"{results}.iamBinding.condition.description", "free text"),
        Drop(f"{results}.identityList.identities[].analysisState.cause", "free text"),
        Drop("mainAnalysis.nonCriticalErrors[].cause", "free text"),
    )


class _Within(Drop):
    """The redaction of one part of a reply as if it were all of it."""

    def __init__(self, part: str, drop: Drop) -> None:
        super().__init__(part, drop.kind)
        object.__setattr__(self, "_drop", drop)  # the base class is frozen

    def __call__(self, data: Any) -> int:
        inner = data.get(self.path) if isinstance(data, dict) else None
        return self._drop(inner) if inner is not None else 0  # type: ignore[attr-defined]


def _fetch(session: GcpSession, target: Target) -> Fetched:
    tally, where = Tally(filters=[f"permissions {', '.join(PERMISSIONS)}"]), place(target)
    inventory = session.inventory(target.name) if target.name in session.config.roots else None
    outside = () if inventory is None else (_Within("mainAnalysis", _outside(inventory, tally)),)
    names = {} if inventory is None else {p.number: p.id for p in inventory.projects if p.left_out is None}
    context = {"project": target.name, "projects": json.dumps(names), "part": "below"}
    yield _analysed(session, where, None, tally, (*outside, *_drops(session)), context)
    if not where.startswith("organizations/"):
        yield from _above(session, where, tally, {**context, "part": "above"})
    done = tally.completeness("principals with these permissions")
    method = "the analysis of all IAM policies was explored to its end" if not tally.warnings else done.method
    return reworded(done, f"{method}; {inventory.words}" if inventory is not None else method)


def _outside(inventory: Inventory, tally: Tally) -> Outside:
    """What is granted in projects that are not in scope does not become evidence."""
    numbers = {project.id: project.number for project in inventory.projects}

    def project(result: Any) -> str:
        found = _where(str(result.get("attachedResourceFullName"))) or ""
        name = found.removeprefix("projects/")
        return f"projects/{numbers.get(name, name)}" if name != found else found

    return Outside(inventory, tally, "analysisResults", project)


def _above(session: GcpSession, where: str, tally: Tally, context: Mapping[str, str]) -> Iterator[Reply]:
    """What is granted above a project or folder and holds in it; without the organisation it is not known."""
    organization = session.config.organization
    if organization:
        name = f"//cloudresourcemanager.googleapis.com/{where}"
        yield _analysed(session, f"organizations/{organization}", name, tally, _drops(session), context)
        return
    if where.startswith("projects/"):
        asked = Asked("resourcemanager", "resourcemanager.projects.get", where)
        drops = (Drop("labels", "label", session.labels),)
        reply, data = single(session, Request(asked, f"v3/{where}"), tally, drops, {**context, "part": "parent"})
        yield reply
        if not data.get("parent"):
            return  # a project of its own: nothing lies above it
    tally.warnings.append(f"what is granted above {where} was not analysed, because the scope names no organization")


def _analysed(
    session: GcpSession,
    scope: str,
    resource: str | None,
    tally: Tally,
    drops: tuple[Drop, ...],
    context: Mapping[str, str],
) -> Reply:
    """One analysis: of all that lies in the scope, or of one thing and what it inherits."""
    query = "analysisQuery"
    request = Request(
        Asked("cloudasset", ANALYZE, scope),
        f"v1/{scope}:analyzeIamPolicy",
        params=(
            *((f"{query}.accessSelector.permissions", name) for name in PERMISSIONS),
            *(((f"{query}.resourceSelector.fullResourceName", resource),) if resource else ()),
            (f"{query}.options.expandGroups", "true"),
            (f"{query}.options.outputGroupEdges", "true"),
        ),
    )
    reply, data = single(session, request, tally, drops, context)
    analysis = data.get("mainAnalysis", {})
    tally.items += len(analysis.get("analysisResults", []))
    if data.get("fullyExplored") is not True:
        tally.warnings.append(f"the analysis of {resource or scope} was not explored to its end")
    for error in analysis.get("nonCriticalErrors", []):
        tally.warnings.append(f"the analysis of {resource or scope} met an error: {error.get('code', 'UNKNOWN')}")
    return reply


def _where(attached: str) -> str | None:
    """`projects/P`, `folders/F` or `organizations/N` of a full resource name; None when it does not tell, as of buckets."""
    found = _PLACE.fullmatch(attached) or _IN_PROJECT.match(attached)
    return found.group(1) if found else None


def _shape(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    if context["part"] == "parent":
        return
    rows = [one for result in dig(data, "mainAnalysis.analysisResults") or [] for one in _rows(result, context)]
    counts: dict[str, int] = {}
    for resource, *_, values in sorted(rows, key=lambda one: one[:-1]):
        counts[resource] = counts.get(resource, 0) + 1
        yield "gcp.effective_access", {**values, "position": counts[resource]}


def _rows(result: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[tuple[Any, ...]]:
    """What orders a row, and the row."""
    attached, binding = text(result, "attachedResourceFullName"), result["iamBinding"]
    where, project = _where(attached), context["project"]
    above = where is not None and not where.startswith("projects/") and where != project
    if context["part"] == "above" and not above:
        return  # it is among what lies below as well
    if not above and "/" not in project:
        where = f"projects/{project}"
    elif where is not None and where.startswith("projects/"):
        number = where.removeprefix("projects/")
        where = f"projects/{json.loads(context['projects']).get(number, number)}"
    edges = {text(edge, "sourceNode") for edge in dig(result, "identityList.groupEdges") or []}
    for access in result.get("accessControlLists", []):
        held = sorted({text(one, "permission") for one in access["accesses"]})
        evaluation = dig(access, "conditionEvaluation.evaluationValue")
        for identity in result["identityList"]["identities"]:
            member = text(identity, "name")
            values = {
                "project": project,
                "resource": attached,
                "place": where,
                "role": binding.get("role"),
                "permissions": held,
                "member": member,
                "member_type": re.split("[:/]", member)[0],
                "expanded": _expanded(member, edges),
                "service_agent": is_service_agent(member),
                "condition": dig(binding, "condition.expression"),
                "evaluation": evaluation,
            }
            yield attached, str(binding.get("role")), member, str(values["condition"]), held, str(evaluation), values


def _expanded(member: str, edges: set[str]) -> bool:
    """One identity, or a group of which members are told. Two redacted groups cannot be told apart, so neither counts."""
    if re.split("[:/]", member)[0] in _SINGLE:
        return True
    return member in edges and REDACTED not in member


FEEDS = (
    feed(
        "effective_access",
        "Who can connect to databases and read objects and secrets.",
        (ACCESS,),
        _fetch,
        _shape,
        Audited("cloudasset", "google.cloud.asset.v1.AssetService.AnalyzeIamPolicy"),
        everywhere=None,
        below=(LIST,),
        targets=_targets,
    ),
)
