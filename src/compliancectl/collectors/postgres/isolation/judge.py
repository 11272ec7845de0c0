"""From what a probe found to verdicts: one cell per table, operation, role and state. Pure.

* `isolated`: the rows of others were refused, and there was a row of others to refuse.
* `open`: some row of another tenant, or any row for a session of nobody, was accepted.
* `no access`: the role has no privilege, so no policy is asked.
* `inconclusive`: an error that is no refusal, or nothing to try it on. Never taken for a pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from compliancectl.collectors.postgres.isolation import reasons
from compliancectl.collectors.postgres.isolation.model import OPERATIONS, Facts, Policy, Relation
from compliancectl.collectors.postgres.isolation.predicates import TEMPLATE, accepts
from compliancectl.collectors.postgres.purge import quoted

Record = Mapping[str, Any]
KEYED = frozenset({"other", "sample", "mixed", "flag", "literal", "user", "hard-coded", "pattern"})
"""Kinds of rows that belong to another tenant."""


@dataclass(frozen=True)
class Cell:
    """What one role in one state can do to one table by one operation."""

    level: str
    relation: str
    operation: str
    role: str
    state: str
    kind: str
    statement: str
    expected: str
    observed: str
    verdict: str
    own: int | None = None
    """Rows of its own that were accepted, or counted."""
    foreign: int | None = None
    """Rows of others that were accepted, or counted."""
    denominator: int | None = None
    """Rows of others that were tried, or that their owners count."""
    sqlstate: str | None = None
    rule: str | None = None
    sentence: str | None = None
    policies: tuple[str, ...] = ()
    repair: str | None = None
    notes: tuple[str, ...] = field(default=())
    """Weaknesses seen on the way: foreign keys that lead to another tenant's row."""


def cells(facts: Facts, found: Sequence[Record]) -> Iterator[Cell]:
    """Every cell of the matrix."""
    counts = _owned(facts, found)
    for record in found:
        if record["level"] == "rows":
            yield _counted(facts, record, counts)
        else:
            for operation in OPERATIONS:
                yield _cell(facts, record, operation)
    yield from _views(facts, found)


def _cell(facts: Facts, record: Record, operation: str) -> Cell:
    relation = facts.relations[record["relation"]]
    role = record["role"]
    base: dict[str, Any] = {
        "level": "predicate",
        "relation": relation.qualified,
        "operation": operation,
        "role": role,
        "state": record["state"],
        "kind": record["kind"],
        "statement": TEMPLATE.format(expression="…", relation=relation.qualified, alias=quoted(relation.name)),
        "expected": "no row of another tenant" if _tenant(record) else "no row at all",
    }
    if not relation.allows(role, operation):
        return Cell(**base, observed=f"{role} has no {operation} privilege", verdict="no access")
    if not record["active"]:
        base["statement"] = "select row_security_active($1::oid)"
        why = reasons.unprotected(facts, relation, role)
        return Cell(**base, observed="row security does not bind the session", verdict="open", **why)
    return _tried(facts, relation, record, operation, base)


def _tenant(record: Record) -> bool:
    return record["kind"] in ("tenant", "switch", "forged")


def _tried(facts: Facts, relation: Relation, record: Record, operation: str, base: dict[str, Any]) -> Cell:
    outcomes = outcomes_of(facts, relation, record, operation)
    opening = _openings(facts, relation)
    membership = relation.qualified in facts.consulted and operation in ("SELECT", "DELETE")
    foreign = [o for o in outcomes if _foreign(o, record, operation) and not (membership and o.kind == "mixed")]
    foreign += [
        o for o in outcomes if o.kind == "reference" and o.note in opening and operation in ("INSERT", "UPDATE")
    ]
    own = [o for o in outcomes if o.kind == "own"] if _tenant(record) else []
    accepted = [o for o in foreign if o.answer == "t"]
    numbers: dict[str, Any] = {
        "own": sum(o.answer == "t" for o in own),
        "foreign": len(accepted),
        "denominator": len(foreign),
        "notes": tuple(sorted({o.note for o in outcomes if _refers(facts, relation, record, operation, o)})),
    }
    if accepted:
        why = reasons.explain(facts, relation, record, operation, [(o.kind, o.note, o.policies) for o in accepted])
        return Cell(
            **base, **numbers, observed=f"{len(accepted)} of {len(foreign)} rows accepted", verdict="open", **why
        )
    errors = [o.answer for o in (*foreign, *own) if len(o.answer) > 1]
    odd = next((state for state in errors if not refuses(state)), None)
    state = odd or (errors[0] if errors else None)
    if not foreign or (odd is not None):
        observed = f"error {odd}" if odd else "there was no row of another tenant to try"
        why = reasons.failed(relation, odd) if odd else {}
        return Cell(**base, **numbers, sqlstate=state, observed=observed, verdict="inconclusive", **why)
    observed = f"0 of {len(foreign)} rows accepted" + (f", refused with {state}" if state else "")
    return Cell(**base, **numbers, sqlstate=state, observed=observed, verdict="isolated")


def _openings(facts: Facts, relation: Relation) -> set[str]:
    """Foreign keys by which a row here opens a row there, because the policies there look into this table."""
    return {
        key.name
        for key in facts.keys
        if key.kind == "foreign key" and key.relation == relation.qualified and key.parent
        if any(relation.qualified in facts.looked_into(p) for p in facts.policies.get(key.parent, ()))
    }


def _refers(facts: Facts, relation: Relation, record: Record, operation: str, outcome: Outcome) -> bool:
    """Whether a row of the tenant's own that refers to another tenant's row can be written."""
    if outcome.kind != "reference" or outcome.answer != "t" or operation not in ("INSERT", "UPDATE"):
        return False
    columns = {
        c for key in facts.keys if key.relation == relation.qualified and key.name == outcome.note for c in key.columns
    }
    return columns <= set(relation.access[record["role"]]["insertable" if operation == "INSERT" else "updatable"])


def refuses(sqlstate: str) -> bool:
    """Whether an error is the policy's way to refuse: no such setting, a value that is none, a privilege, an exception."""
    return sqlstate[:2] == "22" or sqlstate in ("42704", "42501", "P0001", "28000")


@dataclass(frozen=True)
class Outcome:
    """What became of one row."""

    kind: str
    note: str
    answer: str
    policies: tuple[str, ...]
    """Permissive policies that accepted it."""


def outcomes_of(facts: Facts, relation: Relation, record: Record, operation: str) -> list[Outcome]:
    """What each row met. An UPDATE is judged by the row it finds and by the row it makes."""
    results = {name: text.split(" ") if text else [] for name, text in record["results"].items()}
    role, rows = record["role"], record["rows"]

    def ask(place: int, new: bool) -> str:
        return accepts(facts, relation, role, operation, new, results, place)

    def by(place: int, new: bool) -> tuple[str, ...]:
        return tuple(p.name for p in _agreeing(facts, relation, role, operation, new, results, place))

    writable = set(relation.access[role]["insertable" if operation == "INSERT" else "updatable"])
    movable = relation.tenant_key is None or relation.tenant_key in writable
    found = []
    owned = [place for place, (kind, _) in enumerate(rows) if kind == "own"]
    capture = any(ask(place, True) == "t" for place in owned)
    reached = any(ask(place, False) == "t" for place in owned)
    for place, (kind, note) in enumerate(rows):
        if operation in ("SELECT", "DELETE"):
            found.append(Outcome(kind, note, ask(place, False), by(place, False)))
            continue
        if operation == "INSERT":
            answer = ask(place, True)
            usable = kind == "own" or (note in writable if kind == "no tenant" else movable)
            found.append(Outcome(kind, note, answer if usable else "f", by(place, True)))
            continue
        old, new = ask(place, False), ask(place, True)
        if old == "t" and (new == "t" or (movable and capture)):
            found.append(Outcome(kind, note, "t", by(place, False)))
        elif new == "t" and reached and (movable or kind in ("own", "reference")) and kind != "own":
            found.append(Outcome(kind, note, "t", by(place, True)))
        elif kind == "own":
            found.append(Outcome(kind, note, old, by(place, False)))
        else:
            found.append(Outcome(kind, note, old if len(old) > 1 else "f", ()))
    return found


def _agreeing(
    facts: Facts,
    relation: Relation,
    role: str,
    operation: str,
    new: bool,
    results: Mapping[str, Sequence[str]],
    place: int,
) -> Iterator[Policy]:
    for policy in facts.policies.get(relation.qualified, ()):
        if policy.permissive and policy.serves(role, operation):
            clause = "check" if new and policy.check else "using"
            outcomes = results.get(f"{policy.name} {clause}")
            if outcomes and outcomes[place] == "t":
                yield policy


def _foreign(outcome: Outcome, record: Record, operation: str) -> bool:
    """Whether a row is one that the session must not reach by the operation."""
    if outcome.kind == "reference":
        return False
    if not _tenant(record):
        return True
    if outcome.kind == "no tenant":
        return operation in ("SELECT", "DELETE", "UPDATE")
    return outcome.kind in KEYED


def _owned(facts: Facts, found: Sequence[Record]) -> dict[tuple[str, str], int]:
    """(relation, tenant) → how many rows the tenant's own session counts as its own; the most that any role sees."""
    counts: dict[tuple[str, str], int] = {}
    for record in found:
        if record["level"] == "rows" and record["kind"] == "tenant" and record.get("own") is not None:
            key = (record["relation"], _tenant_of(facts, record["state"]))
            counts[key] = max(counts.get(key, 0), record["own"])
    return counts


def _tenant_of(facts: Facts, state: str) -> str:
    context = facts.declared["contexts"].get(state) or {}
    return str(context.get("tenant"))


def _counted(facts: Facts, record: Record, counts: Mapping[tuple[str, str], int]) -> Cell:
    relation = facts.relations[record["relation"]]
    mine = _tenant_of(facts, record["state"])
    others = sum(number for (name, whose), number in counts.items() if name == relation.qualified and whose != mine)
    tenant = record["kind"] == "tenant"
    base: dict[str, Any] = {
        "level": "rows",
        "relation": relation.qualified,
        "operation": "SELECT",
        "role": record["role"],
        "state": record["state"],
        "kind": record["kind"],
        "statement": record["statement"],
        "expected": "0 rows of other tenants" if tenant else "0 rows",
        "denominator": others,
    }
    state = record.get("sqlstate")
    if state is not None:
        refused = refuses(state) and not tenant
        why = {} if refused else reasons.failed(relation, state)
        return Cell(
            **base, sqlstate=state, observed=f"error {state}", verdict="isolated" if refused else "inconclusive", **why
        )
    own, foreign = record["own"], record["foreign"]
    base.update(own=own if tenant else None, foreign=foreign)
    if foreign:
        why = reasons.visible(facts, relation, record)
        return Cell(**base, observed=f"{foreign} rows of other tenants", verdict="open", **why)
    if not others or (tenant and not own):
        return Cell(**base, observed="no row of this or of another tenant to tell them apart", verdict="inconclusive")
    return Cell(**base, observed=f"0 of {others} rows", verdict="isolated")


def _views(facts: Facts, found: Sequence[Record]) -> Iterator[Cell]:
    """Views whose owner is bound, but by policies that let it see every tenant."""
    records: dict[str, list[Record]] = {}
    for record in found:
        if record["level"] == "predicate" and record["active"] and record["kind"] not in ("switch", "forged"):
            records.setdefault(record["relation"], []).append(record)
    for view in facts.relations.values():
        if view.kind != "v":
            continue
        for owner, table in sorted(set(reasons.readers_as(facts, view.qualified))):
            for record in records.get(table, ()):
                if owner != record["role"] and view.allows(record["role"], "select") and facts.binds(owner, table):
                    yield from _as_owner(facts, view, owner, record)


def _as_owner(facts: Facts, view: Relation, owner: str, record: Record) -> Iterator[Cell]:
    table = facts.relations[record["relation"]]
    results = {name: text.split(" ") if text else [] for name, text in record["results"].items()}
    accepted = [
        kind
        for place, (kind, _) in enumerate(record["rows"])
        if (kind in KEYED or not _tenant(record)) and kind != "reference"
        if accepts(facts, table, owner, "SELECT", False, results, place) == "t"
    ]
    if accepted:
        policies = [p for p in facts.policies.get(table.qualified, ()) if p.permissive and p.serves(owner, "SELECT")]
        yield Cell(
            level="predicate",
            relation=view.qualified,
            operation="SELECT",
            role=record["role"],
            state=record["state"],
            kind=record["kind"],
            statement=TEMPLATE.format(expression="…", relation=table.qualified, alias=quoted(table.name)),
            expected="no row of another tenant",
            observed=f"{len(accepted)} rows accepted for the view's owner {owner}",
            verdict="open",
            foreign=len(accepted),
            denominator=len(record["rows"]),
            rule="view.bypass",
            sentence=f"View {view.qualified} reads {table.qualified} as {owner}, whom the policies let see every tenant.",
            policies=tuple(p.text for p in policies),
            repair=f"ALTER VIEW {view.qualified} SET (security_invoker = true);",
        )
