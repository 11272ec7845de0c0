"""Exports as a whole: verified first, whole or not there, the same bytes every time."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compliancectl.cli import app
from compliancectl.errors import VerifyError
from compliancectl.export import KINDS, export


def bytes_of(path: Path) -> dict[str, bytes]:
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return {str(f.relative_to(path)): f.read_bytes() for f in files if f.is_file()}


def test_the_bundle_has_every_outcome(made: Any) -> None:
    outcomes = {control.id: control.outcome for control in made.results.controls}
    assert outcomes == {
        "TST-01": "no deviations",
        "TST-02": "inconclusive",
        "TST-03": "inconclusive",
        "TST-04": "inconclusive",
        "TST-05": "no occurrences",
        "TST-06": "deviations",
    }


@pytest.mark.parametrize("kind", KINDS)
def test_folder_and_archive_give_the_same_bytes(
    kind: str, made: Any, exported: Callable[[str], Path], tmp_path: Path
) -> None:
    export(kind, made.folder, tmp_path / "out")
    assert bytes_of(tmp_path / "out") == bytes_of(exported(kind))


def test_an_altered_bundle_is_not_exported(made: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    altered = Path(shutil.copytree(made.folder, tmp_path / "bundle"))
    items = altered / "results" / "items" / "TST-02.reviewed-merges.jsonl"
    items.write_bytes(items.read_bytes().replace(b'"fail"', b'"pass"', 1))
    assert app.run(["export", "junit", str(altered), "-o", str(tmp_path / "out.xml")]) == 4
    assert "TST-02.reviewed-merges.jsonl" in capsys.readouterr().err
    assert [entry.name for entry in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("junit", "oscal", "oscal-1.1.3")])
def test_items_that_change_after_verification_are_noticed(kind: str, made: Any, tmp_path: Path) -> None:
    altered = Path(shutil.copytree(made.folder, tmp_path / "bundle"))
    items = altered / "results" / "items" / "TST-02.reviewed-merges.jsonl"
    items.write_bytes(items.read_bytes().replace(b'"fail"', b'"pass"', 1))
    with pytest.raises(VerifyError, match=r"TST-02\.reviewed-merges\.jsonl"):
        export(kind, altered, tmp_path / "out")
    assert [entry.name for entry in tmp_path.iterdir()] == ["bundle"]


def test_the_signer_is_checked_when_a_key_is_named(
    made: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out.json")
    assert app.run(["export", "sarif", str(made.archive), "-o", out, "--key", str(made.other_public)]) == 4
    assert not Path(out).exists()
    assert app.run(["export", "sarif", str(made.archive), "-o", out, "--key", str(made.public)]) == 0
    said = capsys.readouterr()
    assert said.out == f"{out}\n" and "was not checked" not in said.err
    assert app.run(["export", "sarif", str(made.archive), "-o", out]) == 0
    assert "whose signature it bears was not checked" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["export", "pdf", "{bundle}", "-o", "x"], "junit, csv"),
        (["export", "csv", "no-such", "-o", "x"], "does not exist"),
        (["export", "csv", "{bundle}", "-o", "{here}"], "something is here already"),
        (["export", "junit", "{bundle}", "-o", "{here}"], "a folder is here already"),
        (["export", "junit", "{bundle}", "-o", "{bundle}/x.xml"], "sealed bundle"),
    ],
)
def test_mistakes_are_exit_2_with_a_way_out(
    arguments: list[str], part: str, made: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled = [argument.format(bundle=made.folder, here=tmp_path) for argument in arguments]
    assert app.run(filled) == 2
    assert part in capsys.readouterr().err


def test_a_run_that_is_not_sealed_is_no_bundle(made: Any, tmp_path: Path) -> None:
    assert app.run(["export", "junit", str(made.folder.parent / "run"), "-o", str(tmp_path / "x")]) in (3, 4)
    assert not (tmp_path / "x").exists()
