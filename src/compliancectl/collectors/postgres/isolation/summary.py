"""Isolation of one database as people want it: the matrix, each gap once, each weakness once. No printing here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from compliancectl.collectors.base import Fetched, Reply, Target
from compliancectl.collectors.postgres.isolation import feeds
from compliancectl.collectors.postgres.isolation.writes import WriteProbe
from compliancectl.errors import CollectError

if TYPE_CHECKING:
    from compliancectl.collectors.postgres.config import Database
    from compliancectl.collectors.postgres.session import PostgresSession

Row = Mapping[str, Any]


@dataclass
class Gap:
    """One thing that is wrong, with everything that was seen of it."""

    rule: str
    object: str
    sentence: str
    operations: list[str] = field(default_factory=list)
    contexts: list[str] = field(default_factory=list)
    policies: list[str] = field(default_factory=list)
    repair: str | None = None


@dataclass
class Summary:
    """What is known about one database."""

    database: str
    contexts: list[str] = field(default_factory=list)
    """Columns of the matrix, in order."""
    cells: list[Row] = field(default_factory=list)
    """Rows of `postgres.isolation_probe`, states that only try a switch or a forged column left out."""
    gaps: list[Gap] = field(default_factory=list)
    weaknesses: list[Gap] = field(default_factory=list)
    server: list[Gap] = field(default_factory=list)
    unsettled: list[Gap] = field(default_factory=list)
    """What could not be judged."""
    errors: list[CollectError] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 isolated, 1 a gap, 3 when something could not be looked at; the highest counts."""
        if self.errors or self.unsettled:
            return 3
        return 1 if self.gaps else 0


def examine(session: PostgresSession, database: Database, *, write: bool = False) -> Summary:
    """Read the catalogue, probe, and sum up; what fails is in `errors`, and the rest is done all the same.

    Args:
        session: an open session.
        database: one of its databases.
        write: try writes too, and roll them back; for a clone only.
    """
    summary = Summary(database.name)
    target = Target(database.name, database.endpoint)
    rules = list(_rows(summary, feeds.fetch_rules(session, target), feeds.shape_rules))
    probes = list(_rows(summary, feeds.fetch_probes(session, target), feeds.shape_probes))
    if write:
        probes += _written(summary, session, database)
    return sum_up(summary, rules, probes)


def _written(summary: Summary, session: PostgresSession, database: Database) -> list[Row]:
    try:
        facts, paths, wide = feeds.understand(session, database)
        return list(WriteProbe(session, wide, facts, paths).run())
    except CollectError as error:
        summary.errors.append(error)
        return []


def _rows(summary: Summary, stream: Fetched, shape: Any) -> Iterator[Row]:
    try:
        for reply in _replies(stream):
            yield from (row for _, row in shape(reply))
    except CollectError as error:
        summary.errors.append(error)


def _replies(stream: Fetched) -> Iterator[Reply]:
    while True:
        try:
            yield next(stream)
        except StopIteration:
            return


def sum_up(summary: Summary, rules: Iterable[Row], probes: Iterable[Row]) -> Summary:
    """Fill a summary from the rows of both tables."""
    lists = {"gap": summary.gaps, "weakness": summary.weaknesses, "server": summary.server}
    for row in rules:
        if row["broken"]:
            policies = [row["policy"]] if row.get("policy") else []
            lists[row["kind"]].append(
                Gap(row["rule"], row["object"], row["sentence"], policies=policies, repair=row.get("repair"))
            )
    for gaps in lists.values():
        gaps[:] = _joined(gaps)
    known = {(gap.rule, gap.object.partition(" for ")[0]) for gap in summary.gaps}
    seen = list(probes)
    summary.cells = [row for row in seen if row["context_kind"] not in ("switch", "forged")]
    summary.contexts = list(dict.fromkeys(row["context"] for row in summary.cells))
    summary.gaps += [g for g in _grouped(seen, "open") if (g.rule, g.object) not in known]
    reasons = [gap for gap in summary.gaps if not _is_effect(gap)]
    summary.gaps = [gap for gap in summary.gaps if not _is_effect(gap) or not _explained(gap, reasons)]
    failed = [row for row in summary.cells if row["level"] != "rows" or row["sqlstate"]]
    summary.unsettled = [
        g for g in _grouped(failed, "inconclusive") if g.object not in {gap.object for gap in summary.gaps}
    ]
    accepted = {gap.object: gap for gap in _references(seen)}
    for gap in summary.weaknesses:
        if gap.rule == "fk.existence_oracle" and gap.object in accepted:
            accepted[gap.object].repair = gap.repair
    summary.weaknesses = [
        *accepted.values(),
        *(g for g in summary.weaknesses if g.rule != "fk.existence_oracle" or g.object not in accepted),
    ]
    return summary


_WHOLE = ("rows.visible", "write.definer_call")
"""Effects that any reason of the same object explains."""


def _is_effect(gap: Gap) -> bool:
    """Whether it says what was seen, and not why."""
    return gap.rule == "rows.visible" or gap.rule.startswith("write.")


def _explained(effect: Gap, reasons: Iterable[Gap]) -> bool:
    """Whether a gap of the same object and operation says why; its cells stay."""
    return any(
        gap.object.partition(" for ")[0] == effect.object
        and (effect.rule in _WHOLE or not gap.operations or set(gap.operations) & set(effect.operations))
        for gap in reasons
    )


_PRIVILEGES = ("rls.truncate_granted", "rls.can_reference", "rls.can_trigger")


def _joined(gaps: Iterable[Gap]) -> list[Gap]:
    """Gaps with those of several roles that hold the same privilege on the same table made one."""
    found: dict[tuple[str, str], Gap] = {}
    for gap in gaps:
        table, apart, role = gap.object.partition(" for ")
        key = (gap.rule, table if apart and gap.rule in _PRIVILEGES else gap.object)
        known = found.setdefault(key, gap)
        if known is not gap:
            names, verb, rest = known.sentence.partition(" holds " if " holds " in known.sentence else " hold ")
            known.sentence = f"{names}, {role} hold {rest}" if verb else known.sentence
            known.repair = f"{known.repair} {gap.repair}"
    return list(found.values())


def _grouped(rows: Iterable[Row], verdict: str) -> list[Gap]:
    found: dict[tuple[Any, ...], Gap] = {}
    for row in rows:
        if row["verdict"] != verdict:
            continue
        rule, policies = row["rule"] or "unsettled", tuple(row["policies"])
        sentence = row["sentence"] or f"{row['relation']} could not be judged: {row['observed']}."
        gap = found.setdefault(
            (rule, row["relation"], policies),
            Gap(rule, row["relation"], sentence, policies=list(policies), repair=row["repair"]),
        )
        for value, where in ((row["operation"], gap.operations), (row["context"], gap.contexts)):
            if value not in where:
                where.append(value)
    return list(found.values())


def _references(rows: Iterable[Row]) -> Iterator[Gap]:
    seen: set[str] = set()
    for row in rows:
        for name in row["references_accepted"] or ():
            thing = f"{row['relation']}/{name}"
            if thing not in seen:
                seen.add(thing)
                yield Gap(
                    "fk.cross_tenant_reference",
                    thing,
                    f"A row of {row['relation']} may refer by {name} to another tenant's row: no policy looks at the parent.",
                    operations=[row["operation"]],
                )
