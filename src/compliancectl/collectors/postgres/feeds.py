"""The feeds: for each, the query, its parameters from the scope, what is redacted, and how rows are made of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from compliancectl import canonical, clock
from compliancectl.collectors.base import Feed, Fetched, Reply, Row, Target
from compliancectl.collectors.postgres import (
    access_tables,
    aggregates,
    application_tables,
    isolation_tables,
    matrix,
    personal,
    purge,
    redact,
    schema_map,
    shape,
    tables,
)
from compliancectl.collectors.postgres.isolation import feeds as isolation
from compliancectl.collectors.postgres.queries import query
from compliancectl.collectors.postgres.session import PostgresSession, Snapshot, reply
from compliancectl.errors import Missing
from compliancectl.model.evidence import Completeness, Window
from compliancectl.model.table import Table

if TYPE_CHECKING:
    from compliancectl.collectors.postgres.config import Database
    from compliancectl.collectors.postgres.session import Answer

_SKEW = timedelta(seconds=2)
"""How far our clock and the source's may be apart."""
SETTINGS = (
    "cloudsql.iam_authentication",
    "data_checksums",
    "idle_in_transaction_session_timeout",
    "log_connections",
    "log_disconnections",
    "log_error_verbosity",
    "log_hostname",
    "log_line_prefix",
    "log_min_duration_statement",
    "log_min_error_statement",
    "log_min_messages",
    "log_parameter_max_length",
    "log_parameter_max_length_on_error",
    "log_statement",
    "max_connections",
    "password_encryption",
    "pgaudit.log",
    "pgaudit.log_parameter",
    "row_security",
    "server_version",
    "server_version_num",
    "session_preload_libraries",
    "shared_preload_libraries",
    "ssl",
    "ssl_min_protocol_version",
    "statement_timeout",
)
FAMILIES = ("anon", "cloudsql", "cron", "pgaudit")


def targets(session: PostgresSession) -> Iterator[Target]:
    """Every database of the scope."""
    for database in session.config.databases:
        yield Target(database.name, database.endpoint)


@dataclass(frozen=True)
class Plain:
    """A feed that is one query with one answer."""

    query: str
    values: Callable[[Database], tuple[Any, ...]] = lambda database: ()
    said: Callable[[Database], Mapping[str, Any]] = lambda database: {}
    """The declarations that `shape` needs; kept beside the reply."""
    redactor: redact.Redactor | None = None

    def __call__(self, session: PostgresSession, target: Target) -> Fetched:
        database = session.database(target.name)
        asked = clock.now()
        with session.snapshot(database) as snapshot:
            answer = snapshot.ask(query(self.query), self.values(database))
        clean(answer, self.redactor)
        context = {"declared": text(self.said(database)), "managed": text(managed(snapshot))}
        yield reply(snapshot, answer, asked, context)
        return complete(answer)


def clean(answer: Answer, redactor: redact.Redactor | None) -> None:
    """Redact the rows in place and count what was replaced."""
    if redactor is None:
        return
    records = answer.records()
    found = sum(redactor(record) for record in records)
    answer.rows = [[record[name] for name in answer.columns] for record in records]
    if found:
        answer.redactions[redact.CLASSES.get(redactor, "literal")] = found


def complete(answer: Answer, warnings: tuple[str, ...] = ()) -> Completeness:
    """How it is known that nothing is missing from one answer."""
    return Completeness(
        method=answer.query.counted_by,
        pages=1,
        items=len(answer.rows),
        independent_count=answer.count,
        warnings=warnings,
    )


def managed(snapshot: Snapshot) -> bool:
    """Whether a provider runs the server."""
    return snapshot.database.cloud_sql is not None or snapshot.facts["has_cloud_sql_admin"] == "t"


def text(value: Any) -> str:
    """Declarations as canonical JSON, for a reply's context."""
    return canonical.to_bytes(value).decode()


def fetch_hba(session: PostgresSession, target: Target) -> Fetched:
    """The connection rules; of a managed server only that it is one, because nobody but the provider may read them."""
    database = session.database(target.name)
    asked = clock.now()
    with session.snapshot(database) as snapshot:
        provider = managed(snapshot)
        if provider:
            answer = snapshot.ask(query("hba_managed"), (database.cloud_sql is not None,))
        else:
            answer = snapshot.ask(query("hba_rules"))
    clean(answer, None if provider else redact.hba_options)
    yield reply(snapshot, answer, asked, {"managed": text(provider)})
    return complete(answer)


def fetch_cron(session: PostgresSession, target: Target) -> Fetched:
    """Runs of pg_cron's jobs in the period; without pg_cron, the answer that there is none."""
    database, period = session.database(target.name), session.context.period
    asked = clock.now()
    with session.snapshot(database) as snapshot:
        answer = snapshot.ask(query("cron_present"))
        installed = answer.records()[0]["installed"] == "t"
        if installed:
            bounds = (clock.text(period.start), clock.text(period.end))
            answer = snapshot.ask(purge.cron_runs(database), bounds)
    yield reply(snapshot, answer, asked, {"pg_cron": "installed" if installed else "not installed"})
    if installed:
        return complete(answer)
    return Completeness(method="pg_cron is not installed in this database, so it runs no jobs", pages=1, items=0)


def fetch_purge(session: PostgresSession, target: Target) -> Fetched:
    """Counts of overdue rows, all in one snapshot: through aggregate functions, or in the tables themselves."""
    database = session.database(target.name)
    total = 0
    with session.snapshot(database) as snapshot:
        for table, wanted, values in purge.questions(database):
            asked = clock.now()
            answer = snapshot.ask(wanted, values)
            size = snapshot.ask(query("table_size"), (table,)).records()
            estimate = shape.number(size[0]["estimated_rows"]) if size else None
            total += len(answer.rows)
            said = {"table": table, "estimated_rows": estimate}
            yield reply(snapshot, answer, asked, {"declared": text(said)})
    expected = purge.expected_rows(database)
    return Completeness(
        method="one answer for each count that the scope declares, all in one snapshot",
        pages=1,
        items=total,
        independent_count=expected,
    )


def _period(session: PostgresSession) -> Window | None:
    return session.context.period


def _corroborate(session: PostgresSession, target: Target) -> str | None:
    """A Cloud Logging filter that finds the logins of this collection; None for a server that is not Cloud SQL's."""
    where = session.database(target.name).cloud_sql
    if where is None:
        return None
    project, instance = where.instance.partition(":")[0], where.instance.rpartition(":")[2]
    terms = [
        f'logName="projects/{project}/logs/cloudaudit.googleapis.com%2Fdata_access"',
        f'resource.labels.database_id="{project}:{instance}"',
        'protoPayload.methodName="cloudsql.instances.connect"',
    ]
    if where.iam:
        # The database knows a service account without the end of its address.
        email = f"{where.user}.gserviceaccount.com" if where.user.endswith(".iam") else where.user
        terms.append(f'protoPayload.authenticationInfo.principalEmail="{email}"')
    start, end = session.context.as_of - _SKEW, clock.now() + _SKEW
    return " AND ".join([*terms, f'timestamp>="{clock.text(start)}"', f'timestamp<="{clock.text(end)}"'])


def _feed(
    name: str,
    table: Table,
    fetch: Callable[[PostgresSession, Target], Fetched],
    shaped: Callable[[Reply], Iterator[Row]],
    window: Callable[[PostgresSession], Window | None] = lambda session: None,
) -> Feed[PostgresSession]:
    return Feed(
        name=name,
        description=table.description,
        tables=(table,),
        targets=targets,
        fetch=fetch,
        shape=shaped,
        window=window,
        corroborate=_corroborate,
    )


def relation_values(database: Database) -> tuple[Any, ...]:
    """The parameters of the query `relations`: which columns hold the tenant."""
    named = sorted(database.tenant_key_of.items())
    return list(database.tenant_keys), [table for table, _ in named], [column for _, column in named]


def _side_doors(database: Database) -> tuple[Any, ...]:
    keyed = sorted({*database.tenant_key_of, *((database.tenant_root,) if database.tenant_root else ())})
    return list(database.tenant_keys), sorted(database.app_roles), sorted(database.shared_tables), keyed


def _mapped(database: Database) -> tuple[Any, ...]:
    if not database.schema_map.tables:
        raise Missing(
            f"database {database.name}: the scope has no schema map, so nobody knows what its tables are for",
            hint="Declare schema_map: api_tokens, share_links … each with its table and columns.",
        )
    return schema_map.values(database.schema_map)


def _mapped_tables(database: Database) -> tuple[Any, ...]:
    """Each mapped table, and a pattern that finds its bare name in the body of a function."""
    tables = list(database.schema_map.tables)
    return tables, [rf"\y{re.escape(table.rpartition('.')[2].strip(chr(34)))}\y" for table in tables]


def _definers(database: Database) -> Mapping[str, Any]:
    plain = {
        name: ({"reason": said, "body_sha256": None} if isinstance(said, str) else said.model_dump())
        for name, said in database.trusted_definers.items()
    }
    return {"trusted_definers": plain}


def _table_facts(database: Database) -> Mapping[str, Any]:
    return {
        "tenant_root": database.tenant_root,
        "shared_tables": database.shared_tables,
        "temporary_tables": list(database.temporary_tables),
    }


def _role_facts(database: Database) -> Mapping[str, Any]:
    return {"app_roles": list(database.app_roles), "break_glass_roles": list(database.break_glass_roles)}


FEEDS: tuple[Feed[PostgresSession], ...] = (
    _feed("server", tables.SERVER, Plain("server"), shape.server),
    _feed(
        "relations",
        tables.RELATION,
        Plain("relations", relation_values, _table_facts),
        shape.shaper("postgres.relation", shape.relation),
    ),
    _feed(
        "policies",
        tables.POLICY,
        Plain("policies", redactor=redact.expressions("using_expression", "check_expression")),
        shape.shaper("postgres.policy", shape.policy),
    ),
    _feed("roles", access_tables.ROLE, Plain("roles", said=_role_facts), shape.shaper("postgres.role", shape.role)),
    _feed(
        "public_grants",
        access_tables.PUBLIC_GRANT,
        Plain("public_grants"),
        shape.shaper("postgres.public_grant", shape.public_grant),
    ),
    _feed(
        "bypass_objects",
        access_tables.BYPASS_OBJECT,
        Plain("bypass_objects", _side_doors, _definers),
        shape.shaper("postgres.bypass_object", shape.bypass_object),
    ),
    _feed(
        "settings",
        tables.SETTING,
        Plain("settings", lambda database: (list(SETTINGS), list(FAMILIES))),
        shape.shaper("postgres.setting", shape.setting),
    ),
    _feed(
        "setting_overrides",
        tables.SETTING_OVERRIDE,
        Plain("setting_overrides", redactor=redact.setting_value),
        shape.shaper("postgres.setting_override", shape.setting_override),
    ),
    _feed("hba_rules", tables.HBA_RULE, fetch_hba, shape.shaper("postgres.hba_rule", shape.hba_rule)),
    _feed("extensions", tables.EXTENSION, Plain("extensions"), shape.shaper("postgres.extension", shape.extension)),
    _feed(
        "columns",
        tables.COLUMN,
        Plain(
            "columns",
            said=lambda database: {"identity_table": database.identity_table},
            redactor=redact.expressions("default_expression"),
        ),
        shape.shaper("postgres.column", shape.column),
    ),
    _feed(
        "foreign_keys",
        tables.FOREIGN_KEY,
        Plain("foreign_keys"),
        shape.shaper("postgres.foreign_key", shape.foreign_key),
    ),
    _feed(
        "purge_counts", access_tables.PURGE_COUNT, fetch_purge, shape.shaper("postgres.purge_count", shape.purge_count)
    ),
    _feed("cron_runs", tables.CRON_RUN, fetch_cron, shape.cron_run, _period),
    _feed("role_permissions", access_tables.ROLE_PERMISSION, matrix.fetch, matrix.shaped),
    _feed(
        "schema_map",
        application_tables.SCHEMA_MAP,
        Plain("schema_map", _mapped, redactor=schema_map.redact_checks),
        shape.shaper("postgres.schema_map", schema_map.row),
    ),
    _feed(
        "triggers",
        application_tables.TRIGGER,
        Plain("triggers", _mapped_tables),
        shape.shaper("postgres.trigger", schema_map.trigger),
    ),
    _feed("aggregates", application_tables.AGGREGATE, aggregates.fetch, aggregates.shaped),
    _feed(
        "departed_tenants",
        application_tables.DEPARTED_TENANT_ROW,
        aggregates.fetch_departed,
        aggregates.shaped_departed,
    ),
    _feed("personal_columns", application_tables.PERSONAL_COLUMN, personal.fetch, personal.shaped),
    _feed("isolation_rules", isolation_tables.ISOLATION_RULE, isolation.fetch_rules, isolation.shape_rules),
    _feed("isolation_probes", isolation_tables.ISOLATION_PROBE, isolation.fetch_probes, isolation.shape_probes),
)
