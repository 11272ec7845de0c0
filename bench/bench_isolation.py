"""Tenant isolation of 500 tables with 4 policies each in 2 contexts: the time it takes, against one minute."""

from __future__ import annotations

import json
import time
from pathlib import Path

from compliancectl import clock
from compliancectl.collectors.base import Context
from compliancectl.collectors.postgres import collector
from compliancectl.collectors.postgres.isolation.summary import examine
from compliancectl.model.evidence import Window
from compliancectl.sandbox.postgres.server import Server, start

TABLES = 500
LIMIT_S = 60.0
TENANTS = {name: f"00000000-0000-4000-8000-00000000000{name}" for name in "ab"}
SCOPE = "tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid"


def load(server: Server) -> None:
    """Make the tables, with a row of each tenant."""
    with server.connect() as connection:
        connection.execute(b"create role app login; create role auditor login; create role owner nologin")
        connection.execute(b"grant app to auditor with inherit false, set true")
        connection.execute(b"create database big owner owner")
    with server.connect("big") as connection:
        connection.execute(b"set role owner; create schema v; grant usage on schema v to app")
        for number in range(TABLES):
            name = f"v.t{number}"
            connection.execute(
                f"create table {name} (id uuid primary key default gen_random_uuid(), tenant_id uuid not null, body text);"
                f"alter table {name} enable row level security;"
                f"create policy r on {name} for select using ({SCOPE}); create policy u on {name} for update using ({SCOPE});"
                f"create policy i on {name} for insert with check ({SCOPE}); create policy d on {name} for delete using ({SCOPE});"
                f"grant select, insert, update, delete on {name} to app;"
                f"insert into {name} (tenant_id) values ('{TENANTS['a']}'), ('{TENANTS['b']}')".encode()
            )


def main() -> None:
    """Measure and print."""
    server = start(16)
    try:
        load(server)
        contexts = {name: {"tenant": key, "settings": {"app.tenant_id": key}} for name, key in TENANTS.items()}
        database = {
            "name": "big",
            "dsn": f"host={server.folder} dbname=big user=auditor",
            "app_roles": ["app"],
            "tenant_keys": ["tenant_id"],
            "contexts": contexts,
        }
        config = collector.config.model_validate({"databases": [database]})
        now = clock.now()
        context = Context(Window(start=now, end=now.replace(year=now.year + 1)), now, "production", Path())
        with collector.open(config, context) as session:
            begin = time.perf_counter()
            found = examine(session, config.databases[0])
            took = time.perf_counter() - begin
    finally:
        server.stop()
    assert len(found.cells) == TABLES * 5 * 5 and not found.gaps and not found.unsettled, "it did not look everywhere"
    detail = f"{TABLES} tables, 4 policies each, 2 tenants and 3 states without one: {took:.1f} s"
    print(json.dumps({"name": "isolation, against 60 s", "ratio": took / LIMIT_S, "limit": 1.0, "detail": detail}))


if __name__ == "__main__":
    main()
