"""L1: the policies' own expressions, evaluated by the server on rows that are in no table.

An expression is asked for each row whether it accepts it: true, false, null or an SQLSTATE. Its sub-selects and
functions really run, as the application's role, under the policies of what they read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compliancectl.collectors.postgres.isolation.model import Facts
from compliancectl.collectors.postgres.isolation.objects import Policy, Relation
from compliancectl.collectors.postgres.isolation.variants import Variant
from compliancectl.collectors.postgres.purge import quoted

if TYPE_CHECKING:
    import psycopg

TEMPLATE = (
    'select "compliancectl row", ({expression}) from jsonb_array_elements($1::jsonb) '
    'with ordinality "compliancectl rows"("compliancectl value", "compliancectl row") '
    'cross join lateral jsonb_populate_record(null::{relation}, "compliancectl value") as {alias}'
)
"""What is sent, for the reader of the evidence; `$1` holds the rows, which are not kept."""

_QUALIFIER = re.compile(r'(?:"((?:[^"]|"")+)"|\b(\w+))\.')
DENIED = "42501"
UNNAMED = "42501*"
"""A schema may not be named. Nobody asks for that when a policy is at work, so it is no refusal of the policy's."""
STALLED = ("57014", "55P03")
"""statement_timeout and lock_timeout: asking again would only take as long again."""

_VALUE = '"compliancectl value"'
_STATEMENT = (
    'select "compliancectl row", {expressions} from pg_catalog.jsonb_array_elements($1::pg_catalog.jsonb) '
    'with ordinality "compliancectl rows"("compliancectl value", "compliancectl row") {source} order by 1'
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


@dataclass(frozen=True)
class Asker:
    """Evaluates expressions in a session that has taken a role."""

    connection: psycopg.Connection[Any]
    role: str

    def evaluate(self, relation: Relation, asked: Sequence[Clause], rows: Sequence[Variant]) -> Mapping[str, list[str]]:
        """Clause → for each row `t`, `f`, `n` or the SQLSTATE that it ended in.

        One statement asks everything. Only when that fails are clauses asked one by one, and then row by row.
        """
        if not asked or not rows:
            return {clause.name: [] for clause in asked}
        whole = self._ask(relation, asked, rows)
        if not isinstance(whole, str):
            return {clause.name: [row[place] for row in whole] for place, clause in enumerate(asked)}
        if whole in STALLED:
            return {clause.name: [whole] * len(rows) for clause in asked}
        return {clause.name: self._one_clause(relation, clause, rows) for clause in asked}

    def _one_clause(self, relation: Relation, clause: Clause, rows: Sequence[Variant]) -> list[str]:
        answer = self._ask(relation, [clause], rows)
        if not isinstance(answer, str):
            return [row[0] for row in answer]
        first, last = (self._single(relation, clause, row) for row in (rows[0], rows[-1]))
        if first == last == answer and len(rows) > 1 and self._fails_without_rows(relation, clause):
            return [answer] * len(rows)
        return [self._single(relation, clause, row) for row in rows]

    def _fails_without_rows(self, relation: Relation, clause: Clause) -> bool:
        """Whether the expression fails on a row of nothing but NULLs: then the row is not the reason."""
        return len(self._single(relation, clause, Variant("", "", {}))) > 1

    def _single(self, relation: Relation, clause: Clause, row: Variant) -> str:
        answer = self._ask(relation, [clause], [row])
        return answer if isinstance(answer, str) else answer[0][0]

    def _ask(self, relation: Relation, asked: Sequence[Clause], rows: Sequence[Variant]) -> list[list[str]] | str:
        """The answers by row and clause, or the SQLSTATE of the whole statement."""
        import psycopg

        statement = _STATEMENT.format(
            expressions=", ".join(f"({clause.expression})" for clause in asked),
            source=f"cross join lateral pg_catalog.jsonb_populate_record(null::{relation.qualified}, {_VALUE}) as {quoted(relation.name)}",
        )
        body = json.dumps([row.row for row in rows])
        try:
            with self.connection.transaction(), psycopg.RawCursor(self.connection) as cursor:
                cursor.execute(statement.encode(), [body])
                return _letters(cursor.fetchall())
        except psycopg.Error as error:
            if error.sqlstate is None or self.connection.broken:
                raise
            return error.sqlstate if error.sqlstate != DENIED else self._by_plan(relation, asked, rows)

    def _by_plan(self, relation: Relation, asked: Sequence[Clause], rows: Sequence[Variant]) -> list[list[str]] | str:
        """Ask again with a statement that the collector has prepared, which the role then runs.

        Names are looked up when a statement is prepared, as they were when the policy was made; whether the role may
        call a function or read a table is asked when it runs, as it is when the policy is at work. The table itself is
        not named, so that the collector needs no right to its schema.
        """
        import psycopg

        texts = " ".join(clause.expression for clause in asked)
        given = {name for row in rows for name in row.row}
        columns = [c for c in relation.columns.values() if c.name in given or c.name in texts]
        listed = ", ".join(f"{quoted(c.name)} {c.type}" for c in columns)
        statement = _STATEMENT.format(
            expressions=", ".join(f"({clause.expression})" for clause in asked),
            source=f"cross join lateral pg_catalog.jsonb_to_record({_VALUE}) as {quoted(relation.name)}({listed})"
            if columns
            else "",
        )
        body = json.dumps([row.row for row in rows])
        prepare = f"prepare compliancectl_probe(pg_catalog.jsonb) as {statement}"
        run = psycopg.sql.SQL("execute compliancectl_probe({})").format(psycopg.sql.Literal(body))
        try:
            with self.connection.transaction():
                self.connection.execute("select pg_catalog.set_config('role', 'none', true)")
                self.connection.execute(prepare.encode())
                self.connection.execute("select pg_catalog.set_config('role', %s, true)", (self.role,))
        except psycopg.Error as error:
            if error.sqlstate is None or self.connection.broken:
                raise
            return UNNAMED if error.sqlstate == DENIED else error.sqlstate
        try:
            with self.connection.transaction():
                return _letters(self.connection.execute(run).fetchall())
        except psycopg.Error as error:
            if error.sqlstate is None or self.connection.broken:
                raise
            return UNNAMED if error.sqlstate == DENIED and self._names_too_much(statement) else error.sqlstate
        finally:
            if not self.connection.broken:
                self.connection.execute("deallocate compliancectl_probe")

    def _names_too_much(self, statement: str) -> bool:
        """Whether the role may not name a schema that a statement names: the server may have looked names up again."""
        named = [(quoted_name or name).replace('""', '"') for quoted_name, name in _QUALIFIER.findall(statement)]
        found = self.connection.execute(
            "select pg_catalog.count(*) from pg_catalog.pg_namespace n where n.nspname::pg_catalog.text = any (%s) "
            "and not pg_catalog.has_schema_privilege(%s, n.oid, 'USAGE')",
            (named, self.role),
        ).fetchone()
        return bool(found and found[0])


def _letters(rows: Sequence[Sequence[Any]]) -> list[list[str]]:
    return [["n" if cell is None else "t" if cell else "f" for cell in row[1:]] for row in rows]


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
