"""The feeds of isolation: the catalogue with its rules, and the probes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from compliancectl import canonical, clock
from compliancectl.collectors.base import Fetched, Reply, Row, Target
from compliancectl.collectors.postgres import redact
from compliancectl.collectors.postgres.isolation import catalogue, judge, rules, variants
from compliancectl.collectors.postgres.isolation.model import Facts
from compliancectl.collectors.postgres.isolation.probe import Probe
from compliancectl.collectors.postgres.isolation.writes import WriteProbe
from compliancectl.collectors.postgres.session import PostgresSession, Snapshot
from compliancectl.errors import Missing
from compliancectl.model.evidence import Completeness

if TYPE_CHECKING:
    from compliancectl.collectors.postgres.config import Database
    from compliancectl.collectors.postgres.session import Answer

_EXPRESSIONS = redact.expressions("using_expression", "check_expression")


def fetch_rules(session: PostgresSession, target: Target) -> Fetched:
    """The catalogue, in one snapshot."""
    database = session.database(target.name)
    asked = clock.now()
    with session.snapshot(database) as snapshot:
        database = catalogue.widened(snapshot)
        answers = catalogue.read(snapshot, database)
    yield _reply(snapshot, database, answers, asked, {})
    return _complete(answers)


def fetch_probes(session: PostgresSession, target: Target) -> Fetched:
    """The catalogue, and what sessions of each application role and context could reach."""
    database = session.database(target.name)
    if not database.contexts:
        raise Missing(
            f"database {database.name}: no contexts are declared, so no session can be made a tenant's",
            hint="Declare two tenants under contexts in the scope file; `compliancectl postgres suggest` proposes how.",
        )
    asked = clock.now()
    with session.snapshot(database) as snapshot:
        database = catalogue.widened(snapshot)
        answers = catalogue.read(snapshot, database)
    facts, paths = _facts(database, snapshot, answers)
    found = Probe(session, database, facts, paths, tell=session.context.progress).run()
    # Writes are tried in copies alone, and only when somebody said so; they are rolled back.
    written = []
    if session.context.write_probes and database.clone:
        written = list(WriteProbe(session, database, facts, paths).run())
    extra = {"found": found, "written": written, "names_a_tenant": _naming(facts, database)}
    yield _reply(snapshot, database, answers, asked, extra)
    return Completeness(
        method="every table that an application role reaches, in every declared context and in four states without one"
        + (", and writes that were rolled back" if written else ""),
        pages=1,
        items=len(found) + len(written),
        independent_count=len(found) + len(written),
    )


def understand(session: PostgresSession, database: Database) -> tuple[Facts, dict[str, str], Database]:
    """The facts of a database, each role's search path, and the database with every role that matters."""
    with session.snapshot(database) as snapshot:
        wide = catalogue.widened(snapshot)
        facts, paths = _facts(wide, snapshot, catalogue.read(snapshot, wide))
    return facts, paths, wide


def _facts(database: Database, snapshot: Snapshot, answers: Mapping[str, Answer]) -> tuple[Facts, dict[str, str]]:
    parts = {part: answer.records() for part, answer in answers.items()}
    paths = {str(row["role"]): str(row["search_path"]) for row in parts["paths"]}
    version = int(snapshot.facts["server_version_num"] or 0)
    return catalogue.facts(parts, catalogue.said(database, snapshot.database), version), paths


def _naming(facts: Facts, database: Database) -> list[str]:
    """Policies whose text contains the key of a declared tenant; afterwards the text is redacted."""
    tenants = {context.tenant for context in database.contexts.values()}
    return sorted(
        f"{policy.relation}/{policy.name}"
        for policies in facts.policies.values()
        for policy in policies
        if tenants & set(variants.literals([policy]))
    )


def _reply(
    snapshot: Snapshot, database: Database, answers: Mapping[str, Answer], asked: Any, extra: Mapping[str, Any]
) -> Reply:
    replaced = _redact(answers["policies"], _EXPRESSIONS) + _redact(answers["functions"], _forget_constants)
    said = catalogue.said(database, snapshot.database)
    for context in said["contexts"].values():
        context["settings"] = {n: v if v == context["tenant"] else redact.GONE for n, v in context["settings"].items()}
    body = canonical.to_bytes(
        {
            "catalogue": {part: _part(answer) for part, answer in answers.items()},
            "server": {k: v for k, v in snapshot.facts.items() if k not in ("snapshot", "server_time")},
            "snapshot": snapshot.facts["snapshot"],
            **extra,
        }
    )
    return Reply(
        body=body,
        operation="; ".join(f"isolation_{part}" for part in answers),
        requested_at=asked,
        completed_at=clock.now(),
        status="00000",
        parameters={"app_roles": sorted(database.app_roles)},
        server_date=snapshot.facts["server_time"],
        redactions={"literal": replaced} if replaced else {},
        context={"database": database.name, "declared": canonical.to_bytes(said).decode()},
    )


def _redact(answer: Answer, redactor: redact.Redactor) -> int:
    records = answer.records()
    replaced = sum(redactor(record) for record in records)
    answer.rows = [[record[name] for name in answer.columns] for record in records]
    return replaced


def _forget_constants(record: redact.Record) -> int:
    """Strings of functions serve the probes alone: what they hold is nobody's business."""
    count = len(json.loads(record["constants"] or "[]"))
    record["constants"] = "[]"
    return count


def _part(answer: Answer) -> dict[str, Any]:
    return {
        "statement": answer.query.statement,
        "columns": answer.columns,
        "rows": answer.rows,
        "independent_count": answer.count,
    }


def _complete(answers: Mapping[str, Answer]) -> Completeness:
    return Completeness(
        method="each part of the catalogue counted again in the same snapshot",
        pages=1,
        items=sum(len(answer.rows) for answer in answers.values()),
        independent_count=sum(answer.count for answer in answers.values()),
    )


def facts_of(reply: Reply) -> tuple[Facts, Any]:
    """The facts that a kept reply tells, and the whole document."""
    document = json.loads(reply.body)
    parts = {
        part: [dict(zip(answer["columns"], row, strict=True)) for row in answer["rows"]]
        for part, answer in document["catalogue"].items()
    }
    declared = {**json.loads(reply.context["declared"]), "names_a_tenant": document.get("names_a_tenant", [])}
    return catalogue.facts(parts, declared, int(document["server"]["server_version_num"])), document


def shape_rules(reply: Reply) -> Iterator[Row]:
    """Rows of `postgres.isolation_rule`."""
    facts, _ = facts_of(reply)
    seen: set[str] = set()
    for finding in rules.findings(facts):
        resource = f"{facts.database}/{finding.rule}:{finding.object}"
        if resource in seen:
            continue
        seen.add(resource)
        row: dict[str, Any] = {
            "database": facts.database,
            "resource": resource,
            "rule": finding.rule,
            "kind": finding.kind,
            "object": finding.object,
            "broken": finding.broken,
        }
        if finding.broken is not False:
            row.update(sentence=finding.sentence, policy=finding.policy or None, repair=finding.repair or None)
        yield "postgres.isolation_rule", row


def shape_probes(reply: Reply) -> Iterator[Row]:
    """Rows of `postgres.isolation_probe`."""
    facts, document = facts_of(reply)
    seen: set[str] = set()
    for cell in judge.cells(facts, document["found"]):
        name = f"{cell.level}:{cell.role}/{cell.state}/{cell.relation}/{cell.operation}"
        if name in seen:
            continue
        seen.add(name)
        yield (
            "postgres.isolation_probe",
            {
                "database": facts.database,
                "resource": f"{facts.database}/{name}",
                "level": cell.level,
                "relation": cell.relation,
                "operation": cell.operation,
                "role": cell.role,
                "context": cell.state,
                "context_kind": cell.kind,
                "statement": cell.statement,
                "expected": cell.expected,
                "observed": cell.observed,
                "sqlstate": cell.sqlstate,
                "own_rows": cell.own,
                "foreign_rows": cell.foreign,
                "denominator": cell.denominator,
                "verdict": cell.verdict,
                "rule": cell.rule,
                "sentence": cell.sentence,
                "policies": list(cell.policies),
                "repair": cell.repair,
                "references_accepted": list(cell.notes),
            },
        )
    for row in document.get("written", ()):
        yield "postgres.isolation_probe", row
