"""What Cloud Logging holds: expands the definition into sinks, buckets and audit log entries."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from compliancectl.sandbox.google.state import State

_TIME = re.compile(r'timestamp(>=|<)"([^"]+)"')
_SERVICE = re.compile(r'serviceName="([^"]+)"')
_PART = re.compile(r'methodName:"([^"]+)"')
_PRIVATE_LOG, _PRIVATE = "cloudaudit.googleapis.com/data_access", "logging.privateLogEntries.list"
_NAMES = "dns.googleapis.com/dns_queries"
_NOT = re.compile(r'NOT jsonPayload\.queryName=~"([^"]+)"')
_SQL = "cloudsql.googleapis.com"
_MAX_PAGE = 1000
_MAX_PARENTS = 100


def sinks(state: State, request: Any) -> Any:
    """ConfigServiceV2.ListSinks."""
    from google.cloud.logging_v2 import types

    found = []
    for name, it in sorted(_holder(state, request.parent).get("log_sinks", {}).items()):
        found.append(
            types.LogSink(
                name=name,
                destination=it["destination"],
                filter=it.get("filter", ""),
                disabled=it.get("disabled", False),
                include_children=it.get("include_children", False),
                writer_identity=f"serviceAccount:service-{state.number(request.parent)}@gcp-sa-logging.iam.gserviceaccount.com",
                exclusions=[types.LogExclusion(name=n, filter=f) for n, f in sorted(it.get("exclusions", {}).items())],
            )
        )
    page, token = _page(found, request)
    return types.ListSinksResponse(sinks=page, next_page_token=token)


def buckets(state: State, request: Any) -> Any:
    """ConfigServiceV2.ListBuckets; `-` means every region."""
    from google.cloud.logging_v2 import types

    match = re.fullmatch(r"(projects/[^/]+)/locations/([^/]+)", request.parent)
    if match is None:
        raise ValueError(f'Name "{request.parent}" is missing the locations component.')
    parent, wanted = match.groups()
    found = []
    for name, it in sorted(_holder(state, parent).get("log_buckets", {}).items()):
        if wanted in ("-", it["location"]):
            found.append(
                types.LogBucket(
                    name=f"{parent}/locations/{it['location']}/buckets/{name}",
                    retention_days=it["retention_days"],
                    locked=it.get("locked", False),
                    lifecycle_state=types.LifecycleState.ACTIVE,
                    create_time=state.now - timedelta(days=700),
                )
            )
    page, token = _page(found, request)
    return types.ListBucketsResponse(buckets=page, next_page_token=token)


def metrics(state: State, request: Any) -> Any:
    """MetricsServiceV2.ListLogMetrics."""
    from google.cloud.logging_v2 import types

    found = [
        types.LogMetric(name=name, filter=it["filter"], disabled=it.get("disabled", False))
        for name, it in sorted(_holder(state, request.parent).get("log_metrics", {}).items())
    ]
    page, token = _page(found, request)
    return types.ListLogMetricsResponse(metrics=page, next_page_token=token)


def entries(state: State, request: Any, generated: int | None) -> Any:
    """LoggingServiceV2.ListLogEntries: filters by window and by methods, oldest first."""
    from google.cloud.logging_v2 import types

    start, end = _window(request.filter, state)
    size = min(request.page_size or 50, _MAX_PAGE)
    offset = int(request.page_token or 0)
    if generated is not None:
        return _made_up(state, range(offset, min(offset + size, generated)), generated)
    if len(request.resource_names) > _MAX_PARENTS:
        raise ValueError(f"At most {_MAX_PARENTS} resource names may be given.")
    kept = sorted(
        (
            (at, place, number, it)
            for place in request.resource_names
            for number, (at, it) in enumerate(_all(state, place))
            if start <= at < end and _wanted(it, request.filter)
            if _PRIVATE_LOG not in request.filter or not state.is_denied(_PRIVATE, place)
        ),
        key=lambda e: e[:3],
        reverse=request.order_by != "timestamp asc",
    )
    found = [_entry(place, at, it, number) for at, place, number, it in kept]
    page, token = _page(found, request)
    return types.ListLogEntriesResponse(entries=page, next_page_token=token)


def _holder(state: State, parent: str) -> dict[str, Any]:
    kind, _, name = parent.partition("/")
    if kind == "projects" and name in state.projects:
        return state.project(name)
    if parent == f"organizations/{state.data['organization']}":
        return state.data
    if kind == "folders" and name in state.data["folders"]:
        found: dict[str, Any] = state.data["folders"][name]
        return found
    raise ValueError(f"{parent} is not a parent that exists.")


def _page(found: list[Any], request: Any) -> tuple[list[Any], str]:
    size, start = request.page_size or 50, int(request.page_token or 0)
    return found[start : start + size], str(start + size) if start + size < len(found) else ""


def _window(text: str, state: State) -> tuple[datetime, datetime]:
    bounds = {operator: state.at(at) for operator, at in _TIME.findall(text)}
    if set(bounds) != {">=", "<"}:
        raise ValueError("The sandbox wants an explicit window: timestamp>=… AND timestamp<…")
    return bounds[">="], bounds["<"]


def _all(state: State, place: str) -> Iterator[tuple[datetime, dict[str, Any]]]:
    for it in _holder(state, place).get("log_entries", ()):
        yield state.at(it["at"]), it


def _wanted(it: dict[str, Any], text: str) -> bool:
    """A query of a name, and an entry of pgAudit, are asked for by their kind; others by their method, or all of them."""
    if (_NAMES in text) != ("dns" in it):
        return False
    if "dns" in it:
        left_out = _NOT.search(text)
        return it.get("answer", "NOERROR") == "NOERROR" and not (left_out and re.search(left_out.group(1), it["dns"]))
    if bool(it.get("pgaudit") or it.get("data_access")) != (_PRIVATE_LOG in text):
        return False
    if "PgAuditEntry" in text:
        return bool(it.get("pgaudit"))
    if service := _SERVICE.search(text):
        return bool(it.get("service", _SQL) == service.group(1))
    if part := _PART.search(text):
        return part.group(1).lower() in it["method"].lower() and not it.get("code")
    return "methodName=" not in text or f'"{it["method"]}"' in text


def _entry(place: str, at: datetime, it: dict[str, Any], number: int) -> Any:
    from google.cloud.audit import audit_log_pb2
    from google.cloud.logging_v2 import types
    from google.iam.v1.logging import audit_data_pb2
    from google.logging.type import log_severity_pb2

    _, _, project = place.partition("/")
    if "dns" in it:
        return _query(project, at, it, number)
    audit = audit_log_pb2.AuditLog(
        service_name=it.get("service", _SQL),
        method_name=it["method"],
        resource_name=it.get("target", f"projects/{project}/instances/{it.get('instance')}"),
    )
    audit.authentication_info.principal_email = it["principal"]
    audit.request_metadata.caller_ip = it.get("caller_ip", "")
    audit.request.update({"body": it.get("request", {})})
    audit.status.code = it.get("code", 0)
    if "binding_deltas" in it:
        change = audit_data_pb2.AuditData()
        for delta in it["binding_deltas"]:
            change.policy_delta.binding_deltas.add(**delta)
        audit.service_data.Pack(change)
    elif "unknown_service_data" in it:  # of a service that the reader has no descriptor of
        audit.service_data.type_url = it["unknown_service_data"]
        audit.service_data.value = b"\n\x03abc"
    log, labels = "activity", {}
    if it.get("data_access"):
        log = "data_access"
    if it.get("pgaudit"):
        log = "data_access"
        labels = {"project_id": project, "region": "europe-west3", "database_id": f"{project}:{it['instance']}"}
        audit.request.update({"@type": "type.googleapis.com/google.cloud.sql.audit.v1.PgAuditEntry"})
    return types.LogEntry(
        log_name=f"{place}/logs/cloudaudit.googleapis.com%2F{log}",
        resource={"type": "cloudsql_database", "labels": labels},
        insert_id=f"entry{number:04d}",
        timestamp=at,
        receive_timestamp=at + timedelta(seconds=1),
        severity=log_severity_pb2.ERROR if it.get("code") else log_severity_pb2.NOTICE,
        proto_payload=_pack(audit),
        operation={"id": it["operation"], "producer": "cloudsql.googleapis.com", "last": True}
        if "operation" in it
        else None,
    )


def _query(project: str, at: datetime, it: dict[str, Any], number: int) -> Any:
    """A query of a name, as Cloud DNS logs it."""
    from google.cloud.logging_v2 import types
    from google.protobuf import struct_pb2

    said = struct_pb2.Struct()
    said.update(
        {"queryName": it["dns"], "queryType": "A", "responseCode": it.get("answer", "NOERROR"), "protocol": "UDP"}
    )
    said.update({"rdata": "SEEDED-SECRET-answer", "vmInstanceName": "seeded-person-chen"})
    entry = types.LogEntry(
        log_name=f"projects/{project}/logs/dns.googleapis.com%2Fdns_queries",
        resource={"type": "dns_query", "labels": {"project_id": project, "source_type": "gce-vm"}},
        insert_id=f"query{number:04d}",
        timestamp=at,
        receive_timestamp=at + timedelta(seconds=1),
    )
    types.LogEntry.pb(entry).json_payload.CopyFrom(said)
    return entry


def _made_up(state: State, numbers: range, total: int) -> Any:
    """One page out of `total` entries that differ in time and mark alone; cheap, so that a client is what is measured."""
    from google.cloud.logging_v2 import types

    project = next(iter(state.projects))
    it = {
        "method": "cloudsql.instances.create",
        "instance": "generated",
        "operation": "generated",
        "principal": "seeded-person@customer.example",
        "request": {"note": "SEEDED-SECRET " + "x" * 300},
    }
    template = types.LogEntry.pb(_entry(f"projects/{project}", state.now - timedelta(seconds=total), it, 0))
    page = types.ListLogEntriesResponse(next_page_token=str(numbers.stop) if numbers.stop < total else "")
    entries = types.ListLogEntriesResponse.pb(page).entries
    for number in numbers:
        entry = entries.add()
        entry.CopyFrom(template)
        entry.insert_id = f"g{number}"
        entry.timestamp.seconds += number
    return page


def _pack(message: Any) -> Any:
    from google.protobuf import any_pb2

    holder = any_pb2.Any()
    holder.Pack(message)
    return holder
