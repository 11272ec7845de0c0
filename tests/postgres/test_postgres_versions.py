"""Every feed on other versions, on a replica, and with writes allowed; whatever happens, the database stays as it is."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compliancectl.collectors.postgres import collector
from compliancectl.errors import Missing, SourceFailed
from compliancectl.sandbox import company, postgres
from compliancectl.sandbox.postgres.server import Server, start

# 16 and 18 are test_postgres_facts'; these are fetched and named by `make postgres-versions`.
OTHERS = dict(part.split("=") for part in os.environ.get("POSTGRES_BINARIES", "").split())
UNLOGGED = ("purge_counts", "departed_tenants")
"""Feeds whose functions count the unlogged table too."""
READER = "compliance-reader@larkspur-prod.iam"


@pytest.fixture(scope="module", params=sorted(map(int, OTHERS)))
def other(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The application on another version, written as that version wants it."""
    server = start(request.param, binaries=Path(OTHERS[str(request.param)]))
    try:
        text = (company.FOLDER / "application.sql").read_text("utf-8")
        if server.version < 16:
            text = text.replace(" with inherit false, set true", "")
        if server.version < 15:
            text = re.sub(r"with \(security_invoker = true\)", "", text)
        with server.connect() as connection:
            connection.execute("create role app_owner nologin")
            connection.execute("create database app owner app_owner")
        with server.connect("app") as connection:
            connection.execute(text.encode())
            connection.execute("analyze")
        yield server
    finally:
        server.stop()


def test_every_feed_reads_every_version(other, collect):
    section = _section(other, sampling={"rows": 5})
    hba = "hba_rules"  # asks for a grant that this server does not give
    rows = {}
    for feed in collector.feeds:
        if feed.name != hba:
            got = collect(section, feed.name)
            assert got.completeness.complete, feed.name
            rows[feed.name] = got.rows
    (server,) = rows["server"]
    assert server["version_num"] // 10000 == other.version
    assert [r for r in rows["isolation_probes"] if r["verdict"] == "open"] == []
    assert {r["count"] for r in rows["aggregates"] if r["class"] == "argon2id"} == {40}


@pytest.fixture(scope="module")
def replica() -> Iterator[Server]:
    """A standby of a primary that never comes."""
    server = start(16, settings={"wal_level": "replica"})
    try:
        postgres.load(server, "app", self_managed=False, password="unused")
        server.become_replica()
        yield server
    finally:
        server.stop()


def test_a_replica_is_read_like_its_primary_and_says_what_it_is(replica, collect):
    section = _section(replica)
    for feed in collector.feeds:
        if feed.name in UNLOGGED:
            with pytest.raises(SourceFailed, match="no rows of unlogged tables") as raised:
                collect(section, feed.name)
            assert "primary" in str(raised.value.hint)
        else:
            assert collect(section, feed.name).completeness.complete, feed.name
    (row,) = collect(section, "server").rows
    assert row["is_replica"] is True


def test_the_doctor_says_that_it_is_a_replica(replica, context, tmp_path):
    config = collector.config.model_validate(_section(replica))
    with collector.open(config, context(tmp_path)) as session:
        found = list(session.doctor())
    assert "a replica" in found[0].detail
    amiss = [line for line in found if line.outcome != "ok"]
    assert all("unlogged tables" in line.detail for line in amiss) and len(amiss) == 2


def test_no_write_is_tried_on_a_replica_where_it_would_prove_nothing(replica, context, tmp_path):
    with pytest.raises(Missing, match="is a replica"):
        _probes(_section(replica, clone=True), replace(context(tmp_path), write_probes=True))


def test_writes_are_evidence_where_a_clone_allows_them_and_leave_nothing(db, context, tmp_path, everything):
    db.sql("create policy open_door on public.messages for delete using (true); analyze")
    before = everything(db, traces=False)
    rows = _probes(db.section(clone=True), replace(context(tmp_path), write_probes=True))
    assert everything(db, traces=False) == before
    written = [row for row in rows if row["level"] == "write"]
    gone = [row for row in written if row["verdict"] == "open"]
    assert {(row["relation"], row["operation"]) for row in gone} == {("public.messages", "DELETE")}
    assert all(row["statement"] and row["expected"] and row["observed"] for row in written)
    assert all(row["denominator"] for row in gone)


@pytest.mark.parametrize(("clone", "allowed"), [(False, True), (True, False)])
def test_no_write_is_tried_without_a_clone_or_without_permission(clone, allowed, db, context, tmp_path):
    rows = _probes(db.section(clone=clone), replace(context(tmp_path), write_probes=allowed))
    assert {row["level"] for row in rows} == {"predicate", "rows"}


def _section(server: Server, **more: Any) -> dict[str, Any]:
    said = company.load().sections["postgres"]["declarations"]
    return {"databases": [{**said, "dsn": f"host={server.folder} dbname=app user='{READER}'", **more}]}


def _probes(section: dict[str, Any], context: Any) -> list[dict[str, Any]]:
    feed = next(f for f in collector.feeds if f.name == "isolation_probes")
    with collector.open(collector.config.model_validate(section), context) as session:
        (target,) = feed.targets(session)
        stream = feed.fetch(session, target)
        reply = next(stream)
        return [dict(row) for _, row in feed.shape(reply)]
