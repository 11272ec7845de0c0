"""What Google Cloud does not answer: each failure has its own status, words and hint, and none of them is a pass."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cloudbox import LOGS, PROD, Box

from compliancectl.cli import app, pipeline
from compliancectl.cli.project import Project, open_project

LISTING = f"GET /sqladmin.googleapis.com/v1/projects/{PROD}/instances$"
LOGIN = r"gcloud auth application-default login"
ENDPOINT = r"Check the endpoint"
LATER = r"Repeat later"


def google(code: int, reason: str, message: str = "No.") -> bytes:
    """An error as Google writes it."""
    return json.dumps(
        {"error": {"code": code, "message": message, "errors": [{"reason": reason}], "status": reason}}
    ).encode()


@dataclass(frozen=True)
class Case:
    """One failure and what an evidence item must say about it."""

    name: str
    how: dict[str, Any]
    status: str
    cause: str
    reason: str
    hint: str
    asked: int = 1
    """How many requests are made."""
    options: dict[str, Any] = field(default_factory=dict)


def status(code: int, reason: str = "", **more: Any) -> dict[str, Any]:
    return {"kind": "status", "status": code, "body": google(code, reason), **more}


def said(body: bytes) -> dict[str, Any]:
    return {"kind": "status", "status": 200, "body": body}


def vendor(name: str, **more: Any) -> dict[str, Any]:
    return {"kind": "vendor", "name": name, **more}


REST = [
    Case("401", status(401), "denied", "permission", "did not accept the credentials: No", LOGIN, 2),
    Case(
        "403", status(403, "forbidden"), "denied", "permission", "refused cloudsql.instances.list: No",
        "Grant cloudsql.instances.list, for example with the role roles/cloudsql.viewer on projects/larkspur-prod",
    ),
    Case(
        "disabled", status(403, "accessNotConfigured"), "denied", "api-disabled", "is disabled for projects/larkspur-prod",
        "gcloud services enable sqladmin.googleapis.com --project=larkspur-prod",
    ),
    Case("404", status(404), "failed", "not-found", "found nothing by that name", "Check the names in the scope file"),
    Case("400", status(400), "failed", "source-error", "HTTP 400 for projects/larkspur-prod: No", "Check the names"),
    Case("quota", status(403, "quotaExceeded"), "failed", "rate-limited", "No. .tried 6 times", LATER, 6),
    Case("429", status(429), "failed", "rate-limited", "rate limited .* .tried 6 times: 429 ×6", LATER, 6),
    Case(
        "429, to wait an hour", status(429, headers={"Retry-After": "3600"}),
        "failed", "rate-limited", r"rate limited by \S+$", "ask for more quota", 1,
    ),
    Case("500", status(500), "failed", "source-error", "HTTP 500 .* .tried 6 times: 500 ×6", LATER, 6),
    Case("503", status(503), "failed", "source-error", "HTTP 503 .* .tried 6 times: 503 ×6", LATER, 6),
    Case(
        "disconnect", {"kind": "disconnect"}, "partial", "truncated",
        "broke in the middle of an answer: IncompleteRead.* .tried 6 times: truncated ×6", "look for a proxy", 6,
    ),
    Case("garbage", {"kind": "garbage"}, "failed", "garbage", r"not HTTP .*\\x00\\x01garbage", ENDPOINT),
    Case("empty", said(b""), "failed", "garbage", "not a JSON object", ENDPOINT),
    Case("half", said(b'{"items": [{"na'), "failed", "garbage", "not a JSON object", ENDPOINT),
    Case("a list", said(b"[]"), "failed", "garbage", "not a JSON object", ENDPOINT),
    Case("no list", said(b'{"items": {}}'), "failed", "garbage", "'items' that is not a list", "report it to Google"),
    Case("odd", said(b'{"warnings": 3}'), "failed", "garbage", "a form that is not documented", "report it to Google"),
    Case("odd token", said(b'{"nextPageToken": 3}'), "partial", "garbage", "token that is not text", "report it"),
    Case("a redirect", {**status(302), "body": b""}, "failed", "garbage", "HTTP 302", ENDPOINT),
    Case("another's 403", {**status(403), "body": b"<html>"}, "failed", "garbage", "HTTP 403 with something", ENDPOINT),
    Case("endless", vendor("endless-page-token"), "partial", "truncated", "still had more after 3 pages", "`page_limit`", 3),
    Case("repeated", vendor("repeated-page-token"), "partial", "garbage", "same page token twice", "report it", 2),
    Case(
        "slow", {"kind": "slow", "seconds": 60.0}, "failed", "unreachable", "no answer in time", "--deadline", 1,
        {"deadline_s": 0.2},
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", REST, ids=lambda case: case.name)
def test_each_failure_over_http_has_its_own_words(box: Box, case: Case) -> None:
    box.misbehave(LISTING, **case.how)
    found = box.collect("gcp.sql_instance", page_limit=3, **case.options)
    item = found.item("sql_instances")
    assert (item.status, item.cause) == (case.status, case.cause)
    assert re.search(case.reason, item.reason) and re.search(case.hint, item.hint)
    assert item.reason.isprintable(), "what a stranger sends must not reach a terminal"
    assert len([r for r in box.cloud.web.log if re.search(LISTING, f"{r.method} {r.path}")]) == case.asked
    assert found.item("sql_instances", LOGS).status == "collected", "the other project is not lost"


GRPC = [
    Case("401", vendor("UNAUTHENTICATED"), "denied", "permission", "did not accept the credentials", LOGIN, 2),
    Case("permission", vendor(""), "denied", "permission", "refused logging.sinks.list", "roles/logging.privateLogViewer on"),
    Case("404", vendor("NOT_FOUND"), "failed", "not-found", "found nothing by that name", "Check the names"),
    Case("429", vendor("RESOURCE_EXHAUSTED", seconds=0.0), "failed", "rate-limited", "rate-limited ×6", LATER, 6),
    Case("429, to wait an hour", vendor("RESOURCE_EXHAUSTED", seconds=3600.0), "failed", "rate-limited", "EXHAUSTED.$", LATER),
    Case("500", vendor("INTERNAL"), "failed", "source-error", "INTERNAL.*source-error ×6", LATER, 6),
    Case("503", vendor("UNAVAILABLE"), "failed", "unreachable", "UNAVAILABLE.*unreachable ×6", "Check the host", 6),
    Case("late", vendor("DEADLINE_EXCEEDED"), "failed", "unreachable", "EXCEEDED.*unreachable ×6", "Check the host", 6),
    Case("garbage", vendor("garbage"), "failed", "garbage", "not the documented message", ENDPOINT),
    Case("endless", vendor("endless-page-token"), "partial", "truncated", "still had more after 3 pages", "`page_limit`", 3),
    Case("repeated", vendor("repeated-page-token"), "partial", "garbage", "same page token twice", "report it", 2),
    Case("slow", vendor("slow", seconds=60.0), "failed", "unreachable", "Deadline", "Check the host", 1, {"deadline_s": 0.2}),
]  # fmt: skip


@pytest.mark.parametrize("case", GRPC, ids=lambda case: case.name)
def test_each_failure_over_grpc_has_its_own_words(box: Box, case: Case) -> None:
    if case.how["name"]:
        box.misbehave("ListSinks", **case.how)
    else:
        box.cloud.state.denied.add("logging.sinks.list")
    found = box.collect("gcp.log_sink", page_limit=3, organization=None, projects=[PROD], **case.options)
    item = found.item("log_sinks")
    assert (item.status, item.cause) == (case.status, case.cause)
    assert re.search(case.reason, item.reason) and re.search(case.hint, item.hint)
    assert len(box.cloud.logs.log) == case.asked


def test_a_token_that_is_not_accepted_is_renewed_once(box: Box) -> None:
    box.misbehave(LISTING, **status(401, times=1))
    box.misbehave("ListBuckets", **vendor("UNAUTHENTICATED", times=1))
    for table, outcomes in (("gcp.sql_instance", ["401", "200"]), ("gcp.log_bucket", ["permission", "OK"])):
        box.cloud.web.log.clear()
        (item,) = box.collect(table, projects=[PROD]).items.values()
        assert [attempt.outcome for attempt in item.replies[0].attempts] == outcomes
        assert len([r for r in box.cloud.web.log if "oauth2" in r.path]) == 2, "one token, and the one that replaced it"


@pytest.mark.parametrize(
    ("how", "outcomes"),
    [
        (status(429, times=2), ["429", "429", "200"]),
        (status(429, times=1, headers={"Retry-After": "0"}), ["429", "200"]),
        (status(429, times=1, headers={"Retry-After": "soon"}), ["429", "200"]),
        (status(429, times=1, headers={"Retry-After": "Mon, 01 Jan 2001 00:00:00 GMT"}), ["429", "200"]),
        (status(429, times=1, headers={"Retry-After": "Mon, 01 Jan 2001 00:00:00 -0000"}), ["429", "200"]),
        (status(503, times=1), ["503", "200"]),
        ({"kind": "disconnect", "times": 1}, ["truncated", "200"]),
    ],
)
def test_what_passes_over_is_tried_again_and_on_record(box: Box, how: dict[str, Any], outcomes: list[str]) -> None:
    box.misbehave(LISTING, **how)
    item = box.collect("gcp.sql_instance").item("sql_instances")
    assert item.status == "collected"
    assert [attempt.outcome for attempt in item.replies[0].attempts] == outcomes


SERVICE_DISABLED = json.dumps(
    {
        "error": {
            "code": 403,
            "message": "The API has not been used before or it is disabled.",
            "status": "PERMISSION_DENIED",
            "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED"}],
        }
    }
).encode()


@pytest.mark.parametrize("name", ["RESOURCE_EXHAUSTED", "UNAVAILABLE", "INTERNAL"])
def test_a_call_that_fails_once_is_tried_again_and_on_record(box: Box, name: str) -> None:
    box.misbehave("ListLogEntries", "vendor", name=name, times=1, seconds=0.0)
    item = box.collect("gcp.log_entry", projects=[PROD]).item("log_entries")
    outcomes = [attempt.outcome for attempt in item.replies[0].attempts]
    assert item.status == "collected" and len(outcomes) == 2 and outcomes[1] == "OK"


def test_denied_disabled_and_empty_are_three_things(box: Box) -> None:
    box.cloud.state.denied.add(f"logging.buckets.list projects/{PROD}")
    box.cloud.state.disabled |= {f"logging.googleapis.com projects/{LOGS}", f"redis.googleapis.com projects/{PROD}"}
    found = box.collect("gcp.log_bucket", "gcp.redis_instance")
    said = {key: (item.status, item.cause) for key, item in found.items.items()}
    assert said == {
        ("gcp.log_buckets", PROD): ("denied", "permission"),
        ("gcp.log_buckets", LOGS): ("denied", "api-disabled"),
        ("gcp.redis_instances", PROD): ("denied", "api-disabled"),
        ("gcp.redis_instances", LOGS): ("collected", None),
    }
    empty = found.item("redis_instances", LOGS)
    assert empty.tables[0].rows == 0 and empty.completeness.exhausted and len(empty.replies) == 1
    assert "Service Usage confirms it: redis.googleapis.com" in found.item("redis_instances").reason
    assert "Service Usage confirms it: logging.googleapis.com" in found.item("log_buckets", LOGS).reason
    assert "Service Usage" not in found.item("log_buckets").reason


def test_a_disabled_api_that_service_usage_does_not_confirm(box: Box) -> None:
    box.misbehave("redis.googleapis.com.*instances", status=403, body=SERVICE_DISABLED)
    assert (
        "Service Usage says that it is enabled by now"
        in box.collect("gcp.redis_instance").item("redis_instances").reason
    )
    box.cloud.state.denied.add("serviceusage.services.list")
    item = box.collect("gcp.redis_instance").item("redis_instances")
    assert (item.status, item.cause) == ("denied", "api-disabled")
    assert "Service Usage could not be asked about it" in item.reason


def test_flow_logs_of_an_api_that_is_switched_off_are_not_shown(box: Box) -> None:
    box.cloud.state.disabled.add("networkmanagement.googleapis.com")
    item = box.collect("gcp.flow_log_config", projects=[PROD]).item("flow_log_configs")
    assert item.status == "collected" and item.tables[0].rows == 0
    assert "of which the API is switched off" in item.completeness.method
    assert "Service Usage confirms it" in item.completeness.filters[0]


def test_a_region_that_google_could_not_reach_is_not_an_empty_region(box: Box) -> None:
    warning = {"code": "REGION_UNREACHABLE", "region": "europe-west3", "message": "The region is not available."}
    box.misbehave(LISTING, **said(json.dumps({"items": [], "warnings": [warning]}).encode()))
    item = box.collect("gcp.sql_instance").item("sql_instances")
    assert (item.status, item.cause) == ("partial", "incomplete") and "europe-west3" in item.reason


# -- credentials and connections --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "was not found"),
        (b"", "not a valid json file"),
        (b"\xff\xfe\x00", "not a valid json file"),
        (b"[]", "unknown form"),
        (b'{"type": "tea"}', "does not have a valid type"),
        (b'{"type": "service_account"}', "Failed to load service account credentials"),
        ("a folder", "cannot be read: .*: Is a directory"),
    ],
)
def test_a_credentials_file_that_cannot_be_used(box: Box, tmp_path: Path, content: Any, reason: str) -> None:
    file = tmp_path / "key.json"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content:
        file.mkdir()
    found = box.collect(
        "gcp.sql_instance", "gcp.log_bucket", projects=[PROD], env={"GOOGLE_APPLICATION_CREDENTIALS": str(file)}
    )
    for item in found.items.values():
        assert (item.status, item.cause, item.principal) == ("denied", "permission", None)
        assert re.search(reason, item.reason) and re.search(LOGIN, item.hint)
    assert len(found.items) == 2


@pytest.mark.parametrize(
    ("how", "cause", "reason"),
    [
        (
            {"status": 400, "body": b'{"error": "invalid_grant", "error_description": "Invalid JWT."}'},
            "permission",
            "did not accept the credentials: invalid_grant: Invalid JWT",
        ),
        ({"status": 503}, "unreachable", "no token: HTTP 503 .*tried 6 times"),
        ({"status": 200, "body": b"<html>"}, "garbage", "not a token"),
        ({"status": 200, "body": b"[]"}, "garbage", "not a token"),
        ({"kind": "garbage"}, "garbage", "not HTTP"),
        ({"kind": "disconnect"}, "unreachable", "no token: IncompleteRead"),
    ],
)
def test_a_token_endpoint_that_gives_no_token(box: Box, how: dict[str, Any], cause: str, reason: str) -> None:
    box.misbehave("oauth2.googleapis.com", **how)
    found = box.collect("gcp.sql_instance", "gcp.log_bucket", projects=[PROD])
    for item in found.items.values():
        assert item.status == ("denied" if cause == "permission" else "failed")
        assert item.cause == cause and re.search(reason, item.reason) and item.hint
    assert len(found.items) == 2


def test_a_token_endpoint_that_is_busy_once_is_asked_again(box: Box) -> None:
    box.misbehave("oauth2.googleapis.com", status=503, times=1)
    assert box.collect("gcp.sql_instance").item("sql_instances").status == "collected"


@pytest.mark.parametrize(
    ("url", "rest", "grpc"),
    [
        ("https://localhost:1", "Connection refused", "failed to connect|[Cc]onnection refused"),
        ("https://nowhere.invalid", "not known|resolution", "nowhere.invalid"),
    ],
)
def test_a_host_that_is_not_there(box: Box, url: str, rest: str, grpc: str) -> None:
    endpoints = {**box.cloud.scope["endpoints"], "sqladmin": url, "logging": url}
    found = box.collect("gcp.sql_instance", "gcp.log_bucket", "gcp.bucket", projects=[PROD], endpoints=endpoints)
    for feed, reason in (("sql_instances", rest), ("log_buckets", grpc)):
        item = found.item(feed)
        assert (item.status, item.cause) == ("failed", "unreachable"), item.reason
        assert re.search(reason, item.reason) and "Check the host" in item.hint
    assert found.item("buckets").status == "collected", "the other services are not lost"


def test_a_server_without_tls(box: Box) -> None:
    plain = box.cloud.web.url.replace("http:", "https:")
    endpoints = {**box.cloud.scope["endpoints"], "sqladmin": plain, "logging": plain}
    found = box.collect("gcp.sql_instance", "gcp.log_bucket", projects=[PROD], endpoints=endpoints)
    assert "TLS failed" in found.item("sql_instances").reason
    assert re.search("(?i)handshake|tls|ssl", found.item("log_buckets").reason)
    assert {item.cause for item in found.items.values()} == {"unreachable"}


@contextmanager
def cutting(port: int, after: int) -> Iterator[tuple[int, list[int]]]:
    """A relay to a port that hangs up after so many bytes of answer; gives its port, and how much each time."""
    carried: list[int] = []

    def up(near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while data := near.recv(65536):
                far.sendall(data)

    def carry(near: socket.socket) -> None:
        with near, socket.create_connection(("127.0.0.1", port)) as far, suppress(OSError):
            threading.Thread(target=up, args=(near, far), daemon=True).start()
            left = after
            while left > 0 and (data := far.recv(left)):
                near.sendall(data)
                left -= len(data)
            carried.append(after - left)
            near.shutdown(socket.SHUT_RDWR)

    def serve(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=carry, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1], carried


def test_a_call_that_breaks_off_in_the_middle_of_its_answer(box: Box) -> None:
    box.cloud.logs.generated_entries = 1000  # some 700 kB in one page
    with cutting(box.cloud.logs.port, after=40_000) as (port, carried):
        endpoints = {**box.cloud.scope["endpoints"], "logging": f"https://localhost:{port}"}
        item = box.collect("gcp.log_entry", projects=[PROD], endpoints=endpoints).item("log_entries")
    assert (item.status, item.cause, item.replies) == ("failed", "unreachable", ())
    assert "tried 6 times" in item.reason and "Check the host" in item.hint
    assert 40_000 in carried, "an answer had begun"


def test_libraries_write_nothing_beside_the_message(box: Box) -> None:
    plain = box.cloud.web.url.replace("http:", "https:")
    scope = box.scope(projects=["larkspur-prod"], endpoints={**box.cloud.scope["endpoints"], "logging": plain})
    done = subprocess.run(
        [sys.executable, "-m", "compliancectl", "doctor", "--scope", str(scope), "--deadline", "1"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **box.sandbox.env},
    )
    assert done.returncode == 3 and "Cloud Logging API on projects/larkspur-prod" in done.stdout
    assert done.stderr == ""


# -- never a pass -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def project(_running: Box) -> Project:
    """BCP-01 and all that it needs, loaded once."""
    return open_project(_running.scope(), ["BCP-01"])


def outcomes(project: Project, run: Path) -> tuple[int, set[str]]:
    """The exit code, and the outcomes of the control and its tests."""
    results = pipeline.evaluate_stage(project, run, None)
    (control,) = results.controls
    return results.exit_code, {control.outcome, *(test.outcome for test in control.tests)}


@pytest.mark.parametrize(
    "how",
    [
        status(403, "forbidden"),
        status(403, "accessNotConfigured"),
        status(503),
        said(b""),
        vendor("repeated-page-token"),
    ],
    ids=["denied", "disabled", "failing", "empty", "partial"],
)
def test_what_could_not_be_read_is_inconclusive(box: Box, how: dict[str, Any], project: Project) -> None:
    box.misbehave(LISTING, **how)
    found = box.collect("gcp.sql_instance", "gcp.sql_backup_run")
    assert found.item("sql_backup_runs").status == "collected"
    assert outcomes(project, found.run) == (3, {"inconclusive"})


def test_the_same_without_a_failure_is_conclusive(box: Box, project: Project) -> None:
    assert outcomes(project, box.collect("gcp.sql_instance", "gcp.sql_backup_run").run) == (0, {"no deviations"})


def test_projects_without_instances_are_not_a_pass(box: Box, project: Project) -> None:
    found = box.collect("gcp.sql_instance", "gcp.sql_backup_run", projects=[LOGS])
    assert {item.status for item in found.items.values()} == {"collected"}
    assert outcomes(project, found.run) == (3, {"inconclusive"})


def test_the_command_line_says_so_with_its_exit_code(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in box.sandbox.env.items():
        monkeypatch.setenv(name, value)
    scope, run = str(box.scope()), str(tmp_path / "run")
    box.misbehave(LISTING, **status(403, "forbidden"))
    assert app.run(["collect", "--scope", scope, "--output", run, "--only", "BCP-01"]) == 3
    assert "refused cloudsql.instances.list" in re.sub(r"\s+", " ", capsys.readouterr().err)
    assert app.run(["evaluate", run, "--scope", scope, "--only", "BCP-01", "--format", "json"]) == 3
    (control,) = json.loads(capsys.readouterr().out)["controls"]
    assert control["outcome"] == "inconclusive"
