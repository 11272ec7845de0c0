"""Messages about what turned between two bundles."""

from __future__ import annotations

import email
import email.policy
import json
from datetime import timedelta
from pathlib import Path

import daily
import pytest

from compliancectl import clock
from compliancectl.cli import app
from compliancectl.model.evidence import Window
from compliancectl.seal import keys

START = clock.parse("2026-03-01T02:00:00Z")
EVIL = "<!channel> @everyone [x](http://evil) ``` | *b*"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Day 0: `old` is unprotected. Day 1: `old` is mended, a hostile name is not, and buckets cannot be read."""
    place = tmp_path_factory.mktemp("notify")
    private = keys.new_key(place / "keys").private
    controls = [daily.write_control(place, id) for id in ("TST-01", "TST-03", "TST-04")]
    for number in range(2):
        at = START + timedelta(days=number)
        day = daily.Day(place / "run" / str(number), at, f"run-{number}", Window(start=START, end=at + timedelta(1)))
        broken = {0: "old", 1: EVIL}[number]
        day.add("git.branch", [{"resource": name, "protected": name != broken} for name in ("main", "old", EVIL)])
        day.add("cloud.backup", [{"resource": "db", "ended": at, "successful": True}])
        day.add(
            "cloud.bucket", [{"resource": "b", "public": False}][number:], denied="No permission." if number else None
        )
        daily.judge(day, controls[: 3 if number else 2] if number == 0 else [controls[0], controls[2]])
        daily.seal(day, place / "bundles" / str(number), private)
    return place / "bundles"


def message(folder: Path, form: str, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    assert app.run(["notify", str(folder / "0"), str(folder / "1"), "--as", form, *more]) == 0
    return capsys.readouterr().out


def test_slack(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = json.loads(message(folder, "slack", capsys))
    assert data["text"] == (
        "Larkspur Study Companion (production): 2 controls got worse, 1 control no longer judged; 2 controls are open."
    )
    texts = [block["text"]["text"] for block in data["blocks"]]
    assert any("TST-01" in t and "no longer open: old" in t and "new: &lt;!channel&gt;" in t for t in texts)
    assert any("TST-04" in t and "new → inconclusive" in t and "No permission." in t for t in texts)
    assert any("TST-03 is no longer judged" in t for t in texts)
    assert "<!channel>" not in "".join(texts)


def test_mail(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parsed = email.message_from_string(message(folder, "mail", capsys), policy=email.policy.default)
    assert "2 controls got worse" in parsed["Subject"]
    assert "no longer open: old" in parsed.get_content() and "TST-03 is no longer judged" in parsed.get_content()


def test_issue(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body = message(folder, "issue", capsys)
    assert "| TST-01 Branches are protected | high | deviations | platform |" in body
    (entry,) = [text for text in body.splitlines() if EVIL in text]
    assert entry.startswith("- ```` new: ") and entry.endswith(" ````")  # nothing in it is markup or a mention


def test_nothing_turned(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    same = ["notify", str(folder / "1"), str(folder / "1")]
    assert app.run(same) == 0
    assert "nothing turned; 2 controls are open" in capsys.readouterr().out
    assert app.run([*same, "--only-turns"]) == 0
    assert capsys.readouterr().out == ""


def test_the_order_matters(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["notify", str(folder / "1"), str(folder / "0")]) == 2
    assert "earlier one first" in capsys.readouterr().err


def test_a_page_for_a_ci_step(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["summary", str(folder / "1")]) == 0
    page = capsys.readouterr().out
    assert "**2 controls:** ✕ deviations: 1 · ○ inconclusive: 1. Some evidence could not be collected." in page
    assert page.index("### ✕ TST-01") < page.index("### ○ TST-04") < page.index("All controls")
    assert "| ✕ | TST-01 Branches are protected | high | deviations | 2 of 3 pass |" in page
    (entry,) = [text for text in page.splitlines() if EVIL in text]
    assert entry.startswith("- ```` ") and entry.endswith(" ````")  # nothing in it is markup or a mention


def test_annotations_are_one_command_a_line_whatever_the_evidence_says(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(["summary", str(folder / "1"), "--as", "annotations"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("::error title=TST-01 Branches are protected (high)%3A deviations::")
    assert second.startswith("::warning title=TST-04 Buckets are private (medium)%3A inconclusive::")
    assert "No permission." in second


def test_a_summary_is_of_a_bundle_that_verifies(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["summary", str(folder / "none")]) == 2
    assert "does not exist" in capsys.readouterr().err
