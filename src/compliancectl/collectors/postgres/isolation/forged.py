"""What if: columns that a policy believes, and that the session may write, held what the policy wants to read there.

`EXISTS (SELECT 1 FROM members m WHERE m.user_id = … AND m.level = 'operator')` is only as good as the protection of
`members.level`. Nothing is written to find out: the table in the expression is replaced by a sub-select that shows the
rows that the session sees, with those columns overwritten.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from compliancectl.collectors.postgres.isolation.model import Facts
from compliancectl.collectors.postgres.isolation.objects import Policy, Relation
from compliancectl.collectors.postgres.isolation.predicates import Clause, clauses
from compliancectl.collectors.postgres.isolation.variants import literals
from compliancectl.collectors.postgres.purge import quoted

_KEYWORDS = (
    "WHERE|JOIN|LEFT|RIGHT|INNER|CROSS|FULL|ON|GROUP|ORDER|LIMIT|UNION|NATURAL|HAVING|USING|OFFSET|EXCEPT|INTERSECT"
)


@dataclass(frozen=True)
class Forgery:
    """One way to overwrite, and the expressions of one table that believe it."""

    relation: str
    column: str
    """`schema.table.column` that is believed."""
    clauses: tuple[Clause, ...]


def forgeries(facts: Facts, relation: Relation, role: str) -> Iterator[Forgery]:
    """Every way in which a role may feed the policies of a table."""
    policies = [p for p in facts.policies.get(relation.qualified, ()) if role in p.applies_to]
    for table, column in sorted({(t, c) for p in policies for t, c in p.lookups if c is not None}):
        believed = facts.relations.get(table)
        if believed is None or table == relation.qualified or not _writable(facts, believed, column, role):
            continue
        for value in _values(believed, column, policies):
            asked = tuple(
                Clause(clause.name, _overwrite(clause.expression, believed, {column: value}))
                for clause in clauses(facts.policies.get(relation.qualified, ()))
            )
            if asked != tuple(clauses(facts.policies.get(relation.qualified, ()))):
                yield Forgery(relation.qualified, f"{table}.{column}", asked)


def _writable(facts: Facts, table: Relation, column: str, role: str) -> bool:
    """Whether a role may put a value of its own into a column that is no key."""
    keys = {c for k in facts.keys if k.relation == table.qualified and (k.is_primary or k.parent) for c in k.columns}
    if (
        not table.is_table
        or column == table.tenant_key
        or column in keys
        or not table.access.get(role, {}).get("usage")
    ):
        return False
    for operation, columns in (("UPDATE", "updatable"), ("INSERT", "insertable")):
        policies = facts.policies.get(table.qualified, ())
        let = not facts.binds(role, table.qualified) or any(
            p.permissive and p.serves(role, operation) for p in policies
        )
        if let and column in table.access[role][columns]:
            return True
    return False


def _values(table: Relation, name: str, policies: list[Policy]) -> list[object]:
    column = table.columns.get(name)
    if column is None:
        return []
    if column.category == "B":
        return [True, False]
    if column.category in ("S", "N", "E"):
        return [value for value in literals(policies) if column.category == "E" or column.fits(value)]
    return []


def _overwrite(expression: str, table: Relation, values: dict[str, object]) -> str:
    """The expression with a table replaced by what its rows would look like."""
    record = json.dumps(values).replace("'", "''")
    source = f"(select (pg_catalog.jsonb_populate_record(x, '{record}'::pg_catalog.jsonb)).* from {table.qualified} x)"
    pattern = re.compile(
        rf"((?:\bFROM|\bJOIN|,)\s+\(*){re.escape(table.qualified)}(?![\w\".])(\s+(?!(?:{_KEYWORDS})\b)[\w\"]+)?",
        re.IGNORECASE,
    )
    return pattern.sub(lambda m: f"{m[1]}{source}{m[2] or ' ' + quoted(table.name)}", expression)
