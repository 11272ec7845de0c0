"""From what a probe found to verdicts: one cell per table, operation, role and state. Pure.

* `isolated`: the rows of others were refused, and there was a row of others to refuse.
* `open`: some row of another tenant, or any row for a session of nobody, was accepted.
* `no access`: the role has no privilege, so no policy is asked.
* `inconclusive`: an error that is no refusal, or nothing to try it on. Never taken for a pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from compliancectl.collectors.postgres.isolation import reasons, through
from compliancectl.collectors.postgres.isolation.cells import KEYED, NEW, Cell, Record, meant, of_tenant, plain, refuses
from compliancectl.collectors.postgres.isolation.model import Facts
from compliancectl.collectors.postgres.isolation.objects import OPERATIONS, Policy, Relation
from compliancectl.collectors.postgres.isolation.predicates import TEMPLATE, accepts
from compliancectl.collectors.postgres.purge import quoted


def cells(facts: Facts, found: Sequence[Record]) -> Iterator[Cell]:
    """Every cell of the matrix."""
    counts, plainly = _owned(facts, found), _plainly(found)
    for record in found:
        if record["level"] == "rows":
            yield _counted(facts, record, counts)
        else:
            for operation in OPERATIONS if not record.get("through") else ():
                cell = _cell(facts, record, operation, plainly)
                if cell is not None:
                    yield cell
    yield from through.cells(facts, found)


def _plainly(found: Sequence[Record]) -> dict[tuple[str, str], Record]:
    """(role, table) → what its first tenant found: switches and forgeries are tried in that tenant's session.

    For roles that no tenant takes, under an empty name, what the first tenant of any role found.
    """
    known: dict[tuple[str, str], Record] = {}
    for record in found:
        if record["level"] == "predicate" and record["kind"] == "tenant" and record["active"]:
            known.setdefault((record["role"], record["relation"]), record)
            known.setdefault(("", record["relation"]), record)
    return known


def _cell(facts: Facts, record: Record, operation: str, plainly: Mapping[tuple[str, str], Record]) -> Cell | None:
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
        "expected": "no row of another tenant" if of_tenant(record) else "no row at all",
    }
    if not relation.allows(role, operation):
        return Cell(**base, observed=f"{role} has no {operation} privilege", verdict="no access")
    if not record["active"]:
        base["statement"] = "select row_security_active($1::oid)"
        why = reasons.unprotected(facts, relation, role)
        return Cell(**base, observed="row security does not bind the session", verdict="open", **why)
    known = None
    if record["kind"] != "tenant":
        known = plainly.get((role, relation.qualified), plainly.get(("", relation.qualified)))
    return _tried(
        facts, relation, record, operation, base, outcomes_of(facts, relation, known, operation) if known else ()
    )


def _tried(
    facts: Facts, relation: Relation, record: Record, operation: str, base: dict[str, Any], known: Sequence[Outcome]
) -> Cell | None:
    """A cell of rows that were tried.

    Args:
        facts: the catalogue.
        relation: the table.
        record: what was found.
        operation: SELECT, INSERT, UPDATE or DELETE.
        base: the cell so far.
        known: what a tenant's session reaches anyway; of a switch or a forgery only what is more counts.
    """
    refused = _needs_no_row(facts, relation, record["role"], operation)
    if refused is not None:
        return Cell(**base, observed=refused, verdict="isolated", denominator=0, foreign=0)
    outcomes = outcomes_of(facts, relation, record, operation)
    opening = _openings(facts, relation)
    membership = relation.qualified in facts.consulted and operation in ("SELECT", "DELETE")
    foreign = [o for o in outcomes if _foreign(o, record, operation) and not (membership and o.kind == "mixed")]
    foreign += [
        o for o in outcomes if o.kind == "reference" and o.note in opening and operation in ("INSERT", "UPDATE")
    ]
    own = [o for o in outcomes if o.kind == "own"] if of_tenant(record) else []
    accepted = [o for o in foreign if o.answer == "t"]
    anyway = {(o.kind, o.note) for o in known if o.answer == "t"}
    if accepted and {(o.kind, o.note) for o in accepted} <= anyway:
        if record["kind"] in ("switch", "forged"):
            return None
        # What opens these rows to a tenant's session opens them to nobody's too: one reason for both.
        record = {**record, "kind": "tenant"}
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
    if odd is None and record["kind"] == "tenant" and own and all(len(o.answer) > 1 for o in own):
        # Whoever is refused its own rows by an error is not refused those of others by the policy.
        odd = own[0].answer
    state = odd or (errors[0] if errors else None)
    if not foreign or (odd is not None):
        observed = f"error {plain(odd)}" if odd else "there was no row of another tenant to try"
        why = reasons.failed(relation, odd) if odd else reasons.nothing(relation)
        return Cell(**base, **numbers, sqlstate=plain(state), observed=observed, verdict="inconclusive", **why)
    observed = f"0 of {len(foreign)} rows accepted" + (f", refused with {state}" if state else "")
    return Cell(**base, **numbers, sqlstate=state, observed=observed, verdict="isolated")


def is_root(facts: Facts, relation: Relation) -> bool:
    """Whether a table's rows are the tenants, each there once: no row can be made for a tenant that is there."""
    return relation.qualified == facts.declared["tenant_root"] and any(
        key.kind == "unique" and not key.partial and key.columns == (relation.tenant_key,)
        for key in facts.keys
        if key.relation == relation.qualified
    )


def _needs_no_row(facts: Facts, relation: Relation, role: str, operation: str) -> str | None:
    """What refuses every row of another tenant, whatever is in it."""
    if operation == "INSERT" and is_root(facts, relation):
        return "a tenant's key is there once, so no row can be made for a tenant that is there"
    policies = facts.policies.get(relation.qualified, ())
    if not any(p.permissive and p.serves(role, operation) and (p.using or p.check) for p in policies):
        return "no policy lets any row through"
    return None


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
    single = is_root(facts, relation)
    owned = [place for place, (kind, _) in enumerate(rows) if kind == "own"]
    capture = any(ask(place, True) == "t" for place in owned)
    reached = any(ask(place, False) == "t" for place in owned)
    for place, (kind, note) in enumerate(rows):
        if not meant(kind, operation):
            continue
        if operation in ("SELECT", "DELETE"):
            found.append(Outcome(kind, note, ask(place, False), by(place, False)))
            continue
        if operation == "INSERT":
            answer = ask(place, True)
            # A session of nobody that cannot write the tenant key makes no row of this tenant either.
            whose = kind == "own" and of_tenant(record)
            usable = whose or (note in writable if kind == "no tenant" else movable)
            found.append(Outcome(kind, note, answer if usable else "f", by(place, True)))
            continue
        old, new = ask(place, False) if kind not in NEW else "f", ask(place, True)
        makes = kind not in ("own", "stored") and not single
        if old == "t" and (new == "t" or (movable and capture)):
            found.append(Outcome(kind, note, "t", by(place, False)))
        elif new == "t" and reached and makes and (movable or kind == "reference"):
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
    if not of_tenant(record):
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
        why, rows = reasons.visible(facts, relation, record), "row" if foreign == 1 else "rows"
        return Cell(**base, observed=f"{foreign} {rows} of other tenants", verdict="open", **why)
    if not others or (tenant and not own):
        return Cell(**base, observed="no row of this or of another tenant to tell them apart", verdict="inconclusive")
    return Cell(**base, observed=f"0 of {others} rows", verdict="isolated")
