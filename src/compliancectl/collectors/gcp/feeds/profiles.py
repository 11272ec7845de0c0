"""What Sensitive Data Protection found in columns: its data profiles, from the DLP API v2.

Profiles are kept region by region, and no list names the regions: the scope does (`data_profiles`). Profiling is a choice, so
where the scope names no region nothing is asked, and the evidence says whether that was declared or left open.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from compliancectl import canonical, clock
from compliancectl.collectors.base import Fetched, Reply, Row, Target
from compliancectl.collectors.gcp.everywhere import SERVICE_TYPE, reworded
from compliancectl.collectors.gcp.feed import Audited, feed, place
from compliancectl.collectors.gcp.inventory import LIST, Inventory, assets, place_of
from compliancectl.collectors.gcp.listing import Listing, Tally, pages
from compliancectl.collectors.gcp.redact import Drop
from compliancectl.collectors.gcp.services import SERVICES
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.shaping import columns, dig, full_name, instant, resource_column
from compliancectl.collectors.gcp.verdict import Asked
from compliancectl.model.evidence import Completeness
from compliancectl.model.table import BOOL, TEXT, TIME, Column, ListOf, Table

PROFILES = "dlp.columnDataProfiles.list"
_P = "dlp.v2#GooglePrivacyDlpV2ColumnDataProfile"
_KEPT = (
    "name",
    "column",
    "columnInfoType",
    "datasetId",
    "datasetProjectId",
    "otherMatches",
    "profileLastGenerated",
    "profileStatus",
    "sensitivityScore",
    "state",
    "tableFullResource",
    "tableId",
)

PROFILE = Table(
    "gcp.column_profile",
    "One row per column that Sensitive Data Protection has profiled, in the regions that the scope names.",
    columns(
        Column("project", TEXT, "Project that owns what was profiled.", f"{_P}:datasetProjectId"),
        resource_column("//dlp.googleapis.com/PLACE/locations/L/columnDataProfiles/ID"),
        Column("table", TEXT, "The table, as a full resource name.", f"{_P}:tableFullResource"),
        Column("column", TEXT, "Name of the column.", f"{_P}:column"),
        Column(
            "info_types",
            ListOf(TEXT),
            "What was found in it: EMAIL_ADDRESS …, sorted; of mixed content all that counted.",
            f"{_P}:columnInfoType.infoType.name, otherMatches[].infoType.name",
        ),
        Column("sensitivity", TEXT, "SENSITIVITY_LOW, …_MODERATE or …_HIGH.", f"{_P}:sensitivityScore.score"),
        Column("profiled", TIME, "When the profile was made.", f"{_P}:profileLastGenerated"),
        Column(
            "done",
            BOOL,
            "The profile is done and did not fail.",
            f"derived: {_P} state, profileStatus.status.code",
            required=True,
        ),
    ),
    key=("resource",),
    permissions=(PROFILES,),
    drops=("everything else of a profile: not needed",),
)

PLACE = Table(
    "gcp.data_profiling",
    "One row per project, folder and organisation: whether profiles were listed there.",
    columns(
        Column("project", TEXT, "The project; or folders/F, organizations/N.", "scope", required=True),
        Column("resource", TEXT, "The place: projects/P, folders/F or organizations/N.", "scope", required=True),
        Column(
            "listed",
            BOOL,
            "Profiles were listed; false: the scope declares that there are none; NULL: it does not say.",
            "scope",
        ),
    ),
    key=("resource",),
    permissions=(PROFILES,),
)


def _targets(session: GcpSession) -> Iterator[Target]:
    """The organisation if the scope names it, and the projects or roots: each keeps profiles of its own."""
    organization, places = session.config.organization, session.config.projects or session.config.roots
    above = (f"organizations/{organization}",) if organization else ()
    for name in dict.fromkeys((*above, *places)):
        yield Target(name, session.endpoint("dlp"))


def _fetch(session: GcpSession, target: Target) -> Fetched:
    if not session.config.data_profiles:
        return (yield from _not_asked(session.config.data_profiles, target))
    tally, where = Tally(), place(target)
    inventory = session.inventory(target.name) if target.name in session.config.roots else None
    known = session.config.projects if inventory is None else inventory.chosen
    if not where.startswith("folders/"):
        yield from _profiles(session, where, known, tally)
    if inventory is not None:
        for project in (yield from _projects(session, inventory, tally)):
            yield from _profiles(session, f"projects/{project}", known, tally)
    yield _said({"listed": True}, "read from the regions that the scope names", target)
    done = tally.completeness(f"profiles of columns in {', '.join(session.config.data_profiles)}")
    return done if inventory is None else reworded(done, f"{done.method}; {inventory.words}")


def _not_asked(declared: tuple[str, ...] | None, target: Target) -> Fetched:
    said = "declares that there are no profiles" if declared is not None else "names no region of profiles"
    yield _said({"listed": False if declared is not None else None}, f"the scope {said}", target)
    return Completeness(method=f"the scope {said}, so none was asked for", pages=0, items=0, exhausted=True)


def _said(what: Mapping[str, Any], operation: str, target: Target) -> Reply:
    now = clock.now()
    return Reply(
        body=canonical.to_bytes(dict(what)),
        operation=f"declared in the scope file: {operation}",
        requested_at=now,
        completed_at=now,
        status="declared",
        context={"project": target.name, "part": "declared"},
    )


def _profiles(session: GcpSession, where: str, known: tuple[str, ...] | list[str], tally: Tally) -> Iterator[Reply]:
    """The profiles that a place keeps, of data in scope."""
    for location in session.config.data_profiles or ():
        listing = Listing(
            Asked("dlp", PROFILES, where),
            f"v2/{where}/locations/{location}/columnDataProfiles",
            "columnDataProfiles",
            ("pageSize", 100),
            drops=(
                Drop("columnDataProfiles", "out of scope", lambda found: _inside(found, known)),
                Drop("columnDataProfiles[]", "not needed", _only_needed),
            ),
            context={"project": where, "part": "profiles"},
        )
        for page in pages(session, listing, tally):
            yield page.reply


def _inside(found: Any, known: tuple[str, ...] | list[str]) -> Any:
    """Those whose project is in scope; one that names no project stays."""
    if not isinstance(found, list):
        return found
    return [one for one in found if not isinstance(one, dict) or one.get("datasetProjectId") in (None, "", *known)]


def _only_needed(profile: Any) -> Any:
    return {name: profile[name] for name in _KEPT if name in profile} if isinstance(profile, Mapping) else profile


def _projects(session: GcpSession, inventory: Inventory, tally: Tally) -> Any:
    """The projects that can keep profiles: those that have the API enabled, where that is known."""
    if inventory.refused is not None:
        return inventory.chosen
    names, found = {project.number: project.id for project in inventory.projects}, set[str]()
    end = f"/services/{SERVICES['dlp'].host}"
    for page in assets(session, inventory, (SERVICE_TYPE,), tally, {"part": "where"}, content=None, counted=False):
        yield replace(page.reply, context={"part": "where"})
        found |= {place_of(asset, names) for asset in page.items if str(asset["name"]).endswith(end)}
    return sorted(found)


def _shape(data: Mapping[str, Any], context: Mapping[str, str]) -> Iterator[Row]:
    if context["part"] == "declared":
        name = context["project"]
        where = name if "/" in name else f"projects/{name}"
        yield "gcp.data_profiling", {"project": name, "resource": where, "listed": data["listed"]}
    elif context["part"] == "profiles":
        for record in data.get("columnDataProfiles", []):
            yield "gcp.column_profile", _profile(record)


def _profile(record: Mapping[str, Any]) -> dict[str, Any]:
    counted = [one for one in record.get("otherMatches", []) if not one.get("excludedFromAnalysis")]
    types = {dig(one, "infoType.name") for one in (record.get("columnInfoType") or {}, *counted)} - {None}
    return {
        "project": record.get("datasetProjectId") or None,
        "resource": full_name("//dlp.googleapis.com/", record.get("name")),
        "table": record.get("tableFullResource"),
        "column": record.get("column"),
        "info_types": sorted(types),
        "sensitivity": dig(record, "sensitivityScore.score"),
        "profiled": instant(record.get("profileLastGenerated")),
        "done": record.get("state") == "DONE" and not dig(record, "profileStatus.status.code"),
    }


FEEDS = (
    feed(
        "data_profiles",
        "What Sensitive Data Protection found in columns.",
        (PROFILE, PLACE),
        _fetch,
        _shape,
        Audited("dlp", "google.privacy.dlp.v2.DlpService.ListColumnDataProfiles"),
        everywhere=None,
        below=(LIST,),
        targets=_targets,
    ),
)
