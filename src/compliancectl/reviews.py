"""Access reviews: from a snapshot of members and grants to a campaign, and from the decisions to what became of them. Pure.

Complete means: every grant of the snapshot is a row, and every row has a decision. Nobody decides about access of their own.
What was to go is gone only when a later, complete snapshot of the same table no longer has it.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from compliancectl.errors import UsageError
from compliancectl.model.review import DECISIONS, Asked, Campaign, Decision, Fault, Grant, Review
from compliancectl.seal.index import cell

COLUMNS = ("id", "system", "place", "principal", "grant", "decision", "decided_by", "decided_on", "note")
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Source:
    """A table that says who has access, and how one of its rows is a grant; None: the row is none."""

    table: str
    system: str
    grant: Callable[[Row], tuple[str, str, str] | None]
    """Row → place, principal, grant."""


def _github(row: Row) -> tuple[str, str, str]:
    return str(row["organization"]), str(row["login"]), str(row["role"])


def _repository(row: Row) -> tuple[str, str, str] | None:
    """What the organisation gives to all its members goes with the membership."""
    if row["beyond_membership"] is False:
        return None
    given = ", ".join(row["given_by"]) if row["given_by"] is not None else row["permission"]
    return f"{row['organization']}/{row['repository']}", str(row["login"]), str(given)


def _postgres(row: Row) -> tuple[str, str, str] | None:
    if not row["can_login"]:
        return None
    powers = [name for name in ("superuser", "create_role", "create_db", "replication", "bypass_rls") if row[name]]
    return str(row["database"]), str(row["name"]), ", ".join(["log in", *powers, *(row["member_of"] or ())])


def _google(row: Row) -> tuple[str, str, str] | None:
    if row["service_agent"]:
        return None
    condition = f" if {row['condition']}" if row["condition"] else ""
    return str(row["resource"]), str(row["member"]), f"{row['role']}{condition}"


_PROJECT_ROLES = ("projectOwner:", "projectEditor:", "projectViewer:")
"""Members of buckets that stand for whoever holds a role on the project, which is reviewed there."""


def _google_resource(row: Row) -> tuple[str, str, str] | None:
    return None if str(row["member"]).startswith(_PROJECT_ROLES) else _google(row)


SOURCES = (
    Source("github.member", "github", _github),
    Source("github.collaborator", "github", _repository),
    Source("postgres.role", "postgres", _postgres),
    Source("gcp.iam_binding", "gcp", _google),
    Source("gcp.resource_grant", "gcp", _google_resource),
)
"""Where access is granted, in the systems that collectors read. Google's own service agents cannot be logged in as."""


def grants(rows: Mapping[str, Iterable[Row]]) -> tuple[Grant, ...]:
    """Every grant in the rows of the tables, by system, principal and grant."""
    found: dict[str, Grant] = {}
    for source in SOURCES:
        for row in rows.get(source.table, ()):
            told = source.grant(row)
            if told is not None:
                place, principal, grant = told
                id = _identity(source.system, place, principal, grant)
                found[id] = Grant(id=id, system=source.system, place=place, principal=principal, grant=grant)
    return tuple(sorted(found.values(), key=lambda g: (g.system, g.place, g.principal, g.grant)))


def _identity(*parts: str) -> str:
    return f"AR-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:12]}"


def assign(
    found: Iterable[Grant], reviewers: Mapping[str, Sequence[str]], aliases: Mapping[str, Sequence[str]]
) -> tuple[Asked, ...]:
    """Give each grant to the first reviewer of its system who is not the one who has it.

    Raises:
        UsageError: if a system has no reviewer, or nobody but the holder could review a grant.
    """
    made = []
    for grant in found:
        chosen = reviewers.get(grant.system, ())
        if not chosen:
            hint = f"Name who decides: --reviewer {grant.system}=LOGIN,LOGIN."
            raise UsageError(f"nobody reviews the access to {grant.system}", hint=hint)
        other = next((r for r in chosen if not same_person(r, grant.principal, aliases)), None)
        if other is None:
            hint = f"Name a second reviewer: --reviewer {grant.system}={','.join(chosen)},LOGIN."
            message = f"{grant.principal} would review their own access to {grant.system}"
            raise UsageError(message, hint=hint)
        made.append(Asked(**{**grant.model_dump(), "reviewer": other}))
    return tuple(made)


def same_person(person: str, principal: str, aliases: Mapping[str, Sequence[str]]) -> bool:
    """Whether a principal is that person: by login, by the local part of an address, or by a name given as the same."""
    return bool({_plain(name) for name in (person, *aliases.get(person, ()))} & {_plain(principal)})


def _plain(name: str) -> str:
    kind, _, rest = name.rpartition(":")
    bare = (rest if kind in ("", "user") else name).lower()
    return bare.partition("@")[0]


def sheets(campaign: Campaign) -> dict[str, str]:
    """Reviewer → the CSV that the person fills in. A cell that a spreadsheet takes for a formula begins with an apostrophe."""
    made: dict[str, str] = {}
    for reviewer in sorted({row.reviewer for row in campaign.rows}):
        stream = io.StringIO(newline="")
        writer = csv.writer(stream, lineterminator="\r\n")
        writer.writerow(COLUMNS)
        for row in campaign.rows:
            if row.reviewer == reviewer:
                writer.writerow([cell(v) for v in (row.id, row.system, row.place, row.principal, row.grant)] + [""] * 4)
        made[reviewer] = stream.getvalue()
    return made


def read_sheet(text: str, campaign: Campaign) -> tuple[list[Decision], list[Fault]]:
    """The decisions of one filled-in CSV, and what is wrong with its rows."""
    known = {row.id: row for row in campaign.rows}
    decisions: list[Decision] = []
    faults: list[Fault] = []
    for line in csv.DictReader(io.StringIO(text, newline="")):
        told = {name: (line.get(name) or "").strip() for name in COLUMNS}
        id, row = told["id"], known.get(told["id"])
        if not any(told.values()):
            continue
        if row is None:
            faults.append(
                Fault(kind="unknown", id=id, says=f"{id or 'A row without an id'} is no grant of this campaign")
            )
        elif any(told[name] != cell(getattr(row, name)) for name in ("system", "place", "principal", "grant")):
            faults.append(
                Fault(kind="altered", id=id, says=f"the row of {_told(row)} says something else than was asked")
            )
        elif told["decision"]:
            decided, problem = _decision(told, row)
            decisions += [decided] if decided else []
            faults += [problem] if problem else []
    return decisions, faults


def _decision(told: Mapping[str, str], row: Asked) -> tuple[Decision | None, Fault | None]:
    word = told["decision"].lower()
    try:
        day = date.fromisoformat(told["decided_on"])
    except ValueError:
        day = None
    if word not in DECISIONS or day is None or not told["decided_by"]:
        wanted = "keep, change or remove, who decided, and a day such as 2026-08-01"
        return None, Fault(kind="unclear", id=row.id, says=f"the decision about {_told(row)} must say {wanted}")
    return Decision(id=row.id, decision=word, decided_by=told["decided_by"], decided_on=day), None


def check(
    campaign: Campaign,
    decisions: Sequence[Decision],
    faults: Sequence[Fault],
    as_of: datetime,
    later: Campaign | None = None,
    within: timedelta = timedelta(days=14),
) -> Review:
    """Whether a campaign is complete and honest, and whether what was to go is gone.

    Args:
        campaign: what was asked.
        decisions: what was answered, of all sheets.
        faults: what was wrong with the rows of the sheets.
        as_of: today.
        later: a snapshot of afterwards, as a campaign without reviewers.
        within: how soon what was to go must be gone.
    """
    by_id: dict[str, list[Decision]] = {}
    for decision in decisions:
        by_id.setdefault(decision.id, []).append(decision)
    named = {fault.id for fault in faults}
    found = list(faults)
    for row in campaign.rows:
        found += _row_faults(row, by_id.get(row.id, []), campaign, as_of) if row.id not in named else []
    settled = {id: made[0] for id, made in by_id.items() if len(made) == 1}
    going = [
        (row, settled[row.id]) for row in campaign.rows if row.id in settled and settled[row.id].decision != "keep"
    ]
    fates = [_fate(row, decision, as_of, campaign, later, within) for row, decision in going]
    return Review(
        organization=campaign.organization,
        run_id=campaign.run_id,
        collected_at=campaign.collected_at,
        later_run=later.run_id if later else None,
        grants=len(campaign.rows),
        decided=len(settled),
        kept=len(settled) - len(going),
        to_go=len(going),
        gone=fates.count("gone"),
        unshown=tuple(row.id for (row, _), fate in zip(going, fates, strict=True) if fate == "unshown"),
        faults=(*found, *(fate for fate in fates if isinstance(fate, Fault))),
    )


def missing(campaign: Campaign, snapshot: Campaign) -> list[Fault]:
    """What the snapshot holds and the campaign does not ask, or the other way round: then it was not made from it."""
    if campaign.tables != snapshot.tables:
        return [Fault(kind="not asked", id="", says=f"this campaign was not made from the run {snapshot.run_id}")]
    asked = {row.id: row for row in campaign.rows}
    there = {row.id: row for row in snapshot.rows}
    return [
        Fault(kind="not asked", id=id, says=f"the campaign and the snapshot differ about {_told(row)}")
        for id, row in sorted({**asked, **there}.items())
        if id not in asked or id not in there
    ]


def _row_faults(row: Asked, made: Sequence[Decision], campaign: Campaign, as_of: datetime) -> Iterator[Fault]:
    if not made:
        yield Fault(kind="undecided", id=row.id, says=f"{row.reviewer} has not decided about {_told(row)}")
        return
    if len(made) > 1:
        yield Fault(kind="unclear", id=row.id, says=f"there are {len(made)} decisions about {_told(row)}")
    for decision in made:
        if same_person(decision.decided_by, row.principal, campaign.aliases):
            says = f"{decision.decided_by} decided about their own access: {_told(row)}"
            yield Fault(kind="own access", id=row.id, says=says)
        elif decision.decided_by != row.reviewer:
            says = f"{decision.decided_by} decided about {_told(row)}, and {row.reviewer} was asked"
            yield Fault(kind="stranger", id=row.id, says=says)
        if not campaign.collected_at.date() <= decision.decided_on <= as_of.date():
            says = f"the decision about {_told(row)} is dated {decision.decided_on}: before the snapshot, or not yet"
            yield Fault(kind="unclear", id=row.id, says=says)


def _fate(
    row: Asked, decision: Decision, as_of: datetime, asked: Campaign, later: Campaign | None, within: timedelta
) -> Fault | str:
    due = decision.decided_on + timedelta(days=within.days)
    shown = later is not None and later.collected_at.date() >= decision.decided_on and _covers(later, asked, row.system)
    if later is None or not shown:
        if as_of.date() > due:
            says = f"{_told(row)} was to go by {due}, and no later snapshot shows that it is gone"
            return Fault(kind="too late", id=row.id, says=says)
        return "unshown"
    if row.id not in {other.id for other in later.rows}:
        return "gone"
    if later.collected_at.date() <= due:
        return "unshown"
    says = f"{_told(row)} was to go by {due}, and was still there on {later.collected_at:%Y-%m-%d}"
    return Fault(kind="not removed", id=row.id, says=says)


def _covers(later: Campaign, asked: Campaign, system: str) -> bool:
    """Whether the later snapshot has every table of a system that was asked about: what it does not have is not gone."""
    tables = {source.table for source in SOURCES if source.system == system and source.table in asked.tables}
    return bool(tables) and tables <= set(later.tables)


def _told(row: Grant) -> str:
    return f"{row.principal}: {row.grant} in {row.place} ({row.system})"


def register(campaign: Campaign, decisions: Iterable[Decision], later: Campaign | None) -> str:
    """The rows of an access-review-register: what became of each grant, without saying whose it is."""
    made = {decision.id: decision for decision in decisions}
    still = {row.id for row in later.rows} if later else set()
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(("id", "system", "reviewer", "decision", "decided", "own", "gone", "place"))
    for row in campaign.rows:
        decision = made.get(row.id)
        own = decision is not None and same_person(decision.decided_by, row.principal, campaign.aliases)
        seen = later is not None and decision is not None and later.collected_at.date() >= decision.decided_on
        gone = seen and later is not None and _covers(later, campaign, row.system) and row.id not in still
        writer.writerow(
            [
                row.id, row.system, cell(decision.decided_by if decision else row.reviewer),
                decision.decision if decision else "", decision.decided_on if decision else "", "yes" if own else "no",
                later.collected_at.date() if gone and later else "", cell(row.place),
            ]
        )  # fmt: skip
    return stream.getvalue()
