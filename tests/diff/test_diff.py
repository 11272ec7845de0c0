"""Diff: what is new, what is resolved, and what nobody looked at any more."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from schema import faults

from compliancectl.cli import app
from compliancectl.sandbox import company as definition
from compliancectl.sandbox.run import Sandbox, running, write_scope
from compliancectl.seal import keys

BOTH = ("VND-02", "VUL-04")


def judged(
    place: Path,
    faults: tuple[str, ...] = (),
    params: dict[str, Any] | None = None,
    only: tuple[str, ...] = BOTH,
    change: Callable[[Sandbox], object] = lambda box: None,
) -> Path:
    """A run over the company's documents, collected and judged."""
    with running(definition.load(faults), place / "company", only=("documents",)) as box:
        write_scope(box, controls={"params": params or {}})
        change(box)
        select = ["--scope", str(box.scope_file), *(word for id in only for word in ("--only", id))]
        app.run(["collect", *select, "-o", str(place / "run")])
        app.run(["evaluate", str(place / "run"), *select])
    return place / "run"


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return judged(tmp_path_factory.mktemp("healthy"))


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two faults, and a vendor more that must be in the register."""
    params = {"VND-02": {"required_vendors": ["none", "Acme"]}}
    return judged(tmp_path_factory.mktemp("broken"), ("agreement-expired", "penetration-test-old"), params)


def compare(old: Path, new: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, Any]:
    capsys.readouterr()
    code = app.run(["diff", str(old), str(new), "--format", "json"])
    found = json.loads(capsys.readouterr().out)
    assert faults("diff", found) == []
    return code, found


def findings(found: Any) -> set[tuple[str, str, str]]:
    return {(f["kind"], f["test"], f["check"]) for f in found["findings"]}


def test_nothing_changed_between_a_run_and_itself(healthy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = compare(healthy, healthy, capsys)
    assert code == 0
    assert found["findings"] == found["scope"] == found["controls"] == found["populations"] == found["evidence"] == []


def test_new_findings_a_changed_parameter_and_a_larger_population(
    healthy: Path, broken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = compare(healthy, broken, capsys)
    assert code == 1
    assert findings(found) == {
        ("new", "VND-02.agreements", "not_expired"),
        ("new", "VND-02.agreements", "signed"),
        ("new", "VUL-04.penetration-test", "performed_or_planned"),
    }
    assert all(f["new"] == "fail" and f["sentence"] for f in found["findings"])
    controls = {c["id"]: c for c in found["controls"]}
    assert set(controls) == set(BOTH)
    assert controls["VND-02"]["params"] == [{"name": "required_vendors", "old": ["none"], "new": ["none", "Acme"]}]
    assert (controls["VUL-04"]["old_outcome"], controls["VUL-04"]["new_outcome"]) == ("no deviations", "deviations")
    (population,) = found["populations"]
    assert population["test"] == "VND-02.agreements" and population["added"] == ["vendor register#Acme"]
    assert "scope_sha256" in {change["name"] for change in found["scope"]}


def test_what_is_mended_is_resolved_and_what_left_the_population_is_gone(
    healthy: Path, broken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = compare(broken, healthy, capsys)
    assert findings(found) == {
        ("resolved", "VND-02.agreements", "not_expired"),
        ("gone", "VND-02.agreements", "signed"),
        ("resolved", "VUL-04.penetration-test", "performed_or_planned"),
    }
    (gone,) = [f for f in found["findings"] if f["kind"] == "gone"]
    assert gone["reason"] == "the item is not in the population any more"
    assert code == 3, "less is looked at than before"


def test_what_could_not_be_looked_at_is_never_resolved(
    broken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def spoil(box: Sandbox) -> None:
        folder: Path = box.parts["documents"].folder  # type: ignore[attr-defined]
        (folder / "spoilt.pdf").write_bytes(b"x")
        (folder / "spoilt.pdf.yaml").write_text("kind: [")

    blind = judged(tmp_path, only=("VND-02",), change=spoil)
    code, found = compare(broken, blind, capsys)
    assert code == 3
    assert {f["kind"] for f in found["findings"]} == {"gone"}
    reasons = {f["test"]: f["reason"] for f in found["findings"]}
    assert reasons["VUL-04.penetration-test"] == "VUL-04 is not part of this run"
    assert reasons["VND-02.agreements"].startswith("the test is inconclusive: documents/files/folder is ")
    controls = {c["id"]: c for c in found["controls"]}
    assert controls["VUL-04"]["change"] == "removed"
    assert controls["VND-02"]["new_outcome"] == "inconclusive" and controls["VND-02"]["reasons"]
    (evidence,) = found["evidence"]
    assert evidence["old"] == "collected" != evidence["new"]
    _, back = compare(blind, broken, capsys)
    assert {f["kind"] for f in back["findings"]} == {"new"}


def test_the_text_names_the_same_and_bundles_are_verified_first(
    healthy: Path, broken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = keys.new_key(tmp_path / "ci")
    for name, run in (("old", healthy), ("new", broken)):
        out = ["-o", str(tmp_path / name), "--zip", str(tmp_path / f"{name}.zip"), "--key", str(key.private)]
        assert app.run(["bundle", str(run), *out]) == 0
    capsys.readouterr()
    code = app.run(["diff", str(tmp_path / "old"), str(tmp_path / "new.zip"), "--key", str(key.public)])
    text = capsys.readouterr().out
    assert code == 1 and "3 new, 0 changed, 0 gone, 0 resolved" in text
    for part in ("vendor register#Acme", "required_vendors", "no deviations → ", "not_expired: pass → fail"):
        assert part in text
    other = keys.new_key(tmp_path / "other").public
    assert app.run(["diff", str(tmp_path / "old"), str(tmp_path / "new"), "--key", str(other)]) == 4
    assert app.run(["diff", str(healthy), str(broken), "--key", str(key.public)]) == 2
    (tmp_path / "new/results/results.json").write_bytes(b"{}")
    assert app.run(["diff", str(tmp_path / "old"), str(tmp_path / "new")]) == 4
    assert app.run(["diff", str(tmp_path / "old"), str(tmp_path / "nowhere")]) == 2


def test_items_that_are_not_those_of_the_results_are_refused(
    healthy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    run = Path(shutil.copytree(healthy, tmp_path / "run"))
    items = next(iter(sorted((run / "results/items").iterdir())))
    items.write_bytes(b"")
    assert app.run(["diff", str(healthy), str(run)]) == 2
    assert items.name in capsys.readouterr().err
