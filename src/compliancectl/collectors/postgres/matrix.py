"""The application's own roles and permissions, beside those that are published."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from compliancectl import canonical, clock
from compliancectl.collectors.base import Fetched, Reply, Row, Target
from compliancectl.collectors.postgres import shape
from compliancectl.collectors.postgres.purge import qualified, quoted
from compliancectl.collectors.postgres.queries import Query, of
from compliancectl.collectors.postgres.session import PostgresSession, reply
from compliancectl.errors import Missing
from compliancectl.model.evidence import Completeness

if TYPE_CHECKING:
    from compliancectl.collectors.postgres.config import Database, RoleMatrix


def question(declared: RoleMatrix) -> Query:
    """The statement that reads the pairs, made of names that the scope gives, each safely quoted."""
    role, permission = quoted(declared.role), quoted(declared.permission)
    return of(
        "role_matrix",
        f"select distinct {role}::text as role, {permission}::text as permission from {qualified(declared.table)}\n"
        "order by 1, 2",
    )


def fetch(session: PostgresSession, target: Target) -> Fetched:
    """Every pair of role and permission.

    Raises:
        Missing: if the scope does not say where they are.
    """
    database = session.database(target.name)
    matrix = _declared(database)
    asked = clock.now()
    with session.snapshot(database) as snapshot:
        answer = snapshot.ask(question(matrix))
    published = {role: sorted(permissions) for role, permissions in sorted(matrix.published.items())}
    yield reply(snapshot, answer, asked, {"declared": canonical.to_bytes({"published": published}).decode()})
    return Completeness(method=answer.query.counted_by, pages=1, items=len(answer.rows), independent_count=answer.count)


def _declared(database: Database) -> RoleMatrix:
    if database.role_matrix is None:
        raise Missing(
            f"database {database.name}: the scope does not say where the application keeps roles and permissions",
            hint="Declare role_matrix: the table, its two columns, and what is published.",
        )
    return database.role_matrix


def shaped(kept: Reply) -> Iterator[Row]:
    """One row per pair that is granted, published, or both."""
    database = kept.context["database"]
    published = {
        (role, permission)
        for role, permissions in json.loads(kept.context["declared"])["published"].items()
        for permission in permissions
    }
    granted = {(str(record["role"]), str(record["permission"])) for record in shape.records(kept)}
    for role, permission in sorted(granted | published):
        yield (
            "postgres.role_permission",
            {
                "database": database,
                "resource": f"{database}/{role}/{permission}",
                "role": role,
                "permission": permission,
                "granted": (role, permission) in granted,
                "published": (role, permission) in published,
            },
        )
