"""L1: the policies' own expressions, evaluated by the server on rows that are in no table.

An expression is asked for each row whether it accepts it: true, false, null or an SQLSTATE. Its sub-selects and
functions really run, as the application's role, under the policies of what they read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compliancectl.collectors.postgres.isolation.model import Facts, Policy, Relation
from compliancectl.collectors.postgres.isolation.variants import Variant
from compliancectl.collectors.postgres.purge import quoted

if TYPE_CHECKING:
    import psycopg

TEMPLATE = (
    'select v."compliancectl row", ({expression}) from (select e.n as "compliancectl row", r.* '
    "from jsonb_array_elements($1::jsonb) with ordinality e(v, n) "
    "cross join lateral jsonb_populate_record(null::{relation}, e.v) r) as {alias}"
)
"""What is sent, for the reader of the evidence; `$1` holds the rows, which are not kept."""

STALLED = ("57014", "55P03")
"""statement_timeout and lock_timeout: asking again would only take as long again."""

_STATEMENT = (
    'select "compliancectl row", {expressions} from (select e.n as "compliancectl row", r.* '
    "from pg_catalog.jsonb_array_elements($1::pg_catalog.jsonb) with ordinality e(v, n) "
    "cross join lateral pg_catalog.jsonb_populate_record(null::{relation}, e.v) r) as {alias} order by 1"
)


@dataclass(frozen=True)
class Clause:
    """One expression of one policy."""

    name: str
    """`policy using` or `policy check`."""
    expression: str


def clauses(policies: Sequence[Policy]) -> list[Clause]:
    """Every expression of a table's policies."""
    found = []
    for policy in policies:
        if policy.using:
            found.append(Clause(f"{policy.name} using", policy.using))
        if policy.check:
            found.append(Clause(f"{policy.name} check", policy.check))
    return found


def evaluate(
    connection: psycopg.Connection[Any], relation: Relation, asked: Sequence[Clause], rows: Sequence[Variant]
) -> Mapping[str, list[str]]:
    """Clause → for each row `t`, `f`, `n` or the SQLSTATE that it ended in.

    One statement asks everything. Only when that fails are clauses asked one by one, and then row by row.
    """
    if not asked or not rows:
        return {clause.name: [] for clause in asked}
    whole = _ask(connection, relation, asked, rows)
    if not isinstance(whole, str):
        return {clause.name: [row[place] for row in whole] for place, clause in enumerate(asked)}
    if whole in STALLED:
        return {clause.name: [whole] * len(rows) for clause in asked}
    return {clause.name: _one_clause(connection, relation, clause, rows) for clause in asked}


def _one_clause(
    connection: psycopg.Connection[Any], relation: Relation, clause: Clause, rows: Sequence[Variant]
) -> list[str]:
    answer = _ask(connection, relation, [clause], rows)
    if not isinstance(answer, str):
        return [row[0] for row in answer]
    first, last = (_single(connection, relation, clause, row) for row in (rows[0], rows[-1]))
    if first == last == answer and len(rows) > 1 and _fails_without_rows(connection, relation, clause):
        return [answer] * len(rows)
    return [_single(connection, relation, clause, row) for row in rows]


def _fails_without_rows(connection: psycopg.Connection[Any], relation: Relation, clause: Clause) -> bool:
    """Whether the expression fails on a row of nothing but NULLs: then the row is not the reason."""
    answer = _single(connection, relation, clause, Variant("", "", {}))
    return len(answer) > 1


def _single(connection: psycopg.Connection[Any], relation: Relation, clause: Clause, row: Variant) -> str:
    answer = _ask(connection, relation, [clause], [row])
    return answer if isinstance(answer, str) else answer[0][0]


def _ask(
    connection: psycopg.Connection[Any], relation: Relation, asked: Sequence[Clause], rows: Sequence[Variant]
) -> list[list[str]] | str:
    """The answers by row and clause, or the SQLSTATE of the whole statement."""
    import psycopg

    statement = _STATEMENT.format(
        expressions=", ".join(f"({clause.expression})" for clause in asked),
        relation=relation.qualified,
        alias=quoted(relation.name),
    )
    body = json.dumps([row.row for row in rows])
    try:
        with connection.transaction(), psycopg.RawCursor(connection) as cursor:
            cursor.execute(statement.encode(), [body])
            found = cursor.fetchall()
    except psycopg.Error as error:
        if error.sqlstate is None or connection.broken:
            raise
        return error.sqlstate
    return [["n" if cell is None else "t" if cell else "f" for cell in row[1:]] for row in found]


def accepts(
    facts: Facts,
    relation: Relation,
    role: str,
    operation: str,
    new: bool,
    results: Mapping[str, Sequence[str]],
    place: int,
) -> str:
    """What the server makes of a row: `t`, `f`, or the SQLSTATE of an expression that failed.

    Permissive policies are joined with OR, restrictive ones with AND; NULL refuses; with no permissive expression
    nothing is accepted; WITH CHECK falls back to USING, except that an INSERT policy has none.

    Args:
        facts: the catalogue.
        relation: the table.
        role: whose policies count.
        operation: SELECT, INSERT, UPDATE or DELETE.
        new: True for the row that an INSERT or UPDATE makes.
        results: what `evaluate` gave.
        place: which row.
    """
    permissive: list[str] = []
    restrictive: list[str] = []
    for policy in facts.policies.get(relation.qualified, ()):
        if not policy.serves(role, operation):
            continue
        clause = "check" if new and policy.check else "using"
        if (policy.check if clause == "check" else policy.using) is None:
            continue
        outcome = results[f"{policy.name} {clause}"][place]
        (permissive if policy.permissive else restrictive).append(outcome)
    if any(outcome in ("f", "n") for outcome in restrictive):
        return "f"
    failed = [outcome for outcome in (*permissive, *restrictive) if len(outcome) > 1]
    if "t" in permissive:
        return next((outcome for outcome in restrictive if len(outcome) > 1), "t")
    return failed[0] if failed else "f"
