"""The bundle of the whole company is derived once more from its replies, byte for byte."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from assessment import Assessment

from compliancectl.cli import app
from compliancectl.seal import keys


def test_every_table_and_result_of_the_company_follows_from_its_replies(
    healthy: Assessment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = keys.new_key(tmp_path / "ci").private
    assert app.run(["bundle", str(healthy.run), "-o", str(tmp_path / "bundle"), "--key", str(key)]) == 0
    capsys.readouterr()
    code = app.run(["replay", str(tmp_path / "bundle"), "--format", "json"])
    found = json.loads(capsys.readouterr().out)
    assert [stage["differences"] for stage in found["stages"]] == [[], []]
    assert code == 0 and all(stage["files"] > 40 for stage in found["stages"])
