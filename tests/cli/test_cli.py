"""The command line as scripts and people meet it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from compliancectl.cli import app, registry

HEAVY = (
    "typer",
    "rich",
    "pydantic",
    "duckdb",
    "google",
    "grpc",
    "requests",
    "psycopg",
    "github",
    "jinja2",
    "weasyprint",
    "cryptography",
    "yaml",
    "msgspec",
    "sqlglot",
    "pyspark",
    "graphql",
    "rfc8785",
)

SUBCOMMANDS = [
    "claims check",
    "claims show",
    "collectors list",
    "collectors permissions",
    "collectors show",
    "controls check",
    "controls docs",
    "controls list",
    "controls new",
    "controls show",
    "controls test",
    "documents expiring",
    "documents list",
    "documents new",
    "documents request",
    "engines certify",
    "engines list",
    "keys new",
    "ledger add",
    "ledger check",
    "ledger check-consistency",
    "ledger check-proof",
    "ledger consistency",
    "ledger coverage",
    "ledger new",
    "ledger proof",
    "ledger show",
    "postgres install-views",
    "postgres isolation",
    "postgres suggest",
    "redactions check",
    "redactions destroy",
    "redactions list",
    "redactions open",
    "reviews check",
    "reviews new",
    "store get",
    "store hold",
    "store list",
    "store purge",
    "store put",
    "store release",
    "tables get",
    "tables list",
    "tables publish",
    "waivers check",
    "waivers list",
    "waivers new",
]
GROUPS = {name.partition(" ")[0] for name in SUBCOMMANDS}
COMMANDS = [*[name for name in registry.COMMANDS if name not in GROUPS], *SUBCOMMANDS]


def call(
    *arguments: str, cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "compliancectl", *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **(env or {})},
    )


@pytest.mark.parametrize("arguments", [["--help"], [], ["--version"], ["-h"]])
def test_the_overview_imports_no_library(arguments: list[str]) -> None:
    script = (
        "import sys\nfrom compliancectl.cli import main\n"
        f"sys.argv = ['compliancectl', *{arguments!r}]\nmain()\n"
        f"print('LOADED', sorted({set(HEAVY)!r} & set(m.partition('.')[0] for m in sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.endswith("LOADED []\n"), done.stdout


def test_the_overview_names_every_command_and_exit_code() -> None:
    text = registry.overview()
    for name, command in registry.COMMANDS.items():
        assert f"  {name} " in text and command.summary in text
    for code in ("0 ", "1 ", "2 ", "3 ", "4 ", "70 ", "130 "):
        assert code in text


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run([*command.split(), "--help"]) == 0
    text = capsys.readouterr().out
    assert "Usage: compliancectl" in text and f"Example: compliancectl {command}" in " ".join(text.split())


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["verfy"], "Did you mean 'verify'?"),
        (["controls", "shwo"], "shwo"),
        (["collect", "--nope"], "--nope"),
        (["collect", "--deadline", "soon"], "--deadline"),
        (["report", "assessment"], "bundle"),
        (["collectors", "show", "gcp.sql_instanc"], "gcp.sql_instance"),
        (["collectors", "permissions", "gpc"], "gcp"),
        (["frameworks", "soc3"], "soc2"),
        (["controls", "show", "BCP-2"], "BCP-02"),
        (["demo", "--fault", "no-such-fault"], "--list-faults"),
        (["verify", "no-such-bundle"], "does not exist"),
    ],
)
def test_a_mistake_in_the_arguments_is_exit_2_with_a_way_out(
    arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(arguments) == 2
    errors = capsys.readouterr().err
    assert part in errors and "Traceback" not in errors


def test_init_writes_a_scope_that_loads_and_leaves_an_existing_one(tmp_path: Path) -> None:
    from compliancectl import load, plugins
    from compliancectl.sections import validate_sections

    file = tmp_path / "compliancectl.yaml"
    assert app.run(["init", str(file)]) == 0
    scope = load.load_scope(file)
    validate_sections(scope, {name: plugins.collector(name) for name in scope.sources})
    before = file.read_bytes()
    assert app.run(["init", str(file)]) == 2 and file.read_bytes() == before


def test_the_commented_parts_of_the_scope_hold_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What `init` writes as comments is what people switch on first: it must name what exists."""
    file = tmp_path / "compliancectl.yaml"
    assert app.run(["init", str(file)]) == 0
    lines = file.read_text().splitlines()
    on = [re.sub(r"^# (?=(period|controls|left_out|waivers):|  +\S)", "", line) for line in lines]
    assert sum(a != b for a, b in zip(lines, on, strict=True)) >= 6
    file.write_text("\n".join(on) + "\n")
    (tmp_path / "waivers.yaml").write_text("waivers: []\n")
    (tmp_path / "controls").mkdir()
    capsys.readouterr()
    # The scope is read and its selection made before the (missing) run is looked at.
    assert app.run(["evaluate", str(tmp_path / "run"), "--scope", str(file)]) == 3, capsys.readouterr().err


def test_output_is_readable_without_colour_and_data_goes_to_stdout() -> None:
    done = call("controls", "list", env={"NO_COLOR": "1"})
    assert done.returncode == 0 and "BCP-02" in done.stdout and "\x1b" not in done.stdout + done.stderr


def test_lists_speak_json() -> None:
    for arguments in (["controls", "list"], ["collectors", "list"], ["frameworks", "soc2"]):
        done = call(*arguments, "--format", "json")
        assert done.returncode == 0 and json.loads(done.stdout)


def test_a_reader_that_goes_away_is_no_error() -> None:
    done = subprocess.run(
        [
            "bash",
            "-c",
            f"{sys.executable} -m compliancectl frameworks gdpr --format json | head -1; exit ${{PIPESTATUS[0]}}",
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr


def test_new_control_passes_check_but_for_what_its_author_must_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(["controls", "new", "ACME-01", "--reads", "postgres.role", "--folder", str(tmp_path)]) == 0
    (file,) = tmp_path.glob("ACME-01*.yaml")
    capsys.readouterr()
    code = app.run(["controls", "check", str(file)])
    said = capsys.readouterr().err
    assert code == 0 or all("TODO" in line for line in said.splitlines() if line.strip()), said


def test_a_bug_is_exit_70_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("compliancectl.sandbox.company.faults", lambda: 1 / 0)
    assert app.run(["demo", "--list-faults"]) == 70
    errors = capsys.readouterr().err
    assert "ZeroDivisionError" in errors and "COMPLIANCECTL_DEBUG" in errors and "Traceback" not in errors


@pytest.mark.parametrize("width", ["60", "80", "200"])
def test_a_table_is_shown_with_its_sources_uncut_and_how_new_it_is(
    width: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    assert app.run(["collectors", "show", "gcp.enabled_api"]) == 0
    out = capsys.readouterr().out
    assert "…" not in out and "freshness: as it was when the API was asked; below an organisation" in out
    if width == "200":
        assert "serviceusage.v1#GoogleApiServiceusageV1Service:name" in out
