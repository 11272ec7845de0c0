"""A stand-in for BigQuery on loopback: its REST API, as the client library speaks it, before GoogleSQL's reference implementation.

It is no BigQuery: it holds tables in memory, knows no slots and no prices, and answers each query at once. What it is asked
and what it answers is held against Google's own description of the API (`problems`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import discovery
import duckdb
from googlesql import GoogleSqlError

from compliancectl.sandbox.google import tokens
from compliancectl.sandbox.google.tokens import TokenService
from compliancectl.sandbox.web import Request, Response, WebServer

PROJECT, DATASET, PLACE = "larkspur-audit", "scratch", "EU"
API = f"/bigquery/v2/projects/{PROJECT}"
_AT = 1_785_542_400_000
_SCALARS = {
    "VARCHAR": "STRING",
    "BOOLEAN": "BOOL",
    "TIMESTAMP": "DATETIME",
    "DATE": "DATE",
    "BIGINT": "INT64",
    "INTEGER": "INT64",
}


class Refused(Exception):
    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason = status, reason


class BigQueryStandIn:
    """One project with one dataset."""

    def __init__(self, folder: Path, sql: Any) -> None:
        self.sql, self.folder = sql, folder
        self.tables: dict[str, dict[str, Any]] = {}
        """Name → its resource, and under `select` the GoogleSQL that gives its rows."""
        self.jobs: dict[str, dict[str, Any]] = {}
        self.uploads: dict[str, dict[str, Any]] = {}
        self.page = 10_000
        self.fail: dict[str, Refused] = {}
        """Kind of job (`query`, `dryRun`, `load`) or `dataset` → how it is refused."""
        self.broken: dict[str, Refused] = {}
        """Kind of job → the error that it ends with."""
        self.lost_rows = 0
        """How many rows of each loaded file do not arrive."""
        self.lose_answers = 0
        """How many rows of each answer about loaded tables do not arrive."""
        self.objects: Callable[[str], bytes] = _no_object
        """Gives an object of Cloud Storage by its address."""
        self.problems: list[str] = []
        self.tokens = TokenService("reader@larkspur-audit.iam.gserviceaccount.com", PROJECT)
        self.web = WebServer(self.handle).start()
        self.key = self.tokens.write_key(folder / "key.json", self.web.url)

    def handle(self, request: Request) -> Response:
        if request.path == tokens.PATH:
            return self.tokens.issue(request)
        try:
            if self.tokens.check(request.headers.get("authorization")) is None:
                raise Refused(401, "authError", "Invalid Credentials")
            answer = self._upload(request) if request.path.startswith("/upload") else self._answer(request)
        except Refused as refused:
            return _error(refused)
        except Exception as bug:
            self.problems.append(f"{request.method} {request.path}: {type(bug).__name__}: {bug}")
            return _error(Refused(500, "backendError", str(bug)))
        return answer if isinstance(answer, Response) else Response.of(answer)

    # -- routes -------------------------------------------------------------------------------------------------------

    def _answer(self, request: Request) -> Any:
        path = request.path.removeprefix(API + "/")
        route = discovery.route(["bigquery.v2"], request.method, "bigquery.googleapis.com", request.path.lstrip("/"))
        if route is None:
            raise Refused(404, "notFound", f"{request.method} {request.path} is no method of BigQuery")
        # Google's own library writes Python's True, and Google takes it.
        query = tuple((name, {"True": "true"}.get(value, value)) for name, value in request.query)
        self.problems += route.request_problems(query, request.body)
        found = self._routed(request, route.id, path.split("/"))
        if route.entry.get("response") and not isinstance(found, Response):
            self.problems += route.response_problems(found)
        return found

    def _routed(self, request: Request, method: str, path: list[str]) -> Any:
        match method:
            case "bigquery.datasets.get":
                return self._dataset(path[1])
            case "bigquery.jobs.insert":
                return self._query(request.json)
            case "bigquery.jobs.get":
                return self._job(path[1])
            case "bigquery.jobs.getQueryResults":
                return self._results(path[1], request)
            case "bigquery.tables.get":
                return self._table(path[3])
            case "bigquery.tables.patch":
                self._table(path[3])
                self.tables[path[3]]["resource"].update(request.json)
                return self._table(path[3])
            case "bigquery.tables.delete":
                del self.tables[path[3]]
                return Response(204)
        raise Refused(501, "notImplemented", f"the stand-in does not do {method}")

    def _dataset(self, name: str) -> Any:
        if name != DATASET:
            raise Refused(404, "notFound", f"Not found: Dataset {PROJECT}:{name}")
        self._maybe("dataset")
        reference = {"projectId": PROJECT, "datasetId": name}
        return {"kind": "bigquery#dataset", "id": f"{PROJECT}:{name}", "datasetReference": reference, "location": PLACE}

    def _table(self, name: str) -> Any:
        if name not in self.tables:
            raise Refused(404, "notFound", f"Not found: Table {PROJECT}:{DATASET}.{name}")
        return self.tables[name]["resource"]

    def _job(self, number: str) -> Any:
        if number not in self.jobs:
            raise Refused(404, "notFound", f"Not found: Job {PROJECT}:{PLACE}.{number}")
        return self.jobs[number]["resource"]

    # -- queries ------------------------------------------------------------------------------------------------------

    def _query(self, job: Mapping[str, Any]) -> Any:
        config = job["configuration"]
        dry = bool(config.get("dryRun"))
        self._maybe("dryRun" if dry else "query")
        if job.get("jobReference", {}).get("location", PLACE) != PLACE:
            raise Refused(404, "notFound", f"Not found: Dataset {PROJECT}:{DATASET} was not found in that location")
        text = self._with_tables(self._with_objects(config["query"]))
        try:
            if dry:
                self.sql.prepare(text)
                columns, rows = [], []
            else:
                columns, rows = self.sql.ask(text)
        except GoogleSqlError as error:
            said = re.sub(r"^Code: \d+, Message: ", "", str(error))
            if dry or str(error).startswith("Code: 3"):
                raise Refused(400, "invalidQuery", said) from None
            return self._made("query", job, {"reason": "invalidQuery", "message": said}, [], [])
        return self._made("query", job, self._ends("query"), columns, rows)

    def _with_tables(self, text: str) -> str:
        def rows(found: re.Match[str]) -> str:
            name = found.group(1)
            if name not in self.tables:
                raise Refused(404, "notFound", f"Not found: Table {PROJECT}:{DATASET}.{name}")
            return f"({self.tables[name]['select']})"

        return re.sub(rf"`{PROJECT}\.{DATASET}\.(\w+)`", rows, text)

    def _with_objects(self, query: Mapping[str, Any]) -> str:
        """The query, in which each table that lies in Cloud Storage for this one job stands for its rows."""
        text = str(query["query"])
        for name, about in query.get("tableDefinitions", {}).items():
            assert about["sourceFormat"] == "PARQUET" and not about.get("parquetOptions") and not about.get("schema")
            selects = [self._rows(self.objects(uri))[0] for uri in about["sourceUris"]]
            text = text.replace(f"`{name}`", f"({' UNION ALL '.join(selects)})")
        return text

    def _made(self, kind: str, job: Mapping[str, Any], error: Any, columns: Any, rows: Any, loaded: int = 0) -> Any:
        number = job["jobReference"]["jobId"]
        reference = {"projectId": PROJECT, "jobId": number, "location": PLACE}
        statistics: dict[str, Any] = {"creationTime": str(_AT), "startTime": str(_AT), "endTime": str(_AT)}
        if kind == "query":
            read = "0" if not self.tables else "1048576"
            statistics |= {
                "totalBytesProcessed": read,
                "query": {"totalBytesProcessed": read, "totalBytesBilled": read},
            }
        else:
            statistics["load"] = {"outputRows": str(loaded)}
        status: dict[str, Any] = {"state": "DONE"} | ({"errorResult": error, "errors": [error]} if error else {})
        resource = {
            "kind": "bigquery#job", "id": f"{PROJECT}:{PLACE}.{number}", "jobReference": reference, "status": status,
            "configuration": job["configuration"], "statistics": statistics,
        }  # fmt: skip
        self.jobs[number] = {"resource": resource, "columns": columns, "rows": rows}
        return resource

    def _results(self, number: str, request: Request) -> Any:
        job = self._job(number)
        if "errorResult" in job["status"]:
            error = job["status"]["errorResult"]
            raise Refused(_STATUS.get(error["reason"], 400), error["reason"], error["message"])
        columns, rows = self.jobs[number]["columns"], self.jobs[number]["rows"]
        size = min(int(request.param("maxResults") or self.page), self.page)
        start = int(request.param("pageToken") or request.param("startIndex") or 0)
        seen = rows[: len(rows) - (self.lose_answers if self.tables else 0)]
        found: dict[str, Any] = {
            "kind": "bigquery#getQueryResultsResponse", "jobReference": job["jobReference"], "jobComplete": True,
            "schema": {"fields": [{"name": n, "type": _TYPES.get(k, k), "mode": "NULLABLE"} for n, k in columns]},
            "totalRows": str(len(rows)), "cacheHit": False, "totalBytesProcessed": "0",
        }  # fmt: skip
        if size:
            found["rows"] = [{"f": [{"v": _wire(v)} for v in row]} for row in seen[start : start + size]]
            if start + size < len(seen):
                found["pageToken"] = str(start + size)
        return found

    # -- loads --------------------------------------------------------------------------------------------------------

    def _upload(self, request: Request) -> Any:
        if request.param("uploadType") == "multipart":
            mark = re.search('boundary="?([^";]+)', request.headers["content-type"])
            assert mark is not None
            parts = request.body.split(b"--" + mark.group(1).encode().strip(b"'"))
            head, data = (part.split(b"\r\n\r\n", 1)[1] for part in parts[1:3])
            return self._load(json.loads(head), data.removesuffix(b"\r\n"))
        if request.method == "POST":
            number = str(len(self.uploads))
            self.uploads[number] = request.json
            place = f"{self.web.url}{request.path}?uploadType=resumable&upload_id={number}"
            return Response(200, b"", {"Location": place})
        return self._load(self.uploads[str(request.param("upload_id"))], request.body)

    def _load(self, job: Mapping[str, Any], data: bytes) -> Any:
        document = discovery.document("bigquery.v2")
        self.problems += document.problems(job, {"$ref": "Job"})
        self._maybe("load")
        load = job["configuration"]["load"]
        assert load["sourceFormat"] == "PARQUET" and not load.get("parquetOptions")
        name = load["destinationTable"]["tableId"]
        select, count = self._rows(data)
        reference = {"projectId": PROJECT, "datasetId": DATASET, "tableId": name}
        resource = {
            "kind": "bigquery#table",
            "tableReference": reference,
            "id": f"{PROJECT}:{DATASET}.{name}",
            "etag": "e",
        }
        self.tables[name] = {"resource": resource, "select": select}
        made = self._made("load", job, self._ends("load"), [], [], count)
        self.problems += document.problems(made, {"$ref": "Job"})
        return made

    def _rows(self, data: bytes) -> tuple[str, int]:
        """GoogleSQL that gives the rows of a Parquet file, and how many there are."""
        file = self.folder / "loaded.parquet"
        file.write_bytes(data)
        rows = duckdb.execute(f"SELECT * FROM read_parquet('{file}')")
        kinds = [(column[0], column[1]) for column in rows.description or ()]
        given = rows.fetchall()
        given = given[: len(given) - self.lost_rows] if self.lost_rows else given
        row_type = f"STRUCT<{', '.join(f'`{n}` {_stored_type(k)}' for n, k in kinds)}>"
        written = ", ".join(
            f"{row_type}({', '.join(_stored(v, k) for v, (_, k) in zip(row, kinds, strict=True))})" for row in given
        )
        return f"SELECT * FROM UNNEST(ARRAY<{row_type}>[{written}])", len(given)

    def _maybe(self, kind: str) -> None:
        if kind in self.fail:
            raise self.fail[kind]

    def _ends(self, kind: str) -> Any:
        error = self.broken.get(kind)
        return {"reason": error.reason, "message": str(error)} if error is not None else None


_STATUS = {"accessDenied": 403, "quotaExceeded": 403, "notFound": 404, "bytesBilledLimitExceeded": 400, "stopped": 200}
_TYPES = {"INT64": "INTEGER", "BOOL": "BOOLEAN", "FLOAT64": "FLOAT"}


def _no_object(address: str) -> bytes:
    raise Refused(404, "notFound", f"Not found: URI {address}")


def _error(refused: Refused) -> Response:
    entry = {"message": str(refused), "domain": "global", "reason": refused.reason}
    return Response.of({"error": {"code": refused.status, "message": str(refused), "errors": [entry]}}, refused.status)


def _wire(value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)


# Lists as BigQuery keeps a Parquet file's: a record `list` of records `element`, unless it is told to infer.


def _stored_type(kind: Any) -> str:
    if kind.id == "list":
        return f"STRUCT<list ARRAY<STRUCT<element {_stored_type(kind.children[0][1])}>>>"
    if kind.id == "struct":
        return f"STRUCT<{', '.join(f'`{n}` {_stored_type(child)}' for n, child in kind.children)}>"
    return _SCALARS[str(kind)]


def _stored(value: Any, kind: Any) -> str:
    if value is None:
        return f"CAST(NULL AS {_stored_type(kind)})"
    if kind.id == "list":
        inner = _stored_type(kind.children[0][1])
        entries = ", ".join(f"STRUCT<element {inner}>({_stored(entry, kind.children[0][1])})" for entry in value)
        return f"{_stored_type(kind)}(ARRAY<STRUCT<element {inner}>>[{entries}])"
    if kind.id == "struct":
        return f"{_stored_type(kind)}({', '.join(_stored(value[n], child) for n, child in kind.children)})"
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime):
        return f"DATETIME '{value.isoformat(sep=' ')}'"
    if isinstance(value, date):
        return f"DATE '{value.isoformat()}'"
    return json.dumps(value, ensure_ascii=False)
