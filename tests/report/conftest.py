"""A run of the Larkspur company, built from the models: small, quick, and with every outcome in it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from compliancectl import canonical, clock
from compliancectl.model.evidence import (
    CollectorUse,
    Completeness,
    EvidenceItem,
    Principal,
    RejectedRow,
    ReplyRecord,
    RunRecord,
    TableRows,
    Window,
)
from compliancectl.model.result import (
    CheckResult,
    ControlResult,
    Counts,
    DisabledControl,
    Finding,
    ItemResult,
    LeftOut,
    ParamUse,
    Results,
    TableUse,
    TestResult,
    WaiverUse,
)
from compliancectl.model.table import Table
from compliancectl.query.rows import write_parquet

FRAMEWORKS = Path(__file__).resolve().parents[2] / "controls" / "frameworks"
AS_OF = clock.parse("2026-11-24T04:10:05Z")
PERIOD = Window(start=clock.parse("2026-08-01T00:00:00Z"), end=clock.parse("2026-11-01T00:00:00Z"))
ORDER = {"fail": 0, "unknown": 1, "waived": 2, "excluded": 3, "pass": 4}
SQL = """select
  instance.resource,
  instance.ipv4_enabled,
  case when instance.instance_type = 'READ_REPLICA_INSTANCE'
       then 'a replica takes its settings from its primary' end as excluded
from gcp.sql_instance as instance
where instance.created < $as_of"""


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def item(resource: str, outcome: str = "pass", *, sentence: str = "", **observed: Any) -> ItemResult:
    """One item; a failing, waived or unknown one has a finding that says `sentence`."""
    said = sentence or f"{resource} is not as expected."
    findings = (
        ()
        if outcome in ("pass", "excluded")
        else (Finding(check="ipv4_off", outcome=outcome, sentence=said, waiver="W-7" if outcome == "waived" else None),)
    )
    reason = "a replica takes its settings from its primary" if outcome == "excluded" else None
    return ItemResult(
        resource=resource,
        outcome=outcome,
        checks={} if outcome == "excluded" else {"ipv4_off": outcome},
        findings=findings,
        reason=reason,
        observed={"resource": resource, **observed},
    )


@dataclass
class TestSpec:
    """A test before its counts are taken."""

    __test__ = False
    id: str
    items: list[ItemResult] = field(default_factory=list)
    outcome: str | None = None
    reason: str | None = None
    ran: bool = True
    evidence: tuple[str, ...] = ("gcp/sql_instances/larkspur-prod",)
    status: str = "collected"
    problem: str | None = None
    sql: str = SQL


@dataclass
class ControlSpec:
    """A control before its tests are judged."""

    id: str
    title: str
    tests: list[TestSpec]
    topic: str = "database"
    severity: str = "high"
    satisfies: dict[str, tuple[str, ...]] = field(default_factory=lambda: {"soc2": ("CC6.1",), "gdpr": ("32(1)(b)",)})
    params: tuple[ParamUse, ...] = ()
    owner: str = "platform"
    objective: str = "A database that the internet cannot reach cannot be attacked from it, whatever else goes wrong."
    remediation: str = "Remove the public address and connect through the private network."


@dataclass
class RunSpec:
    """A whole run."""

    controls: list[ControlSpec]
    evidence: list[EvidenceItem]
    organization: str = "Larkspur Learning, Inc."
    system: str = "Larkspur Study Companion"
    status: str = "complete"
    waivers: tuple[WaiverUse, ...] = ()
    frameworks: tuple[str, ...] = ("soc2", "gdpr", "ferpa")
    """A test that does not look at the matrix is quicker with one: its pages are half of a small report."""
    disabled: tuple[DisabledControl, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    sealed: bool = True
    claims: str = ""
    """A register of claims, as YAML."""
    rows: dict[str, tuple[Table, list[dict[str, Any]]]] = field(default_factory=dict)
    """Evidence item id → a table and its rows; columns that a row leaves out are NULL."""


def evidence(
    id: str, *, status: str = "collected", reason: str | None = None, rows: int = 3, **more: Any
) -> EvidenceItem:
    """One evidence item with one reply and one table."""
    source, feed, target = id.split("/")
    when = AS_OF - timedelta(minutes=4)
    principal = Principal(
        subject=f"compliance-reader@{'larkspur-prod.iam' if source == 'gcp' else 'larkspur.example'}",
        authentication="service account key" if source == "gcp" else "GitHub App installation",
        read_only="every permission it holds ends in .get or .list",
    )
    reply = ReplyRecord(
        path="raw-0001.json",
        sha256=digest(id + "raw"),
        bytes=4210 + 37 * rows,
        media_type="application/json",
        operation=f"GET https://{source}.example/{feed}",
        status="200",
        requested_at=when,
        completed_at=when,
    )
    whole = status == "collected"
    complete = (
        Completeness(method="nextPageToken empty after 1 page", pages=1, items=rows, reported_total=rows)
        if whole
        else None
    )
    values: dict[str, Any] = {
        "id": id,
        "collector": source,
        "collector_version": "0.1.0",
        "feed": feed,
        "target": target,
        "system": {"gcp": "Google Cloud", "github": "GitHub", "postgres": "PostgreSQL"}.get(source, source),
        "endpoint": f"https://{source}.example",
        "environment": "production",
        "status": status,
        "reason": reason,
        "cause": None if whole else "permission",
        "hint": None if whole else "Grant `roles/cloudsql.viewer` to the reader.",
        "principal": principal,
        "requested_at": when,
        "completed_at": when + timedelta(seconds=2),
        "completeness": complete,
        "redactions": {"e-mail address": 2} if source == "github" else {},
        "replies": (reply,) if whole else (),
        "tables": (
            TableRows(
                table=f"{source}.{feed.rstrip('s')}", path="t.parquet", sha256=digest(id + "t"), bytes=900, rows=rows
            ),
        )
        if whole
        else (),
    }
    return EvidenceItem(**{**values, **more})


def _worst(test: TestSpec) -> str:
    found = {i.outcome for i in test.items}
    if not test.ran or "unknown" in found:
        return "inconclusive"
    if "fail" in found:
        return "deviations"
    return "no deviations" if found else "inconclusive"


def _test(control: str, spec: TestSpec, folder: Path) -> TestResult:
    tally = {name: sum(i.outcome == name for i in spec.items) for name in ORDER}
    counts = Counts(
        passed=tally["pass"],
        failed=tally["fail"],
        waived=tally["waived"],
        excluded=tally["excluded"],
        unknown=tally["unknown"],
    )
    path = sha = None
    if spec.ran:
        path = f"results/items/{control}.{spec.id}.jsonl"
        lines = canonical.to_lines(
            i.model_dump(mode="json", exclude_none=True) for i in sorted(spec.items, key=lambda i: i.resource)
        )
        (folder / path).write_bytes(lines)
        sha = canonical.sha256(lines)
    other = sorted((i for i in spec.items if i.outcome != "pass"), key=lambda i: (ORDER[i.outcome], i.resource))
    check = CheckResult(
        name="ipv4_off",
        expect="not ipv4_enabled",
        finding="{resource} has a public address.",
        passed=tally["pass"],
        failed=tally["fail"],
        waived=tally["waived"],
        unknown=tally["unknown"],
    )
    use = TableUse(
        table="gcp.sql_instance",
        status=spec.status,
        rows=len(spec.items),
        oldest=AS_OF - timedelta(minutes=4),
        items=spec.evidence,
        problem=spec.problem,
    )
    return TestResult(
        id=spec.id,
        outcome=spec.outcome or _worst(spec),
        reason=spec.reason,
        population_sql=spec.sql,
        tables=(use,),
        counts=counts,
        checks=(check,),
        items_path=path,
        items_sha256=sha,
        deviations=tuple(other[:200]),
    )


def _control(spec: ControlSpec, folder: Path) -> ControlResult:
    tests = tuple(_test(spec.id, test, folder) for test in spec.tests)
    worst = next(
        o
        for o in ("inconclusive", "deviations", "no deviations", "no occurrences")
        if any(t.outcome == o for t in tests)
    )
    return ControlResult(
        id=spec.id,
        title=spec.title,
        objective=spec.objective,
        topic=spec.topic,
        owner=spec.owner,
        severity=spec.severity,
        frequency="daily",
        satisfies=spec.satisfies,
        remediation=spec.remediation,
        params=spec.params,
        file=f"controls/{spec.topic}/{spec.id}.yaml",
        sha256=digest(spec.id),
        outcome=worst,
        tests=tests,
    )


def write(spec: RunSpec, folder: Path) -> Path:
    """Write a run or bundle folder; its seal has the right shape but no signature."""
    (folder / "results" / "items").mkdir(parents=True)
    controls = tuple(_control(c, folder) for c in sorted(spec.controls, key=lambda c: c.id))
    outcomes = [c.outcome for c in controls]
    worst = next((o for o in ("inconclusive", "deviations", "no deviations") if o in outcomes), "no occurrences")
    results = Results(
        run_id="20261124T041005Z",
        organization=spec.organization,
        system=spec.system,
        environment="production",
        as_of=AS_OF,
        period=PERIOD,
        tool_version="0.1.0",
        engine="duckdb 1.4.2",
        outcome=worst,
        controls=controls,
        waivers=spec.waivers,
        disabled=spec.disabled,
        left_out=spec.left_out,
    )
    run = RunRecord(
        id="20261124T041005Z",
        organization=spec.organization,
        system=spec.system,
        environment="production",
        scope_file="compliancectl.yaml",
        scope_sha256=digest("scope"),
        period=PERIOD,
        started_at=AS_OF - timedelta(minutes=5),
        finished_at=AS_OF,
        status=spec.status,
        tool_version="0.1.0",
        python="3.11.9",
        platform="Linux x86_64",
        collectors=tuple(
            CollectorUse(name=n, distribution="compliancectl", version="0.1.0")
            for n in sorted({e.collector for e in spec.evidence})
        ),
        feeds=tuple(sorted({f"{e.collector}.{e.feed}" for e in spec.evidence})),
    )
    (folder / "results" / "results.json").write_bytes(canonical.to_bytes(results.to_json()) + b"\n")
    (folder / "run.json").write_bytes(canonical.to_bytes(run.to_json()) + b"\n")
    for entry in [*spec.evidence, *(_with_rows(id, *made, folder) for id, made in spec.rows.items())]:
        home = folder / "evidence" / entry.id
        home.mkdir(parents=True, exist_ok=True)
        (home / "item.json").write_bytes(canonical.to_bytes(entry.to_json()) + b"\n")
    (folder / "catalog" / "frameworks").mkdir(parents=True)
    for id in spec.frameworks:
        shutil.copy(FRAMEWORKS / f"{id}.yaml", folder / "catalog" / "frameworks")
    if spec.claims:
        (folder / "catalog" / "claims.yaml").write_text(spec.claims)
    if spec.sealed:
        _seal(folder)
    return folder


def _with_rows(id: str, table: Table, rows: list[dict[str, Any]], folder: Path) -> EvidenceItem:
    """An evidence item whose rows lie beside it, as `collect` writes them."""
    home = folder / "evidence" / id
    home.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({c.name: row.get(c.name) for c in table}) for row in rows]
    spool, out = home / "spool", home / "t.parquet"
    spool.write_text("".join(f"{line}\n" for line in lines))
    write_parquet(table, spool, out, home, longest=max(map(len, lines), default=0))
    for left in home.iterdir():
        if left != out:
            left.unlink()
    part = TableRows(
        table=table.name, path="t.parquet", sha256=canonical.sha256_file(out), bytes=out.stat().st_size, rows=len(rows)
    )
    return evidence(id, rows=len(rows), tables=(part,))


def _seal(folder: Path) -> None:
    files = sorted(str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file())
    sums = "".join(f"{canonical.sha256_file(folder / name)}  {name}\n" for name in files)
    (folder / "SHA256SUMS").write_text(sums)
    (folder / "seal").mkdir()
    subject = [{"name": "SHA256SUMS", "digest": {"sha256": digest(sums)}}]
    statement = {"_type": "https://in-toto.io/Statement/v1", "subject": subject}
    (folder / "seal" / "statement.json").write_text(json.dumps(statement))


def instances(count: int, outcome: str = "pass") -> list[ItemResult]:
    """`count` instances of one project."""
    return [
        item(
            f"//cloudsql/projects/larkspur-prod/instances/db-{n:04d}",
            outcome,
            region="europe-west3",
            ipv4_enabled=outcome == "fail",
        )
        for n in range(count)
    ]


def mixed() -> RunSpec:
    """Every outcome of an item, a test and a control; a denied collection; waivers in force and expired."""
    base = "//cloudsql/projects/larkspur-prod/instances"
    controls = [
        ControlSpec(
            "DB-01",
            "No path leads from the internet to a production database",
            [
                TestSpec(
                    "no-public-path",
                    [
                        item(
                            f"{base}/app-db",
                            "fail",
                            sentence="Instance app-db has a public address.",
                            region="europe-west3",
                            ipv4_enabled=True,
                        ),
                        item(
                            f"{base}/reports-db",
                            "waived",
                            sentence="Instance reports-db has a public address.",
                            region="europe-west3",
                        ),
                        item(f"{base}/app-db-replica", "excluded"),
                        item(f"{base}/billing-db", region="europe-west3", ipv4_enabled=False),
                        item(f"{base}/search-db", region="europe-west3", ipv4_enabled=False),
                    ],
                ),
                TestSpec("no-data-api", instances(4)),
            ],
            severity="critical",
            satisfies={"soc2": ("CC6.1", "CC6.6"), "gdpr": ("32(1)(b)",), "ferpa": ("99.31(a)(1)(ii)",)},
            remediation="Run `gcloud sql instances patch`, then `compliancectl collect`.",
        ),
        ControlSpec(
            "BCP-01",
            "Every production database is backed up every day",
            [TestSpec("backups-enabled", instances(6))],
            topic="backup",
            satisfies={"soc2": ("A1.2",), "gdpr": ("32(1)(c)",)},
            params=(ParamUse(name="days", value=45, default=30, overridden=True),),
        ),
        ControlSpec(
            "IAM-05",
            "Nothing is open to everyone",
            [
                TestSpec(
                    "no-public-bindings",
                    ran=False,
                    status="denied",
                    evidence=("gcp/public_bindings/larkspur-logs",),
                    reason="gcp.public_binding was not collected from larkspur-logs: nobody ran `gcloud services enable`",
                    problem="Permission cloudasset.assets.searchAllIamPolicies was denied on larkspur-logs",
                ),
            ],
            topic="access",
            satisfies={"soc2": ("CC6.1", "CC6.3")},
        ),
        ControlSpec(
            "SDL-04",
            "Every change that reaches production was approved by someone else",
            [
                TestSpec(
                    "changes-reviewed",
                    [
                        item(
                            "larkspur-learning/study-companion#311",
                            "fail",
                            sentence="Pull request 311 was merged without an approval by another person.",
                            author="bruno-keller",
                            approvals=0,
                            merged="2026-10-02T09:00:00Z",
                        ),
                        item(
                            "larkspur-learning/study-companion#312",
                            "unknown",
                            sentence="The author of pull request 312 is not known.",
                            author=None,
                            merged="2026-10-03T09:00:00Z",
                        ),
                        *[
                            item(
                                f"larkspur-learning/study-companion#{n}",
                                author="chen-wei",
                                approvals=1,
                                merged=f"2026-09-{n % 30 + 1:02}T09:00:00Z",
                            )
                            for n in range(100, 180)
                        ],
                    ],
                    evidence=("github/pull_requests/larkspur-learning",),
                ),
            ],
            topic="change",
            severity="high",
            satisfies={"soc2": ("CC8.1",)},
        ),
        ControlSpec(
            "SDL-08",
            "Secrets that reach a repository are found and revoked",
            [
                TestSpec(
                    "secret-alerts",
                    [],
                    outcome="no occurrences",
                    reason="No alert was opened in the period, and scanning was on throughout",
                ),
            ],
            topic="change",
            severity="medium",
            satisfies={"soc2": ("CC7.1",), "ferpa": ("99.31(a)(1)(ii)",)},
        ),
    ]
    waiver = {"control": "DB-01", "checks": ("ipv4_off",), "approver": "amara-okafor", "approved": date(2026, 9, 1)}
    return RunSpec(
        controls,
        [
            evidence("gcp/sql_instances/larkspur-prod", rows=5),
            evidence("gcp/public_bindings/larkspur-logs", status="denied", reason="Permission denied on larkspur-logs"),
            evidence("github/pull_requests/larkspur-learning", rows=82),
        ],
        status="partial",
        waivers=(
            WaiverUse(
                id="W-7",
                items=(f"{base}/reports-db",),
                reason="Needed by the reporting vendor until its move to the private network.",
                expires=date(2026, 12, 31),
                expired=False,
                applied=1,
                **waiver,
            ),
            WaiverUse(
                id="W-3",
                items=(f"{base}/app-db",),
                reason="Migration of the spring.",
                expires=date(2026, 10, 1),
                expired=True,
                applied=0,
                **waiver,
            ),
        ),
    )


def quiet() -> RunSpec:
    """Nothing deviates, nothing is missing."""
    spec = mixed()
    controls = [c for c in spec.controls if c.id in ("BCP-01", "SDL-08")]
    return RunSpec(controls, [e for e in spec.evidence if e.status == "collected"])


@dataclass(frozen=True)
class Build:
    """What tests use to make runs; `write(spec)` returns the folder."""

    write: Callable[[RunSpec], Path]
    mixed = staticmethod(mixed)
    quiet = staticmethod(quiet)
    evidence = staticmethod(evidence)
    item = staticmethod(item)
    instances = staticmethod(instances)
    control = ControlSpec
    test = TestSpec
    run = RunSpec
    rejected = RejectedRow


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    made: list[Path] = []

    def write_next(spec: RunSpec) -> Path:
        made.append(tmp_path_factory.mktemp("runs") / f"larkspur-{len(made) + 1}")
        return write(spec, made[-1])

    return Build(write_next)
