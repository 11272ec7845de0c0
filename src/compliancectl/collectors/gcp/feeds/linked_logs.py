"""Audit log entries where they are: a BigQuery dataset that Log Analytics links, asked instead of Cloud Logging.

The evidence is the query, its job, what it read and what it answered. A dry run says first how much would be read, and
more than the scope allows is not read at all. Log Analytics keeps entries that arrived twice; they are asked for once.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compliancectl import clock
from compliancectl.collectors.base import Fetched, Reply, Target
from compliancectl.collectors.gcp.listing import Tally, check_token, keep
from compliancectl.collectors.gcp.redact import Drop, people_outside
from compliancectl.collectors.gcp.session import GcpSession, Request
from compliancectl.collectors.gcp.verdict import FAULT, Asked, body
from compliancectl.errors import Garbage, SourceFailed, Truncated, Unreachable
from compliancectl.model.evidence import Completeness, Window

if TYPE_CHECKING:
    from compliancectl.collectors.gcp.config import LinkedLogs

PERMISSIONS = ("bigquery.datasets.get", "bigquery.jobs.create", "bigquery.tables.getData")
ROLES = ("roles/bigquery.jobUser", "roles/bigquery.dataViewer")
_PAGE = 1000
_POLL_S = 10
_PRICE = 6.25
"""US dollars for a TiB that a query reads on demand: Google's list price in the US, without the free part of a month."""
_ACTIVITY = "cloudaudit.googleapis.com/activity"
_ROW = {
    "log_name": "log_name",
    "moment": "FORMAT_TIMESTAMP('%Y-%m-%dT%H:%M:%E*SZ', timestamp)",
    "insert_id": "insert_id",
    "severity": "severity",
    "service": "proto_payload.audit_log.service_name",
    "method": "proto_payload.audit_log.method_name",
    "principal": "proto_payload.audit_log.authentication_info.principal_email",
    "target": "proto_payload.audit_log.resource_name",
    "code": "proto_payload.audit_log.status.code",
    "operation": "operation.id",
    "operation_last": "operation.last",
}


@dataclass(frozen=True)
class _Place:
    """The dataset, and where its jobs run."""

    project: str
    dataset: str
    location: str

    @property
    def where(self) -> str:
        return f"projects/{self.project}"

    @property
    def jobs(self) -> str:
        return f"bigquery/v2/projects/{self.project}/jobs"


def target(session: GcpSession, logs: LinkedLogs) -> Target:
    """The project that holds the dataset."""
    return Target(logs.project, session.endpoint("bigquery"))


def entries_sql(logs: LinkedLogs, window: Window, projects: Sequence[str], methods: Sequence[str]) -> str:
    """What is asked: certain methods of certain projects in an explicit window, each entry once."""
    columns = ",\n  ".join(f"{expression} AS {name}" for name, expression in _ROW.items())
    return (
        f"SELECT DISTINCT\n  {columns}\n{_source(logs, window, projects)}\n"
        f"  AND proto_payload.audit_log.method_name IN ({_texts(methods)})\nORDER BY moment, log_name, insert_id"
    )


def arrival_sql(logs: LinkedLogs, window: Window, projects: Sequence[str]) -> str:
    """Whether the log of each project arrives there at all: a project without any entry was not seen, not quiet."""
    return (
        "SELECT log_name, COUNT(*) AS entries, FORMAT_TIMESTAMP('%Y-%m-%dT%H:%M:%E*SZ', MIN(timestamp)) AS oldest\n"
        f"{_source(logs, window, projects)}\nGROUP BY log_name\nORDER BY log_name"
    )


def _source(logs: LinkedLogs, window: Window, projects: Sequence[str]) -> str:
    return (
        f"FROM `{logs.dataset}.{logs.view}`\n"
        f"WHERE timestamp >= TIMESTAMP '{clock.text(window.start)}' AND timestamp < TIMESTAMP '{clock.text(window.end)}'\n"
        f"  AND log_id = '{_ACTIVITY}'\n  AND log_name IN ({_texts(_log(project) for project in projects)})"
    )


def _log(project: str) -> str:
    return f"projects/{project}/logs/{_ACTIVITY.replace('/', '%2F')}"


def _texts(values: Any) -> str:
    return ", ".join(json.dumps(value) for value in values)


def fetch(session: GcpSession, window: Window, methods: Sequence[str]) -> Fetched:
    """Ask the dataset: what it is, what the queries would read, whether every project's log is there, then the entries.

    Raises:
        Truncated: more would be read than the scope allows, or a project's log is not there; nothing is concluded then.
        CollectError: why the dataset could not be asked.
    """
    logs = session.config.logs
    assert logs is not None
    projects = _projects(session)
    tally = Tally()
    reply, place = _dataset(session, logs)
    yield reply
    queries = (arrival_sql(logs, window, projects), entries_sql(logs, window, projects, methods))
    expected = 0
    for sql in queries:
        reply, size = _dry_run(session, place, sql)
        yield reply
        expected += size
    session.context.progress(f"{_size(expected)} to read, about ${expected / 2**40 * _PRICE:.2f} on demand")
    if expected > logs.max_bytes:
        raise Truncated(
            f"the queries would read {_size(expected)} of {logs.dataset}, and the scope allows {_size(logs.max_bytes)}",
            hint="Raise `logs.max_bytes` in the scope file, or look less far back (`log_days`). Nothing was read.",
        )
    arrived = yield from _answer(session, place, queries[0], "arrival", logs.max_bytes, tally)
    missing = sorted(set(projects) - {_project_of(row["log_name"]) for row in arrived})
    if missing:
        raise Truncated(
            f"{logs.dataset} holds no audit log entry of {', '.join(missing)} since {clock.text(window.start)}",
            hint="Route the log of each project there with a sink, or leave `logs` out of the scope.",
        )
    found = yield from _answer(session, place, queries[1], "entries", logs.max_bytes, tally)
    oldest = min((row["oldest"] for row in arrived), default=None)
    return Completeness(
        method=f"each query's own count of its rows equals the rows that came, over {tally.pages} pages; "
        f"{logs.dataset} holds entries of each of {len(projects)} projects, the oldest of {oldest}",
        pages=tally.pages,
        items=len(found),
        reported_total=len(found),
        exhausted=True,
        filters=(queries[1],),
    )


def _projects(session: GcpSession) -> list[str]:
    chosen = list(session.config.projects)
    for root in session.config.roots:
        chosen += session.inventory(root).chosen
    return sorted(set(chosen))


def _project_of(log_name: str) -> str:
    return log_name.split("/")[1]


def _size(count: int) -> str:
    for unit, size in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def _dataset(session: GcpSession, logs: LinkedLogs) -> tuple[Reply, _Place]:
    asked = Asked("bigquery", "bigquery.datasets.get", f"projects/{logs.project}")
    path = f"bigquery/v2/projects/{logs.project}/datasets/{logs.name}"
    answer = session.ask(Request(asked, path))
    data = body(answer.response)
    drops = (Drop("access", "not needed"), Drop("labels", "label", session.labels), Drop("description", "free text"))
    return keep(answer, data, drops, {"part": "dataset"}), _Place(logs.project, logs.name, str(data["location"]))


def _job(place: _Place, sql: str, **configuration: Any) -> dict[str, Any]:
    return {
        "configuration": {
            "query": {"query": sql, "useLegacySql": False, "useQueryCache": False, **configuration.pop("query", {})},
            "labels": {"made-by": "compliancectl"},
            **configuration,
        },
        "jobReference": {"projectId": place.project, "location": place.location},
    }


def _dry_run(session: GcpSession, place: _Place, sql: str) -> tuple[Reply, int]:
    asked = Asked("bigquery", "bigquery.jobs.create", place.where)
    answer = session.ask(Request(asked, place.jobs, json=_job(place, sql, dryRun=True)))
    data = body(answer.response)
    return keep(answer, data, (), {"part": "dry run"}), int(data["statistics"]["totalBytesProcessed"])


def _answer(
    session: GcpSession, place: _Place, sql: str, part: str, max_bytes: int, tally: Tally
) -> Generator[Reply, None, list[dict[str, Any]]]:
    """Run a query to its end; yields the job before and after it, and every page; returns the rows by column."""
    sent = _job(place, sql, query={"maximumBytesBilled": str(max_bytes)})
    number = sent["jobReference"]["jobId"] = f"compliancectl_{secrets.token_hex(16)}"
    asked = Asked("bigquery", "bigquery.jobs.create", place.where)
    answer = session.ask(Request(asked, place.jobs, json=sent))
    yield keep(answer, body(answer.response), (_SENDER,), {"part": f"{part}: job begins"})
    rows: list[dict[str, Any]] = []
    total = yield from _pages(session, place, number, part, rows, tally)
    asked = Asked("bigquery", "bigquery.jobs.create", place.where)
    answer = session.ask(Request(asked, f"{place.jobs}/{number}", [("location", place.location)]))
    job = body(answer.response)
    yield keep(answer, job, (_SENDER,), {"part": f"{part}: job ended"})
    if job["status"].get("state") != "DONE" or "errorResult" in job["status"]:
        raise SourceFailed(f"the job {number} did not end well: {_error(job)}", hint="Repeat it.")
    if len(rows) != total:
        raise Truncated(f"the job {number} has {total} rows, but {len(rows)} came", hint=FAULT)
    return rows


_SENDER = Drop(
    "user_email", "personal", lambda value: value if str(value).endswith(".gserviceaccount.com") else "(redacted)"
)


def _error(job: Mapping[str, Any]) -> str:
    return str(job["status"].get("errorResult", {}).get("message", job["status"].get("state")))


def _pages(
    session: GcpSession, place: _Place, number: str, part: str, rows: list[dict[str, Any]], tally: Tally
) -> Generator[Reply, None, int]:
    asked = Asked("bigquery", "bigquery.tables.getData", place.where)
    path = f"bigquery/v2/projects/{place.project}/queries/{number}"
    seen: set[str] = set()
    token, waited = "", 0.0
    while True:
        params = [("location", place.location), ("maxResults", str(_PAGE)), ("timeoutMs", str(_POLL_S * 1000))]
        answer = session.ask(Request(asked, path, [*params, *([("pageToken", token)] if token else [])]))
        data = body(answer.response)
        if not data.get("jobComplete"):
            waited += _POLL_S
            if waited >= session.context.deadline_s:
                raise Unreachable(f"the job {number} did not end in time", hint="Repeat it, or raise --deadline.")
            continue
        tally.pages += 1
        reply = keep(answer, data, _drops(session, data), {"part": part})
        rows.extend(records(data))
        session.context.progress(f"page {tally.pages}, {len(rows)} rows")
        yield reply
        token = str(data.get("pageToken") or "")
        if not token:
            return int(data["totalRows"])
        check_token(token, seen, session.config.page_limit, asked.api.title)


def _drops(session: GcpSession, data: Mapping[str, Any]) -> tuple[Drop, ...]:
    """Addresses of people outside leave the cell that holds who called."""
    names = [field["name"] for field in data["schema"]["fields"]]
    if "principal" not in names:
        return ()
    place, outside = names.index("principal"), people_outside(session.config.staff_domains, session.context.people)

    def replace(cells: Any) -> Any:
        return [{"v": outside(cell["v"])} if n == place else cell for n, cell in enumerate(cells)]

    return (Drop("rows[].f", "personal", replace),)


def records(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a page of an answer, by column; every value is text or NULL, as BigQuery writes them."""
    names = [field["name"] for field in data["schema"]["fields"]]
    found = []
    for entry in data.get("rows", []):
        if len(entry["f"]) != len(names):
            raise Garbage("BigQuery API gave a row with another number of columns than its schema", hint=FAULT)
        found.append({name: cell["v"] for name, cell in zip(names, entry["f"], strict=True)})
    return found


def as_entry(record: Mapping[str, Any]) -> dict[str, Any]:
    """A row as Cloud Logging writes the same entry."""
    payload = {
        "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
        "serviceName": record["service"],
        "methodName": record["method"],
        "resourceName": record["target"],
        "authenticationInfo": {"principalEmail": record["principal"]},
        "status": {"code": int(record["code"] or 0)},
    }
    operation = {"id": record["operation"], "last": record["operation_last"] == "true"}
    return {
        "logName": record["log_name"],
        "timestamp": record["moment"],
        "insertId": record["insert_id"],
        "severity": record["severity"] or "DEFAULT",
        "protoPayload": payload,
        **({"operation": operation} if record["operation"] is not None else {}),
    }
