"""One PostgreSQL per version and session; a database of its own for each test, copied from the loaded application."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from compliancectl import clock
from compliancectl.collectors.base import Context, Reply
from compliancectl.collectors.postgres import collector
from compliancectl.contract import RowContract
from compliancectl.model.evidence import Completeness, Window
from compliancectl.sandbox import company, postgres
from compliancectl.sandbox.postgres.server import Server
from compliancectl.sandbox.postgres.server import start as start_server

# As in the sandbox, but with a role whose password is asked for and one rule that holds a secret in an option.
RULES = """\
local all postgres trust
local all "compliance-reader@larkspur-prod.iam" trust
local all nobody_known reject
local all all scram-sha-256
host all all 10.0.0.0/8 radius radiusservers=10.0.0.1 radiussecrets=SEEDED-SECRET-radius
"""
PASSWORD = "correct-horse"
CONTRACTS = {table.name: RowContract(table) for table in collector.tables}


@dataclass
class Box:
    """A server with the application loaded, self-managed."""

    server: Server
    folder: Path
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def dsn(self, database: str, user: str = postgres.READER) -> str:
        return f"host={self.server.folder} dbname={database} user={user} passfile={self.folder / 'pgpass'}"


@dataclass
class Db:
    """One test's own database."""

    box: Box
    name: str

    def sql(self, text: str) -> list[tuple[Any, ...]]:
        """Run statements as superuser."""
        with self.box.server.connect(self.name) as connection:
            cursor = connection.execute(text.encode())
            return cursor.fetchall() if cursor.description else []

    def section(self, **changes: Any) -> dict[str, Any]:
        """The scope section that reads this database."""
        said = company.load().sections["postgres"]["declarations"]
        return {"databases": [{**said, "dsn": self.box.dsn(self.name), **changes}]}


@dataclass
class Got:
    """What one feed gave."""

    rows: list[dict[str, Any]]
    replies: list[Reply]
    completeness: Completeness

    def by(self, column: str) -> dict[Any, dict[str, Any]]:
        return {row[column]: row for row in self.rows}


def context(folder: Path) -> Context:
    now = clock.now()
    return Context(Window(start=now - timedelta(days=90), end=now), now, "production", folder)


def collect(section: dict[str, Any], feed: str, folder: Path = Path()) -> Got:
    """Fetch and shape one feed; every row must keep its table's contract, and no seeded mark may be in a reply."""
    wanted = next(f for f in collector.feeds if f.name == feed)
    with collector.open(collector.config.model_validate(section), context(folder)) as session:
        (target,) = wanted.targets(session)
        stream = wanted.fetch(session, target)
        replies = []
        while True:
            try:
                replies.append(next(stream))
            except StopIteration as stop:
                completeness = stop.value
                break
    rows = []
    for reply in replies:
        assert b"SEEDED-SECRET" not in reply.body
        assert b"seeded-person" not in reply.body
        for table, row in wanted.shape(reply):
            CONTRACTS[table].encode(row)
            rows.append(dict(row))
    return Got(rows, replies, completeness)


def _box(version: Any, folder: Path) -> Iterator[Box]:
    server = start_server(version, RULES)
    try:
        postgres.load(server, "app", self_managed=True, password=PASSWORD)
        passwords = folder / "pgpass"
        passwords.write_text(f"*:*:*:{postgres.READER}:{PASSWORD}\n")
        passwords.chmod(0o600)
        yield Box(server, folder)
    finally:
        server.stop()


@pytest.fixture(scope="session")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    yield from _box(16, tmp_path_factory.mktemp("pg16"))


@pytest.fixture(scope="session")
def box18(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    yield from _box(18, tmp_path_factory.mktemp("pg18"))


@pytest.fixture
def fresh() -> Callable[[Box], Db]:
    """Make a database of its own out of the loaded one."""

    def make(where: Box) -> Db:
        name = f"t{next(where.numbers)}"
        with where.server.connect() as connection:
            connection.execute(f"create database {name} template app strategy file_copy".encode())
            connection.execute(f"grant connect on database {name} to {postgres.READER}".encode())
            connection.execute(f"revoke all on database {name} from public".encode())
        return Db(where, name)

    return make


@pytest.fixture
def whole() -> Callable[[Box], Db]:
    """The loaded database itself, for tests that only read."""
    return lambda where: Db(where, "app")


@pytest.fixture
def db(box: Box, fresh: Callable[[Box], Db]) -> Db:
    return fresh(box)


@pytest.fixture(name="collect")
def _collect() -> Callable[..., Got]:
    return collect


@pytest.fixture(name="context")
def _context() -> Callable[[Path], Context]:
    return context


EVERYTHING = """
select (select json_agg(to_jsonb(c) - 'relpages' - 'reltuples' - 'relallvisible' order by c.oid) from pg_class c)::text,
       (select json_agg(p order by p.oid) from pg_policy p)::text, (select json_agg(p order by p.oid) from pg_proc p)::text,
       (select json_agg(r order by r.rolname) from pg_roles r)::text, (select json_agg(s) from pg_db_role_setting s)::text,
       (select json_agg(json_build_array(sequencename, last_value)) from pg_sequences)::text,
       (select count(*) from pg_largeobject_metadata), (select json_agg(t order by t.oid) from pg_trigger t)::text
"""


def _everything(db: Any, *, traces: bool = True) -> list[Any]:
    """The whole database: the catalogue, and every row of every table with the transaction that wrote it.

    With `traces` also the transaction that last tried to change the row, though it was rolled back.
    """
    tables = db.sql(
        "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname !~ '^pg_|^information'"
    )
    xmax = "t.xmax::text" if traces else "''"
    rows = [
        db.sql(f"select md5(string_agg(t.xmin::text || {xmax} || t::text, ',' order by t.ctid)) from {name} t")
        for (name,) in sorted(tables)
    ]
    return [db.sql(EVERYTHING), rows]


@pytest.fixture
def everything() -> Callable[[Any], list[Any]]:
    return _everything
