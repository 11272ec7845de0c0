"""A session: runs named queries in one snapshot each feed, and writes the answers down as canonical JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from compliancectl import canonical, clock
from compliancectl.collectors.base import Context, Diagnosis, Reply, Session
from compliancectl.collectors.postgres.connect import Door
from compliancectl.collectors.postgres.queries import Query, query
from compliancectl.errors import Garbage, Missing, SourceFailed
from compliancectl.model.evidence import Principal

if TYPE_CHECKING:
    import psycopg

    from compliancectl.collectors.postgres.config import Database, PostgresConfig

Record = dict[str, str | None]
Redact = "Callable[[Record], tuple[Record, dict[str, int]]]"

_FACTS = ("snapshot", "server_time")


@dataclass
class Answer:
    """One statement's rows, in the server's own text form."""

    query: Query
    parameters: Mapping[str, Any]
    columns: list[str]
    types: list[int]
    rows: list[list[str | None]]
    count: int
    redactions: dict[str, int] = field(default_factory=dict)

    def records(self) -> list[Record]:
        """Rows as dicts by column name."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


class Snapshot:
    """One REPEATABLE READ, READ ONLY transaction: all queries in it see the same instant."""

    def __init__(self, connection: psycopg.Connection[Any], database: Database) -> None:
        self._connection = connection
        self.database = database
        self.facts = self._facts()

    def ask(self, wanted: Query, values: Sequence[Any] = ()) -> Answer:
        """Run a query and its count.

        Raises:
            Garbage: a value is not UTF-8.
            psycopg.Error: what the server refuses; `Door.connect` turns it into a `CollectError`.
        """
        columns, types, rows = self._run(wanted.statement, values)
        whole = wanted.counted_by.startswith("count(*) over")
        _, _, counted = self._run(wanted.count, values if whole else ())
        named = dict(zip(wanted.parameters, values, strict=True))
        return Answer(wanted, named, columns, types, rows, int(counted[0][0] or 0))

    def _run(self, statement: str, values: Sequence[Any]) -> tuple[list[str], list[int], list[list[str | None]]]:
        import psycopg

        with psycopg.RawCursor(self._connection) as cursor:
            cursor.execute(statement.encode(), list(values) or None)
            result = cursor.pgresult
            if result is None or cursor.description is None:
                raise Garbage(f"database {self.database.name}: a query gave no result set")
            cells = [
                [_text(result.get_value(row, column), self.database) for column in range(result.nfields)]
                for row in range(result.ntuples)
            ]
            return [c.name for c in cursor.description], [c.type_code for c in cursor.description], cells

    def _facts(self) -> Record:
        columns, _, rows = self._run(query("server").statement, ())
        facts = dict(zip(columns, rows[0], strict=True))
        if facts["may_read_identifier"] == "t":
            _, _, found = self._run("select system_identifier from pg_control_system()", ())
            facts["system_identifier"] = found[0][0]
        wrong = [name for name, value in _REQUIRED.items() if facts[name] != value]
        if wrong:
            raise SourceFailed(
                f"database {self.database.name}: the session is not as it must be: "
                + ", ".join(f"{name} = {facts[name]}" for name in wrong),
                hint="Something between the collector and the server (a pooler?) drops session settings; connect without it.",
            )
        return facts


_REQUIRED = {
    "row_security": "off",
    "transaction_read_only": "on",
    "transaction_isolation": "repeatable read",
    "search_path": "pg_catalog",
}


class PostgresSession(Session):
    """Connections to every database of the scope, one per feed."""

    def __init__(self, config: PostgresConfig, context: Context) -> None:
        self.config = config
        self.context = context
        self.door = Door(config)

    @contextmanager
    def snapshot(self, database: Database) -> Iterator[Snapshot]:
        """Yield one consistent, read-only view of a database, after checking that what the scope names is there."""
        with self.door.connect(database) as connection:
            snapshot = Snapshot(connection, database)
            _check_declared(snapshot)
            yield snapshot
            connection.rollback()

    def principal(self) -> Principal:
        """The role of the first database; every other database's is in its own replies."""
        database = self.config.databases[0]
        with self.snapshot(database) as snapshot:
            facts = snapshot.facts
        where = database.cloud_sql
        way = (
            "password or certificate, as libpq found it"
            if where is None
            else ("IAM database authentication" if where.iam else "Cloud SQL connector with a password")
        )
        rights = "a superuser" if facts["effective_superuser"] == "t" else "not a superuser"
        return Principal(
            subject=str(facts["session_role"]),
            authentication=way,
            read_only=f"every transaction was READ ONLY (transaction_read_only = on); the role is {rights}",
        )

    def doctor(self) -> Iterator[Diagnosis]:
        """Try each database: connection, role, declarations, grants, aggregate functions."""
        from compliancectl.collectors.postgres.doctor import examine

        for database in self.config.databases:
            yield from examine(self, database)

    def close(self) -> None:
        """Release the Cloud SQL connector; connections close by themselves after each feed."""
        self.door.close()

    def database(self, name: str) -> Database:
        """The declared database called `name`."""
        return next(database for database in self.config.databases if database.name == name)


def reply(snapshot: Snapshot, answer: Answer, requested_at: Any, context: Mapping[str, str]) -> Reply:
    """Write an answer down as canonical JSON: statement, parameters, rows, and what the server said about itself."""
    body = canonical.to_bytes(
        {
            "statement": answer.query.statement,
            "parameters": dict(answer.parameters),
            "columns": answer.columns,
            "type_oids": answer.types,
            "rows": answer.rows,
            "row_count": len(answer.rows),
            "independent_count": answer.count,
            "count_statement": answer.query.count,
            "server": {key: value for key, value in snapshot.facts.items() if key not in _FACTS},
            "snapshot": snapshot.facts["snapshot"],
        }
    )
    return Reply(
        body=body,
        operation=answer.query.statement,
        requested_at=requested_at,
        completed_at=clock.now(),
        status="00000",
        parameters=dict(answer.parameters),
        server_date=snapshot.facts["server_time"],
        redactions=answer.redactions,
        context={"database": snapshot.database.name, "query": answer.query.name, **context},
    )


def _text(value: bytes | None, database: Database) -> str | None:
    try:
        return None if value is None else value.decode("utf-8")
    except UnicodeDecodeError:
        raise Garbage(f"database {database.name}: a value is not UTF-8") from None


def _check_declared(snapshot: Snapshot) -> None:
    database = snapshot.database
    absent = snapshot.ask(query("declared"), (sorted(database.app_roles), list(database.declared_tables))).records()
    missing = [f"{row['kind']} {row['name']}" for row in absent]
    if missing:
        raise Missing(
            f"database {database.name}: the scope names what is not there: {', '.join(missing)}",
            hint="Correct the scope file; write tables as schema.table, quoted as PostgreSQL quotes them.",
        )
