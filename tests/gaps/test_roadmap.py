"""Milestones as they are true on the day they are read, and what is to be closed before each."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from claimed import Call
from claimed import call as call

from compliancectl import clock
from compliancectl.cli import app
from compliancectl.collectors.documents.kinds import REGISTERS

SCOPE = """\
organization: Larkspur Learning, Inc.
system: Study Companion
controls: {only: [GOV-08, GOV-04]}
sources:
  documents: {folder: documents}
"""
NOW = clock.now()


def day(days: int) -> str:
    return f"{NOW + timedelta(days=days):%Y-%m-%d}"


def register(folder: Path, kind: str, *rows: str) -> None:
    file = folder / f"{kind}.csv"
    file.write_text("\n".join([REGISTERS[kind].header, *rows]) + "\n")
    said = f"kind: {kind}\nsubject: x\ntitle: x\nowner: security\nissued: {day(-3)}\n"
    file.with_name(f"{file.name}.yaml").write_text(said)


def judged(place: Path, *milestones: str) -> Path:
    """A run of a company with these milestones and two findings, both due in 30 days."""
    folder = place / "documents"
    folder.mkdir()
    (folder / "proof.pdf").write_text("proof")
    register(folder, "milestone-register", *milestones)
    kinds = [
        f"R-{n},x,{kind},1,1,security,accept,{day(-5)}" for n, kind in enumerate(("fraud", "vendor", "privacy", "ai"))
    ]
    register(folder, "risk-register", *kinds, f"R-9,A wrong change,change,9,1,,accept,{day(-5)}")
    scope = place / "compliancectl.yaml"
    scope.write_text(SCOPE)
    app.run(["collect", "--scope", str(scope), "--output", str(place / "run")])
    app.run(["evaluate", str(place / "run"), "--scope", str(scope)])
    return place / "run"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return judged(
        tmp_path_factory.mktemp("company"),
        f"M-1,Auditor engaged,lead,{day(-60)},{day(-80)},proof.pdf",
        f"M-2,Type 1 report,lead,{day(60)},,",
        f"M-3,Attestation,lead,{day(10)},,",
        f"M-4,Penetration test,lead,{day(-4)},,",
        f"M-5,Training,,{day(-50)},{day(-51)},gone.pdf",
    )


def test_each_milestone_stands_as_it_is_true_today(run: Path, call: Call) -> None:
    said = call("roadmap", run, "--format", "json")
    found = {m["id"]: m for m in said.data["milestones"]}
    assert list(found) == ["M-1", "M-5", "M-4", "M-3", "M-2"], "by the day they are due"
    states = {id: (m["state"], m["days"]) for id, m in found.items()}
    assert states == {
        "M-1": ("reached", -60), "M-5": ("hollow", -50), "M-4": ("missed", -4), "M-3": ("ahead", 10), "M-2": ("ahead", 60),
    }  # fmt: skip
    assert said.code == 1


def test_findings_are_open_before_a_milestone_when_they_are_due_before_it(run: Path, call: Call) -> None:
    found = {m["id"]: m.get("open_before", []) for m in call("roadmap", run, "--format", "json").data["milestones"]}
    gaps = {
        gap["check"]: gap for gap in call("gaps", run, "--format", "json").data["gaps"] if gap["control"] == "GOV-04"
    }
    assert {gaps["rated"]["id"], gaps["owned"]["id"]} <= set(found["M-2"])
    assert not found["M-3"] and not found["M-4"], "their own date is after it, or it is past"


def test_the_text_and_markdown_say_it(run: Path, call: Call) -> None:
    text = " ".join(call("roadmap", run).out.split())
    assert "Penetration test 4 days ago, missed lead" in text
    assert "Training 50 days ago, said to be reached, and nothing shows it nobody" in text
    assert "Nobody answers for the risk R-9" in text and "3 of 5 milestones are true today." in text
    paper = call("roadmap", run, "--format", "markdown").out
    assert f"## {day(60)}: Type 1 report" in paper and "To be closed before: " in paper


def test_a_roadmap_that_holds_ends_with_0(tmp_path: Path, call: Call) -> None:
    run = judged(tmp_path, f"M-2,Type 1 report,lead,{day(60)},,")
    assert call("roadmap", run).code == 0


def test_without_a_register_nothing_is_told(tmp_path: Path, call: Call) -> None:
    scope = tmp_path / "compliancectl.yaml"
    scope.write_text(SCOPE.replace("GOV-08, ", ""))
    (tmp_path / "documents").mkdir()
    call("collect", "--scope", scope, "--output", tmp_path / "run")
    call("evaluate", tmp_path / "run", "--scope", scope)
    said = call("roadmap", tmp_path / "run")
    assert said.code == 3 and "GOV-08 is not among the controls that were judged" in said.err
