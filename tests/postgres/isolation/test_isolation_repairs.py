"""The SQL that is proposed for each gap and weakness of every faulty variant runs, and closes it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import isolation_suite as suite
import psycopg
import pytest

from compliancectl import clock
from compliancectl.collectors.base import Context
from compliancectl.collectors.postgres import collector
from compliancectl.collectors.postgres.isolation.summary import Gap, examine
from compliancectl.model.evidence import Window
from compliancectl.sandbox.postgres.server import Server, start

ROUNDS = 3
"""A policy that is mended may leave a function behind that nobody needs any more: then there is one gap more to close."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    running = start(16)
    try:
        with running.connect() as connection:
            connection.execute(suite.ROLES.encode())
            connection.execute(
                b"grant app, authenticated, anon, tenant_a, tenant_b to auditor with inherit false, set true;"
                b"grant inherited_owner to app; grant settable_owner, settable_reader to app with inherit false"
            )
        yield running
    finally:
        running.stop()


def found(section: dict[str, Any]) -> list[Gap]:
    now = clock.now()
    context = Context(Window(start=now, end=now.replace(year=now.year + 1)), now, "production", Path())
    with collector.open(collector.config.model_validate(section), context) as session:
        summary = examine(session, session.config.databases[0])
    assert not summary.errors
    return [*summary.gaps, *summary.weaknesses]


def closes_itself(gap: Gap) -> bool:
    """Whether there is SQL for it; the rest is for people: to declare, to choose, to think."""
    return bool(gap.repair) and not str(gap.repair).startswith("--")


@pytest.mark.parametrize("family", sorted(suite.DECLARED))
def test_what_it_proposes_closes_every_gap(family: str, server: Server) -> None:
    variants = [v for v in suite.load(family) if v.finds and v.since <= 16]
    name = f"repairs{family}"
    with server.connect() as connection:
        connection.execute(f"create database {name}".encode())
    with server.connect(name) as connection:
        suite.build(connection, variants, family)
    dsn = f"host={server.folder} dbname={name} user=auditor"
    section = {"databases": [{"name": name, "dsn": dsn, **suite.declared(variants, family)}]}
    gaps = found(section)
    assert len([gap for gap in gaps if closes_itself(gap)]) >= len(gaps) * 0.9
    for _ in range(ROUNDS):
        with server.connect(name) as connection:
            for sql in dict.fromkeys(str(gap.repair) for gap in gaps if closes_itself(gap)):
                apply(connection, sql)
        gaps = found(section)
    assert [(gap.object, gap.rule, gap.repair) for gap in gaps if closes_itself(gap)] == []


def apply(connection: psycopg.Connection[Any], sql: str) -> None:
    """Run it; that an earlier repair has removed its object is fine."""
    try:
        connection.execute(sql.encode())
    except psycopg.errors.UndefinedObject as error:
        assert re.search(r"does not exist|is not part of", str(error)), sql
