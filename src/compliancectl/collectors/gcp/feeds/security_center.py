"""Findings of Security Command Center and why some are muted, from its API v1.

Whether it is activated cannot be told apart from the outside: where it is not, the scope says so, nothing is asked, and the
evidence says that it was declared.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from compliancectl import canonical, clock
from compliancectl.collectors.base import Fetched, Reply, Row, Target
from compliancectl.collectors.gcp.everywhere import reworded
from compliancectl.collectors.gcp.feed import Audited, feed, place
from compliancectl.collectors.gcp.inventory import Inventory, Outside, place_named
from compliancectl.collectors.gcp.listing import Listing, Page, Tally, pages, single
from compliancectl.collectors.gcp.redact import REDACTED, Drop
from compliancectl.collectors.gcp.session import GcpSession, Request
from compliancectl.collectors.gcp.shaping import columns, describe, dig, project_column, resource_column, row, text
from compliancectl.collectors.gcp.verdict import Asked
from compliancectl.errors import Missing
from compliancectl.model.evidence import Completeness
from compliancectl.model.table import BOOL, INT, TEXT, TIME, Column, ListOf, Table

LIST, RULE_GET = "securitycenter.findings.list", "securitycenter.muteconfigs.get"
ACTIVE = 'state="ACTIVE"'
_START, _PLACES = "//securitycenter.googleapis.com/", "//cloudresourcemanager.googleapis.com/"
_KEPT = (
    "name", "category", "findingClass", "severity", "state", "mute", "muteInfo", "resourceName", "createTime", "eventTime",
)  # fmt: skip
_f = describe("securitycenter.v1#Finding")

FINDING = Table(
    "gcp.security_finding",
    "One row per active finding of Security Command Center.",
    columns(
        Column("project", TEXT, "The project; or what was asked, for findings about no project.", "scope", True),
        resource_column(f"{_START}organizations/N/sources/S/findings/F"),
        _f("category", TEXT, "category", "What was found, as `PUBLIC_BUCKET_ACL`.", required=True),
        _f("class", TEXT, "findingClass", "MISCONFIGURATION, VULNERABILITY, THREAT …"),
        _f("severity", TEXT, "severity", "CRITICAL, HIGH, MEDIUM or LOW."),
        _f("about", TEXT, "resourceName", "Full name of the resource that it is about."),
        _f("seen", TIME, "eventTime", "When it was last seen."),
        _f("mute", TEXT, "mute", "MUTED, UNMUTED or UNDEFINED."),
        Column(
            "rules",
            ListOf(TEXT),
            "Names of the rules that muted it; none: somebody did.",
            "derived: securitycenter.v1 Finding muteInitiator, muteInfo.dynamicMuteRecords[].muteConfig",
        ),
        Column(
            "marks",
            ListOf(TEXT),
            "Names of its security marks that say something.",
            "securitycenter.v1#Finding:securityMarks.marks",
        ),
    ),
    key=("resource",),
    permissions=(LIST,),
    drops=("everything else of a finding, and what its marks say: may name people or hold what was found",),
)

RULE = Table(
    "gcp.mute_rule",
    "One row per rule that muted a finding; a rule that is gone has none.",
    columns(
        project_column(),
        resource_column(f"{_START}organizations/N/muteConfigs/M"),
        Column("name", TEXT, "Name, as findings give it.", "securitycenter.v1#…MuteConfig:name", required=True),
        Column(
            "described",
            BOOL,
            "Somebody wrote down why it mutes.",
            "derived: securitycenter.v1 GoogleCloudSecuritycenterV1MuteConfig description",
            required=True,
        ),
    ),
    key=("project", "resource"),
    permissions=(RULE_GET,),
    drops=("description, displayName, filter, mostRecentEditor: free text and names of people",),
)

CENTER = Table(
    "gcp.security_center",
    "One row per place whose findings were listed, also when it has none, or of which the scope says that there is no such list.",
    columns(
        project_column(),
        Column("resource", TEXT, "The place: organizations/N, folders/F or projects/P.", "scope", required=True),
        Column("activated", BOOL, "False: the scope declares that it is not activated.", "scope", required=True),
        Column("findings", INT, "How many active findings there are.", "derived: count", required=True),
    ),
    key=("resource",),
    permissions=(LIST,),
)


def _targets(session: GcpSession) -> Iterator[Target]:
    for name in session.config.projects or session.config.roots:
        yield Target(name, session.endpoint("securitycenter"))


def _fetch(session: GcpSession, target: Target) -> Fetched:
    if not session.config.security_command_center:
        return (yield from _declared(target))
    where, tally = place(target), Tally(filters=[ACTIVE])
    inventory = session.inventory(target.name) if target.name in session.config.roots else None
    rules: set[str] = set()
    before = 0
    for page in _findings(session, where, inventory, tally):
        names = {} if inventory is None else {number: project.id for number, project in inventory.by_number.items()}
        told = {number: names[number] for number in sorted({_number(one) for one in page.items} & set(names))}
        context = {"project": target.name, "part": "findings", "projects": json.dumps(told), "before": str(before)}
        yield replace(page.reply, context=context)
        rules |= {rule for one in page.items for rule in _rules(one.get("finding", {}))}
        before = tally.items
    for rule in sorted(rules):
        reply = _rule(session, rule, target, tally)
        if reply is not None:
            yield reply
    done = tally.completeness("active findings, and the rules that mute them")
    return done if inventory is None else reworded(done, f"{done.method}; {inventory.words}")


def _declared(target: Target) -> Fetched:
    now = clock.now()
    yield Reply(
        body=canonical.to_bytes({"security_command_center": False}),
        operation="declared in the scope file: security_command_center is not activated",
        requested_at=now,
        completed_at=now,
        status="declared",
        media_type="application/json",
        context={"project": target.name, "part": "declared"},
    )
    return Completeness(
        method="the scope declares that there are no findings to list", pages=0, items=0, exhausted=True
    )


def _findings(session: GcpSession, where: str, inventory: Inventory | None, tally: Tally) -> Iterator[Page]:
    """Those of all sources, without what is out of scope and all that is not needed."""
    outside = () if inventory is None else (Outside(inventory, tally, "listFindingsResults", _place_of),)
    listing = Listing(
        Asked("securitycenter", LIST, where),
        f"v1/{where}/sources/-/findings",
        "listFindingsResults",
        ("pageSize", 1000),
        params=(("filter", ACTIVE),),
        drops=(
            *outside,
            Drop("listFindingsResults[].finding", "not needed", _only_needed),
            Drop("listFindingsResults[].resource", "not needed", _only_place),
        ),
    )
    yield from pages(session, listing, tally)


def _only_needed(finding: Any) -> Any:
    if not isinstance(finding, Mapping):
        return finding
    kept = {name: finding[name] for name in _KEPT if name in finding}
    if "/muteConfigs/" in str(finding.get("muteInitiator")):  # else it is who muted it
        kept["muteInitiator"] = finding["muteInitiator"]
    marks = dig(finding, "securityMarks.marks")
    if isinstance(marks, Mapping):
        kept["securityMarks"] = {"marks": {name: REDACTED for name, said in sorted(marks.items()) if said}}
    return kept


def _only_place(resource: Any) -> Any:
    return {"projectName": resource.get("projectName", "")} if isinstance(resource, Mapping) else resource


def _place_of(result: Any) -> str:
    return str(dig(result, "resource.projectName") or "").removeprefix(_PLACES)


def _number(result: Any) -> str:
    return _place_of(result).removeprefix("projects/")


def _rules(finding: Mapping[str, Any]) -> list[str]:
    """Names of the rules that muted a finding, sorted."""
    dynamic = [record.get("muteConfig") for record in dig(finding, "muteInfo.dynamicMuteRecords") or []]
    return sorted({str(name) for name in (finding.get("muteInitiator"), *dynamic) if name})


def _rule(session: GcpSession, name: str, target: Target, tally: Tally) -> Reply | None:
    """A rule, without what people wrote into it but that they did; None when it is gone."""
    drops = (
        Drop("description", "free text", lambda said: REDACTED if said else said),
        *(Drop(field, "free text") for field in ("displayName", "filter")),
        Drop("mostRecentEditor", "personal"),
    )
    asked = Asked("securitycenter", RULE_GET, "/".join(name.split("/")[:2]))
    try:
        reply, _ = single(session, Request(asked, f"v1/{name}"), tally, drops, {"project": target.name, "part": "rule"})
    except Missing:
        return None
    return reply


def _shape(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    name = context["project"]
    where = place_named(name)
    if context["part"] == "declared":
        yield "gcp.security_center", {"project": name, "resource": where, "activated": False, "findings": 0}
    elif context["part"] == "rule":
        rule = text(data, "name")
        about = {
            "project": name,
            "resource": f"{_START}{rule}",
            "name": rule,
            "described": bool(data.get("description")),
        }
        yield "gcp.mute_rule", about
    else:
        yield from _shape_findings(data, name, where, context)


def _shape_findings(data: Mapping[str, Any], name: str, where: str, context: Mapping[str, str]) -> Iterator[Row]:
    known, results = json.loads(context["projects"]), data.get("listFindingsResults", [])
    for result in results:
        finding = result["finding"]
        given = {
            "project": known.get(_number(result), name),
            "resource": f"{_START}{text(finding, 'name')}",
            "rules": _rules(finding),
            "marks": sorted(dig(finding, "securityMarks.marks") or {}),
        }
        yield "gcp.security_finding", row(FINDING, finding, given)
    if not data.get("nextPageToken"):
        count = int(context["before"]) + len(results)
        yield "gcp.security_center", {"project": name, "resource": where, "activated": True, "findings": count}


FEEDS = (
    feed(
        "security_findings",
        "Findings of Security Command Center.",
        (FINDING, RULE, CENTER),
        _fetch,
        _shape,
        Audited("securitycenter", "google.cloud.securitycenter.v1.SecurityCenter.ListFindings"),
        everywhere=None,
        targets=_targets,
    ),
)
