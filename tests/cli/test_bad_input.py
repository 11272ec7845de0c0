"""Bad input: one message that names the place, one hint, the right exit code, and nothing half-written."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from compliancectl.resources import controls_folder

ONLY_GCP = "organization: A\nsystem: B\nsources:\n  gcp: {projects: [larkspur-prod]}\n"
ONLY_PG = """\
organization: A
system: B
sources:
  postgres:
    databases:
      - {name: app, dsn: "%s", app_roles: [app], tenant_keys: [organization_id]}
"""


@pytest.mark.parametrize("command", ["collect", "evaluate", "run", "doctor"])
def test_a_missing_scope_says_how_to_write_one(call, finished, tmp_path: Path, command: str) -> None:
    more = {"evaluate": [finished.run], "run": ["--key", finished.key, "-o", tmp_path / "out"]}.get(command, [])
    if command == "collect":
        more = ["-o", tmp_path / "out"]
    call(command, *more, "--scope", tmp_path / "nowhere.yaml").refused(
        2, "nowhere.yaml: there is no scope file", "compliancectl init"
    )
    assert list(tmp_path.iterdir()) == []


SCOPES = {
    "is empty": ("", ":1: The file is empty."),
    "is not YAML": ("organization: [\n", ":1: This is not YAML"),
    "is a list": ("- a\n", ":1: The file must hold keys and values"),
    "has a tab": ("organization: A\n\tsystem: B\n", ":2: A tab"),
    "has a key twice": ("organization: A\norganization: B\n", ':2: The key "organization" stands twice'),
    "has a misspelt key": (
        "organization: A\nsystem: B\nsorces:\n  gcp: {projects: [larkspur-prod]}\n",
        ':3: Unknown key "sorces".',
    ),
    "has a misspelt key inside": (
        "organization: A\nsystem: B\ncontrols:\n  onyl: [BCP-01]\nsources:\n  gcp: {projects: [larkspur-prod]}\n",
        ':4: Unknown key "onyl" in controls.',
    ),
    "lacks a key": ("system: B\nsources:\n  gcp: {projects: [larkspur-prod]}\n", ':1: The key "organization" is missing'),
    "has no source": ("organization: A\nsystem: B\nsources: {}\n", ":3: sources is empty"),
    "names no collector": ("organization: A\nsystem: B\nsources:\n  gpc: {}\n", ":4: no collector is called 'gpc'"),
    "has a misspelt key in a source": (
        "organization: A\nsystem: B\nsources:\n  gcp:\n    projcts: [larkspur-prod]\n",
        ':5: Unknown key "projcts" in sources.gcp.',
    ),
    "has a misspelt key deep in a source": (
        "organization: A\nsystem: B\nsources:\n  postgres:\n    databases:\n"
        "      - {name: app, dsn: x, app_rols: [a], tenant_keys: [b]}\n",
        ':6: Unknown key "app_rols" in sources.postgres.databases[1].',
    ),
    "names nothing to look at": ("organization: A\nsystem: B\nsources:\n  gcp: {}\n", ":4: sources.gcp: name projects, folders or an organization."),
    "has text where a list belongs": (
        "organization: A\nsystem: B\nsources:\n  gcp:\n    projects: larkspur-prod\n",
        ":5: sources.gcp.projects must be a list",
    ),
    "has a period that ends before it begins": (
        ONLY_GCP + "period: {start: 2026-07-01, end: 2026-01-01}\n",
        "The period ends on 2026-01-01, not after its start",
    ),
    "overrides a parameter that no control has": (
        ONLY_GCP + "controls:\n  params:\n    BCP-02: {retention: 3}\n",
        ':7: BCP-02 has no parameter "retention".',
    ),
    "overrides a parameter with text": (
        ONLY_GCP + "controls:\n  params:\n    BCP-02: {retention_days: many}\n",
        ":7: BCP-02: the parameter retention_days",
    ),
    "selects a control that does not exist": (
        ONLY_GCP + "controls: {only: [BCP-99]}\n",
        'The control id "BCP-99" does not exist.',
    ),
    "names a waiver file that is not there": (ONLY_GCP + "waivers: waivers.yaml\n", "waivers.yaml: The file does not exist."),
    "names a folder of controls that is not there": (ONLY_GCP + "controls: {folders: [mine]}\n", "mine"),
}  # fmt: skip


@pytest.mark.parametrize("name", SCOPES)
def test_a_scope_that_is_mistaken_is_named_with_its_line(call, tmp_path: Path, name: str) -> None:
    text, part = SCOPES[name]
    scope = tmp_path / "compliancectl.yaml"
    scope.write_text(text)
    said = call("collect", "--scope", scope, "--output", tmp_path / "run")
    said.refused(2, part, *(["Did you mean"] if "Unknown key" in part else []))
    assert not (tmp_path / "run").exists()


def test_several_mistakes_are_named_at_once(call, tmp_path: Path) -> None:
    scope = tmp_path / "compliancectl.yaml"
    scope.write_text("organisation: A\nsystem: 3\nsources:\n  gcp: {projects: [larkspur-prod]}\n")
    said = call("doctor", "--scope", scope)
    assert said.code == 2 and "compliancectl.yaml:1: " in said.err and "compliancectl.yaml:2: " in said.err
    assert 'Did you mean "organization"?' in said.err


@pytest.mark.parametrize(
    ("command", "only"), [("collect", "VUL-4"), ("evaluate", "vul-04"), ("run", "ZZZ-*"), ("controls list", "VUL-4")]
)
def test_an_unknown_control_id_is_refused_before_anything_runs(
    call, mine, tmp_path: Path, command: str, only: str, tree
) -> None:
    before = tree(mine.place)
    more = {
        "collect": ["--scope", mine.scope, "-o", tmp_path / "out"],
        "evaluate": [mine.run, "--scope", mine.scope],
        "run": ["--scope", mine.scope, "--key", mine.key, "-o", tmp_path / "out"],
    }.get(command, [])
    call(*command.split(), *more, "--only", only).refused(2, only, "VUL-04" if only != "ZZZ-*" else "controls list")
    assert tree(mine.place) == before and not (tmp_path / "out").exists()


def with_control(scope: Path, change: Callable[[str], str], name: str = "ACME-01-tested.yaml") -> Path:
    """Add a folder with one control of the organisation's own: VUL-04 under another id, changed."""
    source = next(controls_folder().glob("*/VUL-04*.yaml")).read_text()
    file = scope.parent / "mine" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(change(source.replace("id: VUL-04", "id: ACME-01")))
    scope.write_text(scope.read_text().replace("only: [VUL-04]", 'only: ["ACME-*"]\n  folders: [mine]'))
    return file


def line_of(file: Path, part: str) -> int:
    return next(n for n, line in enumerate(file.read_text().splitlines(), 1) if part in line)


def test_a_control_of_ones_own_runs(call, project: Path, tmp_path: Path) -> None:
    with_control(project, lambda text: text)
    assert call("collect", "--scope", project, "-o", tmp_path / "run").code == 0
    said = call("evaluate", tmp_path / "run", "--scope", project)
    assert said.code == 0 and "ACME-01" in said.out


TYPOS = {
    "a misspelt key": ("remediation:", "remedation:", 'Did you mean "remediation"?'),
    "a misspelt column": ("performed_by", "performd_by", "performd_by"),
    "a misspelt table": ("document.attestation", "document.atestation", "document.attestation"),
    "another severity": ("severity: ", "severity: very-", "severity must be one of"),
}


@pytest.mark.parametrize(("command", "name"), [("run", "a misspelt column"), *(("collect", name) for name in TYPOS)])
def test_a_control_with_a_typo_is_refused_before_anything_is_collected(
    call, project: Path, finished, tmp_path: Path, name: str, command: str
) -> None:
    right, wrong, part = TYPOS[name]
    file = with_control(project, lambda text: text.replace(right, wrong))
    more = ["--key", finished.key] if command == "run" else []
    said = call(command, "--scope", project, "-o", tmp_path / "out", *more)
    said.refused(2, f"{file}:", part)
    assert not list(tmp_path.glob("out/**/item.json")) and not list(tmp_path.glob("out/**/SHA256SUMS"))


def test_two_controls_with_one_id_are_both_named(call, project: Path, tmp_path: Path) -> None:
    file = with_control(project, lambda text: text)
    other = file.with_name("ACME-01-again.yaml")
    other.write_text(file.read_text())
    said = call("collect", "--scope", project, "-o", tmp_path / "run")
    said.refused(2, file.name, other.name)
    assert not (tmp_path / "run").exists()


def test_a_control_with_the_id_of_a_shipped_one_is_refused(call, project: Path, tmp_path: Path) -> None:
    with_control(project, lambda text: text.replace("ACME-01", "VUL-04"), "VUL-04-mine.yaml")
    call("collect", "--scope", project, "-o", tmp_path / "run").refused(2, "VUL-04-mine.yaml", "VUL-04")


WAIVER = """\
waivers:
  - id: W-1
    control: {control}
    items: [study-companion]
    checks: [{check}]
    approver: ciso
    reason: The test is booked.
    approved: 2026-01-01
    expires: 2026-12-31
"""


@pytest.mark.parametrize(
    ("control", "check", "line", "part"),
    [("VUL-4", "x", 3, "VUL-04"), ("VUL-04", "within_a_yer", 5, "within_a_yer")],
)
def test_a_waiver_for_what_does_not_exist_is_refused(
    call, project: Path, tmp_path: Path, control: str, check: str, line: int, part: str
) -> None:
    project.write_text(project.read_text() + "waivers: waivers.yaml\n")
    (project.parent / "waivers.yaml").write_text(WAIVER.format(control=control, check=check))
    call("collect", "--scope", project, "-o", tmp_path / "run").refused(2, f"waivers.yaml:{line}: ", part)
    assert not (tmp_path / "run").exists()


def not_looked(call, scope: Path, run: Path, only: str, *parts: str) -> None:
    """Collect ends with 3, the source, the reason and what to do; judging it says inconclusive and never passes."""
    said = call("collect", "--scope", scope, "--only", only, "-o", run)
    assert said.code == 3 and "Traceback" not in said.err, said
    for part in (*parts, "collect --resume --output"):
        assert part in said.err, said.err
    judged = call("evaluate", run, "--scope", scope, "--only", only)
    assert judged.code == 3 and "inconclusive" in judged.out and "0 of 1 control" in judged.out


@pytest.mark.parametrize("content", [None, "{", '{"type": "service_account"}'])
def test_credentials_that_cannot_be_read_are_denied(
    call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    key = tmp_path / "key.json"
    if content is not None:
        key.write_text(content)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
    scope = tmp_path / "compliancectl.yaml"
    scope.write_text(ONLY_GCP)
    not_looked(call, scope, tmp_path / "run", "BCP-01", "denied", "gcp.sql_instances", "GOOGLE_APPLICATION_CREDENTIALS")


@contextmanager
def port_that_answers(data: bytes) -> Iterator[int]:
    """A port that says the same to everyone and hangs up."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                connection.sendall(data)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def test_a_host_that_is_not_reached_has_failed(call, tmp_path: Path) -> None:
    scope = tmp_path / "compliancectl.yaml"
    scope.write_text(ONLY_PG % f"host=127.0.0.1 port={closed_port()} dbname=app user=reader")
    not_looked(call, scope, tmp_path / "run", "RLS-01", "failed", "postgres.relations app", "unreachable", "Check host")


ONLY_GITHUB = "organization: A\nsystem: B\nsources:\n  github: {organization: acme, base_url: 'http://127.0.0.1:%d', production: {app: []}}\n"
ONLY_CLOUD_SQL = """\
organization: A
system: B
sources:
  postgres:
    databases:
      - {name: app, cloud_sql: {instance: "p:r:i", user: u, database: d}, app_roles: [app], tenant_keys: [organization_id]}
"""


@pytest.mark.parametrize("source", ["github", "gcp", "postgres"])
def test_an_address_that_nobody_listens_at_is_named(
    call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    port, scope = closed_port(), tmp_path / "compliancectl.yaml"
    monkeypatch.setenv("GITHUB_TOKEN", "x")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    write_google_key(tmp_path / "key.json", f"http://127.0.0.1:{port}/token")
    scope.write_text({"github": ONLY_GITHUB % port, "gcp": ONLY_GCP, "postgres": ONLY_CLOUD_SQL}[source])
    only = {"github": "SDL-07", "gcp": "BCP-05", "postgres": "RLS-01"}[source]
    said = call("collect", "--scope", scope, "--only", only, "--deadline", "1", "-o", tmp_path / "run")
    assert said.code == 3 and "Traceback" not in said.err
    for part in (f"failed    {source}.", "unreachable: ", f"(127.0.0.1:{port}): Connection refused", "Check the "):
        assert part in said.err, said.err
    assert source != "github" or "If the scope file sets this address, correct it there" in said.err


def write_google_key(file: Path, token_uri: str) -> None:
    """The key file of a service account whose tokens come from `token_uri`."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    key = rsa.generate_private_key(65537, 2048).private_bytes(*form).decode()
    said = {"type": "service_account", "private_key": key, "client_email": "a@p.iam", "token_uri": token_uri}
    file.write_text(json.dumps(said))


def test_a_port_that_answers_with_garbage_has_failed(call, tmp_path: Path) -> None:
    scope = tmp_path / "compliancectl.yaml"
    with port_that_answers(b"SSH-2.0-OpenSSH_9.9\r\n") as port:
        scope.write_text(ONLY_PG % f"host=127.0.0.1 port={port} dbname=app user=reader")
        not_looked(call, scope, tmp_path / "run", "RLS-01", "failed", "garbage", "not PostgreSQL", "Check the host")


def test_a_wrong_password_is_denied_and_not_printed(call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from compliancectl.sandbox.postgres.server import start

    server = start(16, "local all postgres trust\nlocal all all scram-sha-256\n")
    try:
        with server.connect() as connection:
            connection.execute(b"create role reader login password 'right'")
        monkeypatch.setenv("PGPASSWORD", "marigold-7")
        scope = tmp_path / "compliancectl.yaml"
        scope.write_text(ONLY_PG % f"host={server.folder} dbname=postgres user=reader")
        not_looked(call, scope, tmp_path / "run", "RLS-01", "denied", "postgres.relations app", "reader")
        said = call("doctor", "--scope", scope)
        assert said.code == 3 and "marigold-7" not in said.out + said.err
    finally:
        server.stop()
    kept = b"".join(f.read_bytes() for f in (tmp_path / "run").rglob("*") if f.is_file())
    assert b"marigold-7" not in kept


SEALED = {
    "collect": lambda p, at: ["collect", "--scope", p.scope, "-o", at],
    "collect --resume": lambda p, at: ["collect", "--scope", p.scope, "-o", at, "--resume"],
    "bundle": lambda p, at: ["bundle", p.run, "-o", at, "--key", p.key],
    "bundle --zip": lambda p, at: ["bundle", p.run, "-o", p.place / "b2", "--zip", at / "b.zip", "--key", p.key],
    "run": lambda p, at: ["run", "--scope", p.scope, "-o", at, "--key", p.key],
    "run --resume": lambda p, at: ["run", "--scope", p.scope, "-o", at, "--key", p.key, "--resume"],
    "report": lambda p, at: ["report", "assessment", p.bundle, "-o", at / "report.pdf"],
}


@pytest.mark.parametrize(("name", "inside"), [*((n, "") for n in SEALED), ("collect", "a/b"), ("report", "results")])
def test_a_sealed_bundle_is_never_written_to(call, mine, tree, name: str, inside: str) -> None:
    before = tree(mine.place)
    call(*SEALED[name](mine, mine.bundle / inside)).refused(2, str(mine.bundle), "sealed bundle")
    assert tree(mine.place) == before
    assert call("verify", mine.bundle, "--key", mine.public).code == 0


@pytest.mark.parametrize("more", [[], ["--resume"]])
def test_run_leaves_the_bundle_of_an_earlier_run(call, mine, tree, more: list[str]) -> None:
    before = tree(mine.place)
    call("run", "--scope", mine.scope, "-o", mine.place, "--key", mine.key, *more).refused(2, "sealed bundle")
    assert tree(mine.place) == before


def test_evaluate_and_demo_leave_a_sealed_bundle(call, mine, tree) -> None:
    before = tree(mine.place)
    call("evaluate", mine.bundle, "--scope", mine.scope).refused(2, "sealed bundle")
    call("demo", "-o", mine.bundle).refused(2, str(mine.bundle))
    call("demo", "-o", mine.bundle / "deeper").refused(2, str(mine.bundle))
    assert tree(mine.place) == before


@pytest.mark.parametrize(("place", "part"), [("compliancectl.yaml", "Not a directory"), ("documents", "not empty")])
def test_demo_leaves_what_it_did_not_make(call, mine, tree, place: str, part: str) -> None:
    before = tree(mine.place)
    call("demo", "-o", mine.place / place).refused(2, place, part)
    assert tree(mine.place) == before


def test_an_archive_is_never_overwritten(call, mine, tree) -> None:
    before = tree(mine.place)
    call("bundle", mine.run, "-o", mine.place / "b2", "--zip", mine.archive, "--key", mine.key).refused(
        2, str(mine.archive), "never overwritten"
    )
    assert tree(mine.place) == before


def test_a_run_that_was_altered_is_not_sealed(call, mine) -> None:
    item = next(mine.run.rglob("item.json"))
    item.write_bytes(item.read_bytes().replace(b'"environment":"production"', b'"environment":"production "'))
    call("bundle", mine.run, "-o", mine.place / "b2", "--key", mine.key).refused(4, "not sealed")
    assert not (mine.place / "b2" / "SHA256SUMS").exists()


def test_evidence_that_is_altered_and_judged_again_is_not_sealed(call, mine) -> None:
    """Exchanged between collect and evaluate: the run record names the digest of what was collected."""
    item = next(mine.run.rglob("item.json"))
    item.write_bytes(item.read_bytes().replace(b'"environment":"production"', b'"environment":"staging"'))
    call("evaluate", mine.run, "--scope", mine.scope)
    call("bundle", mine.run, "-o", mine.place / "b2", "--key", mine.key).refused(4, "run.json", "not sealed")


STAGES = {
    "evaluate": (lambda p: ["evaluate", p.place / "empty", "--scope", p.scope], 3),
    "bundle": (lambda p: ["bundle", p.place / "empty", "-o", p.place / "b2", "--key", p.key], 3),
    "report": (lambda p: ["report", "assessment", p.place / "empty", "-o", p.place / "r.pdf"], 3),
    "frameworks": (lambda p: ["frameworks", "--run", p.place / "empty"], 3),
}


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_before_its_time_says_which_comes_first(call, mine, name: str) -> None:
    (mine.place / "empty").mkdir()
    arguments, code = STAGES[name]
    said = call(*arguments(mine))
    said.refused(code, "empty")
    assert "Run `compliancectl " in said.hint
    assert not (mine.place / "b2").exists() and not (mine.place / "r.pdf").exists()


@pytest.mark.parametrize(
    ("record", "damage"),
    [("run.json", b""), ("run.json", b"\xff"), ("results/results.json", b"{"), ("item.json", b"[]")],
)
def test_a_damaged_record_is_a_bad_file_and_not_a_bug(call, mine, record: str, damage: bytes) -> None:
    file = next(mine.run.rglob(record)) if record == "item.json" else mine.run / record
    file.write_bytes(damage)
    commands = {
        "run.json": ["evaluate", mine.run, "--scope", mine.scope],
        "item.json": ["evaluate", mine.run, "--scope", mine.scope],
        "results/results.json": ["frameworks", "soc2", "--run", mine.run],
    }
    call(*commands[record]).refused(2, str(file))
    bundled = call("bundle", mine.run, "-o", mine.place / "b2", "--key", mine.key)
    bundled.refused(2 if record == "run.json" else 4)
    assert not (mine.place / "b2" / "SHA256SUMS").exists()


def test_the_scope_may_override_a_control_that_is_not_selected(call, mine) -> None:
    text = mine.scope.read_text().replace("only: [VUL-04]", "only: [VUL-04]\n  params: {BCP-02: {retention_days: 35}}")
    mine.scope.write_text(text)
    assert call("evaluate", mine.run, "--scope", mine.scope).code == 0


@pytest.mark.parametrize("place", ["nowhere", "file"])
@pytest.mark.parametrize("command", ["store list {}", "store hold {} x --reason y", "tables list {}"])
def test_a_store_that_is_not_there_is_no_empty_one(call, tmp_path: Path, place: str, command: str) -> None:
    (tmp_path / "file").touch()
    call(*command.format(tmp_path / place).split()).refused(2, f"{tmp_path / place} is no folder")


@pytest.mark.parametrize("command", ["controls check", "controls test"])
def test_a_folder_without_controls_is_none_that_pass(call, tmp_path: Path, command: str) -> None:
    call(*command.split(), tmp_path).refused(2, f"{tmp_path} holds no control file")


@pytest.mark.parametrize("command", ["evidence {}", "replay {}", "summary {}", "export junit {} -o {}.xml"])
def test_what_does_not_verify_is_named(call, tmp_path: Path, command: str) -> None:
    place = tmp_path / "no-bundle"
    place.mkdir()
    call(*command.replace("{}", str(place)).split()).refused(4, f"{place} does not verify, step 3: ")


@pytest.mark.parametrize("command", ["export junit", "report gaps", "summary"])
def test_a_pipe_or_a_device_is_not_replaced_by_a_file(call, finished, tmp_path: Path, command: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    said = call(*command.split(), finished.bundle, "-o", tmp_path / "pipe")
    assert said.code == 2 and "pipe" in said.err and "file" in said.hint
    assert (tmp_path / "pipe").is_fifo() and list(tmp_path.iterdir()) == [tmp_path / "pipe"]


def test_an_instant_that_is_none_is_refused(call, finished) -> None:
    call("evaluate", finished.run, "--scope", finished.scope, "--as-of", "yesterday").refused(2, "'yesterday'")


def test_one_hint_is_enough_for_all_feeds_that_fail_for_one_reason(
    call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "nowhere.json"))
    scope = tmp_path / "compliancectl.yaml"
    scope.write_text(ONLY_GCP)
    said = call("collect", "--scope", scope, "--only", "BCP-*", "-o", tmp_path / "run")
    assert said.err.count("○ denied") > 2 and said.err.count("gcloud auth application-default login") == 1


@pytest.mark.parametrize(
    ("engine", "certificate", "parts"),
    [
        ("sprak", None, ('there is no engine "sprak"', 'Did you mean "spark"?')),
        ("spark", None, ("spark is not certified", "engines certify spark")),
        ("spark", b"{}", ("is no certificate of an engine", "engines certify spark")),
    ],
)
def test_an_engine_without_a_certificate_is_not_asked(
    call, mine, tmp_path: Path, engine: str, certificate: bytes | None, parts: tuple[str, ...]
) -> None:
    file = tmp_path / "certificate.json"
    if certificate is not None:
        file.write_bytes(certificate)
    given = ["--scope", mine.scope, "--engine", engine, "--certificate", file]
    call("evaluate", mine.run, *given).refused(2, *parts)
