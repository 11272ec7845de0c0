"""What people must supply, and what they have supplied: the list that an assessor asks for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from compliancectl import clock
from compliancectl.model.control import Control

State = Literal["missing", "expired", "expiring", "supplied"]

FACTS = {
    "document.agreement": "agreement",
    "document.restore_test": "restore-test",
    "document.vendor": "vendor-register",
}
"""Table → kind of document that fills it, besides the registers."""


@dataclass(frozen=True)
class Paper:
    """One document with a sidecar."""

    path: str
    kind: str
    subject: str
    title: str
    owner: str
    issued: datetime
    """When it took effect; not when somebody put it into the folder."""
    expires: datetime | None
    status: str | None
    valid_until: datetime | None = None
    """The earlier of its own end and the day on which it is too old for a control; None if neither."""


@dataclass(frozen=True)
class Request:
    """One document that somebody must supply."""

    kind: str
    subject: str | None
    """None: whatever the register or agreement is about."""
    owner: str
    controls: tuple[str, ...]
    max_age_days: int | None
    state: State
    paper: Paper | None
    """The one that is valid longest."""

    @property
    def due(self) -> datetime | None:
        """Until when a new one is needed; None: now, or never again."""
        return self.paper.valid_until if self.paper is not None and self.state != "missing" else None


def papers(documents: Iterable[Mapping[str, Any]], controls: Iterable[Control]) -> tuple[Paper, ...]:
    """The documents of a folder that have a sidecar, by path, each with the day until which it is of use."""
    ages = {(need.kind, need.subject): need.max_age_days for control in controls for need in control.evidence}
    found = []
    for document in documents:
        if document["sidecar"] is None:
            continue
        said = document["sidecar"]["said"]
        plain = {key: said.get(key) for key in ("kind", "subject", "title", "owner", "status")}
        expires = clock.parse(said["expires"]) if said.get("expires") else None
        paper = Paper(path=document["path"], issued=clock.parse(said["issued"]), expires=expires, **plain)
        found.append(_with_end(paper, ages.get((paper.kind, paper.subject))))
    return tuple(sorted(found, key=lambda paper: paper.path))


def requests(
    controls: Iterable[Control],
    reads: Mapping[str, Sequence[str]],
    register_kinds: Mapping[str, str],
    supplied: Sequence[Paper],
    as_of: datetime,
    within: timedelta,
) -> tuple[Request, ...]:
    """Everything that the controls need from people, by owner, what is missing first.

    Args:
        controls: the selected controls.
        reads: control id → tables that it reads.
        register_kinds: table → kind of document that fills it.
        supplied: what is there.
        as_of: today.
        within: how long before its end a document counts as expiring.
    """
    wanted: dict[tuple[str, str | None], tuple[str, int | None, list[str]]] = {}
    for control in sorted(controls, key=lambda control: control.id):
        for need in control.evidence:
            key: tuple[str, str | None] = (need.kind, need.subject)
            wanted.setdefault(key, (need.owner, need.max_age_days, []))[2].append(control.id)
        asked = {need.kind for need in control.evidence}
        for kind in sorted({register_kinds[t] for t in reads.get(control.id, ()) if t in register_kinds} - asked):
            wanted.setdefault((kind, None), (control.owner, None, []))[2].append(control.id)
    made = [
        _request(kind, subject, owner, age, tuple(ids), supplied, as_of, within)
        for (kind, subject), (owner, age, ids) in wanted.items()
    ]
    order = {"missing": 0, "expired": 1, "expiring": 2, "supplied": 3}
    return tuple(sorted(made, key=lambda r: (r.owner, order[r.state], r.kind, r.subject or "")))


def _request(
    kind: str,
    subject: str | None,
    owner: str,
    age: int | None,
    controls: tuple[str, ...],
    supplied: Sequence[Paper],
    as_of: datetime,
    within: timedelta,
) -> Request:
    fitting = [
        _with_end(paper, age)
        for paper in supplied
        if paper.kind == kind and subject in (None, paper.subject) and paper.status != "planned"
    ]
    best = max(fitting, key=lambda p: (p.valid_until is None, p.valid_until or p.issued, p.issued), default=None)
    return Request(kind, subject, owner, controls, age, state(best, as_of, within), best)


def state(paper: Paper | None, as_of: datetime, within: timedelta) -> State:
    """Whether a document is there and of use, and for how long."""
    if paper is None:
        return "missing"
    if paper.valid_until is None:
        return "supplied"
    if paper.valid_until < as_of:
        return "expired"
    return "expiring" if paper.valid_until <= as_of + within else "supplied"


def _with_end(paper: Paper, age: int | None) -> Paper:
    ends = [end for end in (paper.expires, paper.issued + timedelta(days=age) if age is not None else None) if end]
    return replace(paper, valid_until=min(ends, default=None))
