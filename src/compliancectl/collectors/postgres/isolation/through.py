"""What views reach whose owner is bound, but by policies that let it reach every tenant. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from compliancectl.collectors.postgres.isolation import reasons, repairs
from compliancectl.collectors.postgres.isolation.cells import KEYED, Cell, Record, meant, of_tenant, plain, refuses
from compliancectl.collectors.postgres.isolation.model import OPERATIONS, Facts, Relation
from compliancectl.collectors.postgres.isolation.predicates import DENIED, TEMPLATE, accepts
from compliancectl.collectors.postgres.purge import quoted


def views(facts: Facts, found: Sequence[Record]) -> Iterator[Cell]:
    """Views whose owner is bound, but by policies that let it reach every tenant."""
    records: dict[str, list[Record]] = {}
    for record in found:
        if record["level"] == "predicate" and record["active"] and record["kind"] not in ("switch", "forged"):
            records.setdefault(record["relation"], []).append(record)
    for view in facts.relations.values():
        if view.kind != "v":
            continue
        for owner, table in sorted(set(reasons.readers_as(facts, view.qualified))):
            for record in records.get(table, ()):
                if owner != record["role"] and facts.binds(owner, table):
                    for operation in OPERATIONS:
                        if view.allows(record["role"], operation):
                            yield from _as_owner(facts, view, owner, record, operation)


def _as_owner(facts: Facts, view: Relation, owner: str, record: Record, operation: str) -> Iterator[Cell]:
    table = facts.relations[record["relation"]]
    results = {name: text.split(" ") if text else [] for name, text in record["results"].items()}
    answers = [
        _through(facts, table, owner, operation, results, place)
        for place, (kind, _) in enumerate(record["rows"])
        if (kind in KEYED or not of_tenant(record)) and kind != "reference" and meant(kind, operation)
    ]
    accepted, errors = answers.count("t"), [answer for answer in answers if len(answer) > 1]
    if not accepted and not errors:
        return
    policies = [p for p in facts.policies.get(table.qualified, ()) if p.permissive and p.serves(owner, operation)]
    cell: dict[str, Any] = {
        "level": "predicate",
        "relation": view.qualified,
        "operation": operation,
        "role": record["role"],
        "state": record["state"],
        "kind": record["kind"],
        "statement": TEMPLATE.format(expression="…", relation=table.qualified, alias=quoted(table.name)),
        "expected": "no row of another tenant",
        "foreign": accepted,
        "denominator": len(answers),
    }
    if accepted:
        yield Cell(
            **cell,
            observed=f"{accepted} rows accepted for the view's owner {owner}",
            verdict="open",
            rule="view.bypass",
            sentence=f"View {view.qualified} {_TOUCHES[operation]} {table.qualified} as {owner}, whom the policies let "
            "reach every tenant.",
            policies=tuple(p.text for p in policies),
            repair=repairs.invoke(facts, [view.qualified]),
        )
    elif not all(refuses(error) for error in errors) or DENIED in errors:
        # What the policy looks up, it looks up with the rights of the view's owner, whom the collector cannot be.
        yield Cell(**cell, sqlstate=plain(errors[0]), observed=f"error {plain(errors[0])}", verdict="inconclusive")


_TOUCHES = {"SELECT": "reads", "INSERT": "writes", "UPDATE": "writes", "DELETE": "deletes from"}


def _through(
    facts: Facts, table: Relation, owner: str, operation: str, results: Mapping[str, Sequence[str]], place: int
) -> str:
    """What becomes of a row that a view's owner reads or writes."""
    old = accepts(facts, table, owner, operation, False, results, place) if operation != "INSERT" else "t"
    new = accepts(facts, table, owner, operation, True, results, place) if operation in ("INSERT", "UPDATE") else "t"
    return new if old == "t" else old
