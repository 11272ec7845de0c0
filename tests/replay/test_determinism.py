"""The same evidence, controls and version give the same bytes, wherever and however the program is run."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from compliancectl.cli import app
from compliancectl.sandbox import company as definition
from compliancectl.sandbox.run import running
from compliancectl.seal import keys

ODD = {
    "TZ": "America/St_Johns",  # half an hour off
    "LANG": "tr_TR.UTF-8",  # upper and lower case of i
    "LC_ALL": "C",
    "PYTHONHASHSEED": "4711",
    "PYTHONUTF8": "0",
    "COLUMNS": "40",
}


def tree(folder: Path) -> dict[str, str]:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("determinism")
    keys.new_key(place / "ci")
    with running(definition.load(), place / "company", only=("documents",)) as box:
        select = ["--scope", str(box.scope_file), "--only", "VND-02", "--only", "GOV-04"]
        assert app.run(["collect", *select, "-o", str(place / "run")]) == 0
        (place / "scope").symlink_to(box.scope_file)
    return place


def stages(place: Path, name: str, python: str, surroundings: dict[str, str]) -> tuple[dict[str, str], bytes]:
    run, key, scope = (
        shutil.copytree(place / "run", place / f"run-{name}"),
        place / "ci.pem",
        (place / "scope").resolve(),
    )
    for command in (
        ["evaluate", run, "--scope", scope, "--only", "VND-02", "--only", "GOV-04"],
        ["bundle", run, "-o", place / name, "--zip", place / f"{name}.zip", "--key", key],
    ):
        if not python:  # in this process, whatever its surroundings are
            assert app.run([*map(str, command)]) in (0, 1, 3)
            continue
        kept = {key: value for key, value in os.environ.items() if key not in ODD}
        done = subprocess.run(
            [python, "-m", "compliancectl", *map(str, command)],
            env={**kept, **surroundings},
            cwd=place,
            capture_output=True,
            check=False,
        )
        assert done.returncode in (0, 1, 3), done.stderr
    return tree(place / name), (place / f"{name}.zip").read_bytes()


def test_zone_locale_and_hash_seed_change_no_byte(place: Path) -> None:
    plain = stages(place, "plain", "", {})
    assert len(plain[0]) > 10
    assert stages(place, "odd", sys.executable, ODD) == plain


OTHERS = [python for python in os.environ.get("COMPLIANCECTL_OTHER_PYTHONS", "").split(":") if python]


@pytest.mark.skipif(not OTHERS, reason="COMPLIANCECTL_OTHER_PYTHONS names no other interpreters to compare with")
def test_other_versions_of_python_change_no_byte(place: Path) -> None:
    here = stages(place, "here", sys.executable, {})
    for number, python in enumerate(OTHERS):
        assert stages(place, f"other-{number}", python, ODD) == here, python
