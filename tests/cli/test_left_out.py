"""What a scope leaves out is told with its reason, everywhere and for ever: disabled controls, criteria, packs of controls."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from claimed import CONTROL, Call
from claimed import call as call

from compliancectl.seal import keys

SCOPE = """\
organization: Larkspur Learning, Inc.
system: Study Companion
controls:
  folders: [mine]
  only: ["TST-*"]
  disabled:
    TST-02: We have no such paper.
left_out:
  - {framework: soc2, groups: ["privacy*", Processing integrity], reason: Not part of the engagement.}
  - {framework: gdpr, roles: [controller], reason: The parent company is the controller.}
sources:
  documents: {folder: documents}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("company")
    (place / "mine/topic").mkdir(parents=True)
    (place / "documents").mkdir()
    for id in ("TST-01", "TST-02"):
        text = CONTROL.format(id=id, kind=id.lower(), may_be_empty="may_be_empty: There need be none.\n    ")
        (place / f"mine/topic/{id}-x.yaml").write_text(text)
    (place / "compliancectl.yaml").write_text(SCOPE)
    return place


@pytest.fixture
def run(place: Path, tmp_path: Path, call: Call) -> Path:
    scope = place / "compliancectl.yaml"
    call("collect", "--scope", scope, "--output", tmp_path / "run")
    said = call("evaluate", tmp_path / "run", "--scope", scope)
    assert "– TST-02 is disabled: We have no such paper." in said.out
    assert "– 23 criteria of soc2 left out: Not part of the engagement." in said.out
    return tmp_path / "run"


def test_a_disabled_control_is_not_judged_and_its_reason_stays_in_the_results(run: Path) -> None:
    found = json.loads((run / "results/results.json").read_bytes())
    assert [control["id"] for control in found["controls"]] == ["TST-01"]
    (disabled,) = found["disabled"]
    assert (disabled["id"], disabled["reason"]) == ("TST-02", "We have no such paper.")
    assert not list((run / "catalog").rglob("TST-02*"))


def test_criteria_that_are_left_out_say_so(run: Path, place: Path, call: Call) -> None:
    for arguments in (["--run", run], ["--scope", place / "compliancectl.yaml"]):
        rows: list[dict[str, Any]] = call("frameworks", *arguments, "--format", "json").data
        left = {(r["framework"], r["criterion"]): r["reason"] for r in rows if r["state"] == "left out"}
        assert left["soc2", "P1.1"] == left["soc2", "PI1.5"] == "Not part of the engagement."
        assert left["gdpr", "6(1)(a)"] == "The parent company is the controller."
        assert not any(criterion.startswith("CC") for _, criterion in left)
        assert ("gdpr", "32(1)") not in left
        assert "left out: Not part of the engagement." in call("frameworks", "soc2", *arguments).out
        assert "23 more are left out" in call("frameworks", *arguments).out


def test_what_is_left_out_is_no_gap_of_the_coverage(place: Path, call: Call) -> None:
    rows = call("frameworks", "soc2", "--uncovered", "--scope", place / "compliancectl.yaml", "--format", "json").data
    assert not any(row["criterion"].startswith("P") for row in rows)


def test_a_bundle_that_leaves_things_out_is_replayed(run: Path, tmp_path: Path, call: Call) -> None:
    key = keys.new_key(tmp_path / "key").private
    assert call("bundle", run, "-o", tmp_path / "bundle", "--key", key).code == 0
    assert call("replay", tmp_path / "bundle").code == 0


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("TST-02: We", "TST-2: We", 'compliancectl.yaml:7: The scope disables the control "TST-2", which does not exist'),
        ("We have no such paper.", '""', "compliancectl.yaml:7"),
        ("framework: soc2", "framework: soc3", 'compliancectl.yaml:9: The scope leaves out criteria of "soc3"'),
        ("roles: [controller]", "roles: [king]", "compliancectl.yaml:10: This leaves out no criterion of gdpr"),
        ("TST-02: We", "TST-02: x\n    TST-01: We", "every control that was chosen is disabled"),
        (", reason: Not part of the engagement.", "", "compliancectl.yaml:9"),
    ],
)  # fmt: skip
def test_a_mistake_in_what_is_left_out_is_named(
    old: str, new: str, says: str, place: Path, tmp_path: Path, call: Call
) -> None:
    copy = shutil.copytree(place, tmp_path / "copy")
    scope = copy / "compliancectl.yaml"
    scope.write_text(scope.read_text().replace(old, new))
    said = call("collect", "--scope", scope, "--output", tmp_path / "run")
    assert said.code == 2 and says in said.err


@pytest.fixture
def pack(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution with controls and nothing else, as pip would have put it there."""
    site = tmp_path / "site"
    shutil.copytree(place / "mine", site / "acme_controls/controls")
    (site / "acme_controls/__init__.py").write_text(
        "from pathlib import Path\n\n\ndef folder():\n    return Path(__file__).parent / 'controls'\n"
    )
    info = site / "acme_controls-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-controls\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[compliancectl.controls]\nacme = acme_controls:folder\n")
    monkeypatch.syspath_prepend(str(site))
    return site / "acme_controls/controls"


def test_a_pack_of_controls_is_found_listed_and_tested_like_ours(pack: Path, call: Call) -> None:
    listed = {control["id"] for control in call("controls", "list", "--format", "json").data}
    assert {"TST-01", "TST-02", "BCP-02"} <= listed
    assert "TST-01" in call("controls", "show", "TST-01").out
    tested = call("controls", "test", pack)
    assert tested.code == 1 and "2 controls fail" in tested.out, "their examples are empty, and that is found"
    assert call("controls", "check", pack).code == 0


def test_a_page_is_made_of_each_control(place: Path, tmp_path: Path, call: Call) -> None:
    pages = tmp_path / "pages"
    assert (
        call("controls", "docs", "-o", pages, "--only", "BCP-02", "--only", "TST-*", "--folder", place / "mine").code
        == 0
    )
    assert {f.name for f in pages.iterdir()} == {"index.md", "BCP-02.md", "TST-01.md", "TST-02.md"}
    text = (pages / "BCP-02.md").read_text()
    for part in (
        "# BCP-02: ",
        "soc2 A1.2: Backup",
        "## Parameters",
        "## Test reach-back",
        "`gcp.sql_backup_run`",
        "C-043: ",
    ):
        assert part in text
    assert "- [BCP-02](BCP-02.md) " in (pages / "index.md").read_text()
    again = tmp_path / "again"
    call("controls", "docs", "-o", again, "--only", "BCP-02")
    assert (again / "BCP-02.md").read_bytes() == (pages / "BCP-02.md").read_bytes()
