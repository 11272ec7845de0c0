"""What views, functions, triggers and rules reach whose owner is bound, but by policies that let it reach every tenant. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from compliancectl.collectors.postgres.isolation import doors, reasons, repairs
from compliancectl.collectors.postgres.isolation.cells import KEYED, Cell, Record, meant, of_tenant, plain, refuses
from compliancectl.collectors.postgres.isolation.model import Facts
from compliancectl.collectors.postgres.isolation.objects import OPERATIONS, Policy, Relation
from compliancectl.collectors.postgres.isolation.predicates import DENIED, TEMPLATE, accepts
from compliancectl.collectors.postgres.purge import quoted


@dataclass(frozen=True)
class Way:
    """Something that reads or writes a table with the rights of its owner, whom policies bind."""

    name: str
    """The view, function, trigger or rule."""
    owner: str
    table: str
    roles: frozenset[str]
    """Application roles that can use it."""
    operations: Mapping[str, frozenset[str]]
    """Role → what it can do to the table by it."""
    rule: str
    what: str
    """It in words, and what it does; `{verb}` for a view."""
    repair: str


def ways(facts: Facts) -> list[Way]:
    """Every way into a table with tenants' rows whose owner is bound there."""
    found = (*_views(facts), *_functions(facts), *_triggers(facts), *_rules(facts))
    bound = (way for way in found if facts.holds_tenants(way.table) and facts.binds(way.owner, way.table))
    return sorted(bound, key=lambda way: (way.rule, way.name, way.owner, way.table))


def _views(facts: Facts) -> Iterator[Way]:
    for view in facts.relations.values():
        if view.kind != "v":
            continue
        able = {r: frozenset(o for o in OPERATIONS if view.allows(r, o)) for r in facts.app_roles}
        for owner, table in set(reasons.readers_as(facts, view.qualified)):
            repair = repairs.invoke(facts, [view.qualified])
            yield _way(view.qualified, owner, table, able, "view.bypass", f"View {view.qualified} {{verb}}", repair)


def _functions(facts: Facts) -> Iterator[Way]:
    helpers = {name for policies in facts.policies.values() for policy in policies for name in policy.functions}
    for function in facts.functions.values():
        helper = function.signature in helpers and doors.is_helper(function)
        if not function.definer or function.fires or helper or doors.is_trusted(facts, function):
            continue
        what = f"Function {function.signature}, which {', '.join(sorted(function.callers))} may call, {{verb}}"
        read = doors.looked_at(facts, function)
        for table in doors.reached(facts, function):
            able = dict.fromkeys(function.callers, _READS if table in read else frozenset({"INSERT"}))
            name, repair = function.signature, doors.invoker(function)
            yield _way(name, function.owner, table, able, "function.definer_reads", what, repair)


def _triggers(facts: Facts) -> Iterator[Way]:
    for trigger in facts.triggers:
        function, relation = facts.functions.get(trigger.function), facts.relations.get(trigger.relation)
        if function is None or relation is None or not function.definer or doors.is_trusted(facts, function):
            continue
        fires = [r for r in facts.app_roles if any(relation.allows(r, o) for o in ("INSERT", "UPDATE", "DELETE"))]
        what = f"Trigger {trigger.name} on {trigger.relation} {{verb}}"
        for table in doors.looked_at(facts, function):
            able = dict.fromkeys(fires, _READS)
            name = f"{trigger.relation}/{trigger.name}"
            yield _way(name, function.owner, table, able, "trigger.definer", what, doors.invoker(function))


def _rules(facts: Facts) -> Iterator[Way]:
    for reader in facts.readers:
        relation = facts.relations.get(reader.reader)
        if reader.kind == "rule" and relation is not None and reader.base not in facts.bases(reader.reader):
            able = {r: frozenset(OPERATIONS) for r in facts.app_roles if relation.allows(r, reader.event)}
            what = f"Rule {reader.rule} on {reader.reader} {{verb}}"
            repair = f"DROP RULE {quoted(reader.rule)} ON {reader.reader};"
            yield _way(f"{reader.reader}/{reader.rule}", relation.owner, reader.base, able, "rule.action", what, repair)


_READS = frozenset({"SELECT"})


def _way(
    name: str, owner: str, table: str, able: Mapping[str, frozenset[str]], rule: str, what: str, repair: str
) -> Way:
    return Way(name, owner, table, frozenset(r for r, o in able.items() if o), able, rule, what, repair)


def cells(facts: Facts, found: Sequence[Record]) -> Iterator[Cell]:
    """Ways whose owner is bound, but by policies that let it reach every tenant."""
    records: dict[str, list[Record]] = {}
    for record in found:
        if record["level"] == "predicate" and record["active"] and record["kind"] not in ("switch", "forged"):
            records.setdefault(record["relation"], []).append(record)
    for way in ways(facts):
        for record in records.get(way.table, ()):
            if way.owner != record["role"] and record["role"] in way.roles:
                for operation in OPERATIONS:
                    if operation in way.operations[record["role"]]:
                        yield from _as_owner(facts, way, record, operation)


def _as_owner(facts: Facts, way: Way, record: Record, operation: str) -> Iterator[Cell]:
    table, owner = facts.relations[record["relation"]], way.owner
    results = {name: text.split(" ") if text else [] for name, text in record["results"].items()}
    answers = [
        (place, _through(facts, table, owner, operation, results, place))
        for place, (kind, _) in enumerate(record["rows"])
        if (kind in KEYED or not of_tenant(record)) and kind != "reference" and meant(kind, operation)
    ]
    places, errors = [p for p, answer in answers if answer == "t"], [answer for _, answer in answers if len(answer) > 1]
    accepted = len(places)
    serving = [p for p in facts.policies.get(table.qualified, ()) if p.permissive and p.serves(owner, operation)]
    # Within a function that runs as its owner, CURRENT_USER is the owner, whom the collector cannot be.
    asked = way.rule in _AS_OWNER and any(reasons.by_role(policy) for policy in serving)
    if not accepted and not errors and not asked:
        return
    policies = [p for p in serving if any(_lets(p, results, place) for place in places)]
    cell: dict[str, Any] = {
        "level": "predicate",
        "relation": way.name,
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
        verb = _TOUCHES[operation]
        yield Cell(
            **cell,
            observed=f"{accepted} rows accepted for the owner {owner}",
            verdict="open",
            rule=way.rule,
            sentence=f"{way.what.format(verb=verb)} {table.qualified} as {owner}, whom the policies let reach every tenant.",
            policies=tuple(p.text for p in policies),
            repair=way.repair,
        )
    elif not all(refuses(error) for error in errors) or DENIED in errors:
        # What the policy looks up, it looks up with the rights of the owner, whom the collector cannot be.
        yield Cell(**cell, sqlstate=plain(errors[0]), observed=f"error {plain(errors[0])}", verdict="inconclusive")
    elif asked:
        yield Cell(**cell, observed=f"the policies ask for the role, which is {owner} there", verdict="inconclusive")


_AS_OWNER = ("function.definer_reads", "trigger.definer")


def _lets(policy: Policy, results: Mapping[str, Sequence[str]], place: int) -> bool:
    """Whether a policy by itself lets a row through."""
    outcomes = [results.get(f"{policy.name} {clause}") for clause in ("using", "check")]
    return any(found and found[place] == "t" for found in outcomes)


_TOUCHES = {"SELECT": "reads", "INSERT": "writes", "UPDATE": "writes", "DELETE": "deletes from"}


def _through(
    facts: Facts, table: Relation, owner: str, operation: str, results: Mapping[str, Sequence[str]], place: int
) -> str:
    """What becomes of a row that such an owner reads or writes."""
    old = accepts(facts, table, owner, operation, False, results, place) if operation != "INSERT" else "t"
    new = accepts(facts, table, owner, operation, True, results, place) if operation in ("INSERT", "UPDATE") else "t"
    return new if old == "t" else old
