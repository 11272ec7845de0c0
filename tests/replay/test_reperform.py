"""Reperformance: what is as it was, what changed since, and what could not be fetched."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from compliancectl.cli import app
from compliancectl.sandbox import company as definition
from compliancectl.sandbox.run import running
from compliancectl.seal import keys


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("reperform")
    key = keys.new_key(place / "ci")
    with running(definition.load(), place / "company", only=("documents",)) as box:
        scope = ["--scope", str(box.scope_file), "--only", "VND-02"]
        assert app.run(["collect", *scope, "-o", str(place / "run")]) == 0
        assert app.run(["evaluate", str(place / "run"), *scope]) in (0, 1)
        assert app.run(["bundle", str(place / "run"), "-o", str(place / "bundle"), "--key", str(key.private)]) == 0
        (place / "scope").symlink_to(box.scope_file)
        yield place


def again(place: Path, capsys: pytest.CaptureFixture[str], *more: str, scope: Path | None = None) -> tuple[int, Any]:
    capsys.readouterr()
    file = scope or (place / "scope").resolve()
    command = ["reperform", str(place / "bundle"), "--seed", "2026-17", "--scope", str(file), "--format", "json", *more]
    code = app.run(command)
    out = capsys.readouterr().out
    return code, json.loads(out) if out else None


def test_the_same_is_said_to_be_the_same(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = again(place, capsys, "--key", str(place / "ci.pub.pem"))
    assert code == 0 and found["frame"] == len(found["items"]) > 0
    for item in found["items"]:
        assert item["md5"] == hashlib.md5(b"2026-17" + item["id"].encode()).hexdigest()
    assert sum(table["same"] for item in found["items"] for table in item["tables"]) > 3
    assert (
        app.run(["reperform", str(place / "bundle"), "--seed", "s", "--scope", str((place / "scope").resolve())]) == 0
    )
    assert "differ, 0 not fetched" in capsys.readouterr().out


def test_what_changed_since_is_named(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = (place / "scope").resolve().parent / "documents"
    register = next(file for file in sorted(folder.rglob("*.csv")) if "vendor" in file.read_text().lower())
    before = register.read_bytes()
    head, _, *rest = before.decode().splitlines()
    try:
        register.write_text("\n".join([head, *rest]) + "\n")
        code, found = again(place, capsys)
        kinds = {change["kind"] for item in found["items"] for table in item["tables"] for change in table["changes"]}
        assert code == 1 and "only then" in kinds
        command = ["reperform", str(place / "bundle"), "--seed", "s", "--scope", str((place / "scope").resolve())]
        assert app.run(command) == 1 and "only then" in capsys.readouterr().out
    finally:
        register.write_bytes(before)


def test_what_cannot_be_fetched_is_not_the_same(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = tmp_path / "mine.yaml"
    elsewhere.write_text((place / "scope").resolve().read_text())  # its documents would lie here, and do not
    code, found = again(place, capsys, scope=elsewhere)
    assert code == 3 and {item["status_now"] for item in found["items"]} == {"failed"}
    assert all(item["reason"] for item in found["items"])


def test_an_altered_bundle_is_not_reperformed(place: Path, tmp_path: Path) -> None:
    assert app.run(["reperform", str(tmp_path / "none"), "--seed", "s"]) == 2
    assert app.run(["reperform", str(place / "bundle"), "--seed", ""]) == 2
    keys.new_key(tmp_path / "other")
    command = ["reperform", str(place / "bundle"), "--seed", "s", "--key", str(tmp_path / "other.pub.pem")]
    assert app.run(command) == 4
