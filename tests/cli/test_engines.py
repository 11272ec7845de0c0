"""Another engine is nowhere until it is asked for: not imported, not installed, not mentioned."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = ("pyspark", "py4j", "google.cloud.bigquery", "compliancectl.engines")
ALONE = """\
import json, sys
{before}
from compliancectl.cli import app
code = app.run(sys.argv[1:])
found = sorted(name for name in sys.modules if sys.modules[name] and name.startswith({names!r}))
print("\\n" + json.dumps({{"code": code, "found": found}}))
"""


def alone(*arguments: object, before: str = "") -> tuple[dict[str, object], str]:
    """One command line in a process of its own: how it ended and what it imported, and all that it said."""
    command = [sys.executable, "-c", ALONE.format(before=before, names=NAMES), *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    said, _, last = done.stdout.strip().rpartition("\n")
    return json.loads(last), said + done.stderr


@pytest.mark.parametrize("stage", ["evaluate", "controls", "replay", "verify"])
def test_no_stage_knows_of_another_engine(finished, mine, stage: str) -> None:
    arguments = {
        "evaluate": ("evaluate", mine.run, "--scope", mine.scope),
        "controls": ("controls", "test", "VUL-04"),
        "replay": ("replay", finished.archive, "--key", finished.public),
        "verify": ("verify", finished.archive, "--key", finished.public),
    }[stage]
    ended, said = alone(*arguments)
    assert ended == {"code": 0, "found": []}, said
    assert "spark" not in said.lower() and "bigquery" not in said.lower()


@pytest.mark.parametrize(
    ("lock", "absent"),
    [
        ("runtime.lock", {"pyspark", "py4j", "google-cloud-bigquery"}),
        ("dev.lock", {"pyspark", "py4j"}),  # the client of BigQuery is tested before a stand-in
    ],
)
def test_no_lock_but_its_own_installs_it(lock: str, absent: set[str]) -> None:
    packages = {line.partition("==")[0] for line in (ROOT / "requirements" / lock).read_text().splitlines()}
    assert "duckdb" in packages and not packages & absent


def test_who_asks_for_it_without_it_is_told_what_to_install(tmp_path: Path) -> None:
    file = tmp_path / "certificate.json"
    ended, said = alone(
        "engines", "certify", "spark", "--only", "VUL-04", "-o", file, before="sys.modules['pyspark'] = None"
    )
    assert ended["code"] == 2 and "Spark is not installed" in said and "compliancectl[spark]" in said
    assert not file.exists()
