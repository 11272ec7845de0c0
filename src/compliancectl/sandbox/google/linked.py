"""BigQuery as far as Log Analytics needs it: a linked dataset with the audit log entries of some projects.

It is no SQL engine: of a query it looks at the window, the names of logs, the methods and the columns, and refuses any other.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from compliancectl.sandbox.google import errors
from compliancectl.sandbox.google.server import Call
from compliancectl.sandbox.google.state import State

_FROM = re.compile(r"FROM `([^`]+)\.(\w+)\.(\w+)`")
_BOUND = re.compile(r"timestamp (>=|<) TIMESTAMP '([^']+)'")
_LISTS = re.compile(r"(log_name|method_name) IN \(([^)]*)\)")
_BYTES_PER_ENTRY = 2048
_AT = "1785542400000"


class LinkedDatasets:
    """Answers of the BigQuery API."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.jobs: dict[str, dict[str, Any]] = {}
        self.page = 1000
        self.lost_rows = 0
        """How many rows of each answer do not come."""
        self.error: dict[str, str] | None = None
        """What each job ends with, as `reason` and `message`."""
        self.unfinished = False
        """Whether no job ever ends."""
        self.answers: dict[str, Callable[[Call], Any]] = {
            "bigquery.datasets.get": self.dataset,
            "bigquery.jobs.insert": self.insert,
            "bigquery.jobs.get": self.job,
            "bigquery.jobs.getQueryResults": self.results,
        }

    def dataset(self, call: Call) -> dict[str, Any]:
        """datasets.get."""
        project, name = call.path["projectId"], call.path["datasetId"]
        it = self._held(project, name)
        return {
            "kind": "bigquery#dataset",
            "id": f"{project}:{name}",
            "type": "LINKED",
            "location": it["location"],
            "datasetReference": {"projectId": project, "datasetId": name},
            "linkedDatasetMetadata": {"linkState": "LINKED"},
        }

    def insert(self, call: Call) -> dict[str, Any]:
        """jobs.insert: a dry run, or a query that has ended when the answer comes."""
        project, job = call.path["projectId"], call.body
        sql, dry = job["configuration"]["query"]["query"], job["configuration"].get("dryRun", False)
        read, columns, rows = self._run(sql, job["jobReference"].get("location"), call.token.email)
        made: dict[str, Any] = {
            "kind": "bigquery#job",
            "configuration": {"jobType": "QUERY", **job["configuration"]},
            "jobReference": {**job["jobReference"], "projectId": project},
            "user_email": call.token.email,
            "statistics": {
                "creationTime": _AT,
                "startTime": _AT,
                "endTime": _AT,
                "totalBytesProcessed": str(read),
                "query": {
                    "totalBytesProcessed": str(read),
                    "totalBytesBilled": "0" if dry else str(read),
                    "cacheHit": False,
                },
            },
            "status": {"state": "DONE"},
        }
        if not dry:
            if read > int(job["configuration"]["query"]["maximumBytesBilled"]):
                raise errors.invalid("Query exceeded limit for bytes billed")
            if self.error is not None:
                made["status"] = {"state": "DONE", "errorResult": self.error, "errors": [self.error]}
            self.jobs[job["jobReference"]["jobId"]] = {"job": made, "columns": columns, "rows": rows}
        return made

    def job(self, call: Call) -> dict[str, Any]:
        """jobs.get."""
        found: dict[str, Any] = self._made(call)["job"]
        return found

    def results(self, call: Call) -> dict[str, Any]:
        """jobs.getQueryResults."""
        made = self._made(call)
        reference = made["job"]["jobReference"]
        if self.unfinished:
            return {"kind": "bigquery#getQueryResultsResponse", "jobComplete": False, "jobReference": reference}
        if self.error is not None:
            raise errors.invalid(self.error["message"])
        start, size = int(call.first("pageToken") or 0), min(self.page, int(call.first("maxResults") or self.page))
        rows = made["rows"][: len(made["rows"]) - self.lost_rows]
        found: dict[str, Any] = {
            "kind": "bigquery#getQueryResultsResponse",
            "jobComplete": True,
            "jobReference": reference,
            "schema": {"fields": [{"name": name, "type": "STRING", "mode": "NULLABLE"} for name in made["columns"]]},
            "totalRows": str(len(made["rows"])),
            "rows": [{"f": [{"v": value} for value in row]} for row in rows[start : start + size]],
            "cacheHit": False,
        }
        if start + size < len(rows):
            found["pageToken"] = str(start + size)
        return found

    def _made(self, call: Call) -> dict[str, Any]:
        if call.path["jobId"] not in self.jobs:
            raise errors.not_found(f"Not found: Job {call.path['projectId']}:{call.path['jobId']}")
        return self.jobs[call.path["jobId"]]

    def _held(self, project: str, name: str) -> dict[str, Any]:
        it: dict[str, Any] | None = self.state.project(project).get("linked_datasets", {}).get(name)
        if it is None:
            raise errors.not_found(f"Not found: Dataset {project}:{name}")
        return it

    def _run(self, sql: str, location: str | None, email: str) -> tuple[int, list[str], list[list[Any]]]:
        source, bounds = _FROM.search(sql), dict(_BOUND.findall(sql))
        lists = {name: re.findall(r'"([^"]*)"', text) for name, text in _LISTS.findall(sql)}
        if source is None or set(bounds) != {">=", "<"} or "log_name" not in lists:
            raise errors.invalid("The sandbox wants a view, an explicit window and names of logs.")
        project, name, view = source.groups()
        if self.state.is_denied("bigquery.tables.getData", f"projects/{project}"):
            raise errors.permission_denied(
                "bigquery.googleapis.com", "bigquery.tables.getData", f"{name}.{view}", email
            )
        it = self._held(project, name)
        if location != it["location"] or view not in it["views"]:
            raise errors.not_found(f"Not found: Table {project}:{name}.{view} was not found in location {location}")
        start, end = self.state.at(bounds[">="]), self.state.at(bounds["<"])
        known = [
            entry
            for entry in self._entries(it)
            if start <= entry[0] < end and entry[1]["log_name"] in lists["log_name"]
        ]
        if "GROUP BY log_name" in sql:
            names = sorted({row["log_name"] for _, row in known})
            moments = {n: [row["moment"] for _, row in known if row["log_name"] == n] for n in names}
            rows = [[n, str(len(moments[n])), min(moments[n])] for n in names]
            return len(known) * 64, ["log_name", "entries", "oldest"], rows
        columns = re.findall(r" AS (\w+)", sql.split("\nFROM")[0])
        kept = [[row[c] for c in columns] for _, row in known if row["method"] in lists["method_name"]]
        return len(known) * _BYTES_PER_ENTRY, columns, sorted(kept, key=str)

    def _entries(self, it: dict[str, Any]) -> list[tuple[datetime, dict[str, Any]]]:
        found = []
        for project in it["projects"]:
            for number, entry in enumerate(self.state.project(project).get("log_entries", ())):
                if "method" in entry and not entry.get("pgaudit") and not entry.get("data_access"):
                    at = self.state.at(entry["at"])
                    found.append((at, _row(project, number, at, entry)))
        return found


def _row(project: str, number: int, at: datetime, it: dict[str, Any]) -> dict[str, Any]:
    return {
        "log_name": f"projects/{project}/logs/cloudaudit.googleapis.com%2Factivity",
        "moment": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "insert_id": f"entry{number:04d}",
        "severity": "ERROR" if it.get("code") else "NOTICE",
        "service": it.get("service", "cloudsql.googleapis.com"),
        "method": it["method"],
        "principal": it["principal"],
        "target": it.get("target", f"projects/{project}/instances/{it.get('instance')}"),
        "code": str(it["code"]) if it.get("code") else None,
        "operation": it.get("operation"),
        "operation_last": "true" if "operation" in it else None,
    }
