"""`frameworks`: what a criterion rests on is plain to see."""

from __future__ import annotations

import json
from typing import Any

import pytest

from compliancectl.cli import app


@pytest.fixture(scope="module")
def judged(finished: Any) -> Any:
    """A bundle in which one control was judged: VUL-04, without deviations."""
    return finished.archive


def rows(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    capsys.readouterr()
    assert app.run(["frameworks", *map(str, arguments), "--format", "json"]) == 0
    return {row["criterion"]: row for row in json.loads(capsys.readouterr().out)}


def test_a_criterion_whose_controls_were_not_judged_is_without_evidence(
    judged: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    found = rows(capsys, "soc2", "--run", judged)
    assert found["CC4.1"]["state"] in ("evidenced", "in part")
    assert {"id": "VUL-04", "outcome": "no deviations"} in found["CC4.1"]["controls"]
    for row in found.values():
        told = any(control["outcome"] is not None for control in row["controls"])
        assert (row["state"] == "no control") == (not row["controls"])
        assert (row["state"] == "without evidence") == (bool(row["controls"]) and not told)


def test_uncovered_lists_both_kinds(judged: Any, capsys: pytest.CaptureFixture[str]) -> None:
    bare = rows(capsys, "soc2", "--uncovered")
    blind = rows(capsys, "soc2", "--uncovered", "--run", judged)
    assert {row["state"] for row in bare.values()} == {"no control"}
    assert set(bare) < set(blind) and {row["state"] for row in blind.values()} == {"no control", "without evidence"}


def test_the_text_says_it(judged: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["frameworks", "--run", str(judged)]) == 0
    assert "of them none that could be judged" in capsys.readouterr().out
    assert app.run(["frameworks", "soc2", "--run", str(judged)]) == 0
    assert "without evidence  BCP-01" in capsys.readouterr().out
