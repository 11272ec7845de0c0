"""The inventory of personal data beside the catalogue, and what samples of values show.

Values are looked at only where the scope says `sampling`. Then the collector takes the application's role in each
declared context, as the probes of isolation do, reads a few rows of each table in a READ ONLY transaction, and keeps
how many values had which class.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from compliancectl import canonical, clock
from compliancectl.collectors.base import Fetched, Reply, Row, Target
from compliancectl.collectors.postgres import shape
from compliancectl.collectors.postgres.content import MAX_LENGTH, Detector, Tally, detectors, look
from compliancectl.collectors.postgres.isolation import feeds as isolation
from compliancectl.collectors.postgres.isolation.probe import State, become
from compliancectl.collectors.postgres.purge import quoted
from compliancectl.collectors.postgres.queries import query
from compliancectl.collectors.postgres.session import PostgresSession, reply
from compliancectl.errors import Missing
from compliancectl.model.evidence import Completeness

if TYPE_CHECKING:
    import psycopg

    from compliancectl.collectors.postgres.application import Sampling
    from compliancectl.collectors.postgres.config import Database
    from compliancectl.collectors.postgres.isolation.model import Facts
from compliancectl.collectors.postgres.isolation.objects import Relation

_TEXTUAL = ("text", "character varying", "character", "citext", "json", "jsonb", "xml", "name", "inet", "cidr")


def fetch(session: PostgresSession, target: Target) -> Fetched:
    """The declared columns as the catalogue has them, and what samples show where the scope allows them.

    Raises:
        Missing: if the scope declares no inventory.
    """
    database = session.database(target.name)
    if not database.personal_data:
        raise Missing(
            f"database {database.name}: the scope declares no inventory of personal data",
            hint="Declare personal_data: `schema.table.column` with kind, purpose and retention.",
        )
    sampled = _sample(session, database, database.sampling) if database.sampling else {}
    names = sorted({*database.personal_data, *sampled})
    asked = clock.now()
    with session.snapshot(database) as snapshot:
        answer = snapshot.ask(query("personal_columns"), (names,))
    inventory = {name: entry.model_dump() for name, entry in sorted(database.personal_data.items())}
    said = {"inventory": inventory, "samples": {name: _told(tally) for name, tally in sorted(sampled.items())}}
    yield reply(snapshot, answer, asked, {"declared": canonical.to_bytes(said).decode()})
    return Completeness(
        method="one answer for each column that is declared or was sampled", pages=1, items=len(answer.rows),
        independent_count=len(names),
    )  # fmt: skip


def _told(tally: Tally) -> Mapping[str, Any]:
    return {"sampled": tally.sampled, "found": [[name, count] for name, count in tally.found().items()]}


def _sample(session: PostgresSession, database: Database, how: Sampling) -> dict[str, Tally]:
    """`schema.table.column` → what the values hold that sessions of the declared contexts see."""
    if not database.contexts:
        raise Missing(
            f"database {database.name}: no contexts are declared, so no session sees rows to sample",
            hint="Declare contexts as for the probes of isolation, or take sampling out of the scope.",
        )
    known = detectors(how.countries)
    facts, paths, _ = isolation.understand(session, database)
    found: dict[str, Tally] = {}
    with session.door.connect(database) as connection:
        for name, context in database.contexts.items():
            for role in (context.role,) if context.role else database.app_roles:
                session.context.progress(f"{database.name}: values as {role}, {name}")
                try:
                    state = State(name, "tenant", context.settings, context.tenant)
                    become(connection, database, paths, role, state)
                    for relation in _tables(facts, role):
                        _look_at(connection, relation, role, how.rows, known, found)
                finally:
                    if not connection.closed and not connection.broken:
                        connection.rollback()
    return found


def _tables(facts: Facts, role: str) -> list[Relation]:
    return [
        relation
        for relation in facts.relations.values()
        if relation.is_table and not relation.parents and not relation.in_extension and relation.allows(role, "select")
    ]


def _look_at(
    connection: psycopg.Connection[Any],
    relation: Relation,
    role: str,
    rows: int,
    known: Mapping[str, Detector],
    found: dict[str, Tally],
) -> None:
    """A few rows of one table; what the server refuses or takes too long for stays unsampled."""
    import psycopg

    hidden = set(relation.access[role]["hidden"])
    columns = [c.name for c in relation.columns.values() if c.name not in hidden and c.type.startswith(_TEXTUAL)]
    if not columns:
        return
    wanted = ", ".join(f"pg_catalog.left({quoted(name)}::pg_catalog.text, {MAX_LENGTH})" for name in columns)
    statement = f"select {wanted} from {relation.qualified} limit {rows}"
    try:
        with connection.transaction(), psycopg.RawCursor(connection) as cursor:
            values = cursor.execute(statement.encode()).fetchall()
    except psycopg.Error as error:
        if error.sqlstate is None or connection.broken:
            raise
        return
    for place, name in enumerate(columns):
        tally = found.setdefault(f"{relation.qualified}.{name}", Tally())
        look((row[place] for row in values), known, tally)


def shaped(kept: Reply) -> Iterator[Row]:
    """Rows of `postgres.personal_column`."""
    database, said = kept.context["database"], json.loads(kept.context["declared"])
    for record in shape.records(kept):
        name = str(record["name"])
        entry, sample = said["inventory"].get(name), said["samples"].get(name)
        technique = entry["technique"] if entry else None
        yield (
            "postgres.personal_column",
            {
                "database": database,
                "resource": f"{database}/{name}",
                "column": name,
                "present": shape.flag(record["present"]),
                "type": record["type"],
                "declared": entry is not None,
                "declared_class": entry["kind"] if entry else None,
                "purpose": entry["purpose"] if entry else None,
                "retention": entry["retention"] if entry else None,
                "technique": technique,
                "technique_shown": _shown(technique, record),
                "sampled": sample["sampled"] if sample else None,
                "found": [label for label, _ in sample["found"]] if sample else None,
                "found_counts": [count for _, count in sample["found"]] if sample else None,
            },
        )


def _shown(technique: str | None, record: shape.Record) -> bool | None:
    """Whether the catalogue shows a technique; None when none needs to be shown."""
    if technique == "mask":
        return record["label"] is not None
    if technique in ("hash", "encrypt"):
        return record["type"] == "bytea" or shape.flag(record["shaped"])
    return None
