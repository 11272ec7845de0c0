"""The access matrix of row-level security, with what is wrong and the SQL that would mend it: the view `isolation`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from compliancectl.collectors.postgres.isolation.summary import Gap, Summary, sum_up
from compliancectl.collectors.postgres.isolation_tables import ISOLATION_PROBE, ISOLATION_RULE
from compliancectl.report.evidence import EvidenceView
from compliancectl.report.source import Row
from compliancectl.report.views import Ground

TABLES = (ISOLATION_PROBE.name, ISOLATION_RULE.name)
OPERATIONS = ("SELECT", "INSERT", "UPDATE", "DELETE")
WORST = ("open", "inconclusive", "isolated", "no access")
_KINDS = {
    "tenant": "a tenant",
    "nobody": "nobody",
    "unset": "a new connection",
    "empty": "an empty setting",
    "unknown": "a tenant that does not exist",
}


@dataclass(frozen=True)
class Cell:
    """What one session could do with one table."""

    outcome: str
    """The worst of what was tried, or `not tried`."""
    text: str
    """In words; also what is read out."""


@dataclass(frozen=True)
class Line:
    """One table in the matrix, for one role."""

    relation: str
    role: str
    cells: tuple[tuple[Cell, ...], ...]
    """For each context, one cell for each operation."""
    worst: str


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong."""

    gap: Gap
    kind: str
    """`gap`, `weakness`, `server` or `unsettled`."""
    anchor: str


@dataclass(frozen=True)
class DatabaseView:
    """One database."""

    name: str
    anchor: str
    contexts: tuple[tuple[str, str], ...]
    """(name, what kind of session it is)."""
    lines: tuple[Line, ...]
    """Tables with something open first."""
    tried: int
    denominator: int
    """Rows of others that were tried in all."""
    foreign: int
    """Rows of others that were reached in all."""
    tables: int
    roles: tuple[str, ...]
    findings: tuple[Finding, ...]
    kept: int
    """Rules that hold, each of one object."""
    rules: int
    evidence: tuple[EvidenceView, ...]

    def of(self, kind: str) -> tuple[Finding, ...]:
        """The findings of one kind."""
        return tuple(f for f in self.findings if f.kind == kind)


@dataclass(frozen=True)
class IsolationView:
    """All databases."""

    databases: tuple[DatabaseView, ...]
    operations: tuple[str, ...] = OPERATIONS

    def number(self, kind: str) -> int:
        """Findings of one kind in all databases."""
        return sum(len(database.of(kind)) for database in self.databases)


def view(ground: Ground) -> IsolationView:
    """Read both tables of isolation and sum them up for each database."""
    probes, rules = (ground.source.rows[name] for name in TABLES)
    names = sorted({row["database"] for row in (*probes, *rules)})
    by_id = {e.item.id: e for e in ground.book.evidence}
    return IsolationView(
        tuple(_database(n, number, _of(n, probes), _of(n, rules), by_id) for number, n in enumerate(names, start=1))
    )


def _of(database: str, rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row["database"] == database]


def _database(
    name: str, number: int, probes: Sequence[Row], rules: Sequence[Row], by_id: Mapping[str, EvidenceView]
) -> DatabaseView:
    summary = sum_up(Summary(name), [row.values for row in rules], [row.values for row in probes])
    unsettled = [*summary.unsettled, *_undecided(summary)]
    kinds = (("gap", summary.gaps), ("unsettled", unsettled), ("weakness", summary.weaknesses))
    found = [(kind, gap) for kind, gaps in (*kinds, ("server", summary.server)) for gap in gaps]
    told = {cell["context"]: cell["context_kind"] for cell in summary.cells}
    counted = [row for row in probes if row["denominator"] is not None]
    return DatabaseView(
        name=name,
        anchor=f"database-{number}",
        contexts=tuple((context, _KINDS.get(told[context], told[context])) for context in summary.contexts),
        lines=_lines(summary),
        tried=len(probes),
        denominator=sum(row["denominator"] for row in counted),
        foreign=sum(row["foreign_rows"] or 0 for row in counted),
        tables=len({row["relation"] for row in probes if row["operation"] in OPERATIONS}),
        roles=tuple(sorted({row["role"] for row in probes})),
        findings=tuple(Finding(gap, kind, f"finding-{number}-{n}") for n, (kind, gap) in enumerate(found, start=1)),
        kept=sum(row["broken"] is False for row in rules),
        rules=len(rules),
        evidence=tuple(by_id[id] for id in sorted({r.evidence for r in (*probes, *rules)} & by_id.keys())),
    )


def _undecided(summary: Summary) -> list[Gap]:
    """Attempts whose outcome says nothing, at tables about which nothing else is said: no row was there to be seen."""
    told = {gap.object for gap in (*summary.gaps, *summary.unsettled)}
    found: dict[str, Gap] = {}
    for row in summary.cells:
        if row["verdict"] != "inconclusive" or row["relation"] in told:
            continue
        relation = row["relation"]
        gap = found.setdefault(
            relation,
            Gap(
                row["rule"] or "rows",
                relation,
                row["sentence"] or f"{relation} could not be judged: {row['observed']}.",
            ),
        )
        for value, where in ((row["operation"], gap.operations), (row["context"], gap.contexts)):
            if value not in where:
                where.append(value)
    return list(found.values())


def _lines(summary: Summary) -> tuple[Line, ...]:
    groups: dict[tuple[str, str], dict[tuple[str, str], list[Mapping[str, Any]]]] = {}
    # A call of a function is no operation on a table: what came of it stands among the findings.
    for row in (cell for cell in summary.cells if cell["operation"] in OPERATIONS):
        cells = groups.setdefault((row["relation"], row["role"]), {})
        cells.setdefault((row["context"], row["operation"]), []).append(row)
    lines = []
    for (relation, role), cells in groups.items():
        made = tuple(tuple(_cell(cells.get((c, o), [])) for o in OPERATIONS) for c in summary.contexts)
        outcomes = {cell.outcome for context in made for cell in context}
        lines.append(Line(relation, role, made, next(o for o in (*WORST, "not tried") if o in outcomes)))
    return tuple(sorted(lines, key=lambda line: ((*WORST, "not tried").index(line.worst), line.relation, line.role)))


def _cell(rows: Sequence[Mapping[str, Any]]) -> Cell:
    if not rows:
        return Cell("not tried", "not tried")
    worst = min(rows, key=lambda row: WORST.index(row["verdict"]))
    counted = max(rows, key=lambda row: (row["foreign_rows"] or 0, row["denominator"] or 0))
    numbers = (
        f", {counted['foreign_rows'] or 0} of {counted['denominator']} rows of others"
        if counted["denominator"] is not None
        else ""
    )
    return Cell(worst["verdict"], f"{worst['verdict']}{numbers}")
