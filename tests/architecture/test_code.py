"""The code keeps its linter's rules and its format, and its types agree. `make check` asks the same, alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("src", "tests", "bench")


@pytest.mark.timeout(900)  # with nothing cached, on a busy machine
@pytest.mark.parametrize(
    "command",
    [("ruff", "check", *FOLDERS), ("ruff", "format", "--check", *FOLDERS), ("mypy",)],
    ids=["lint", "format", "types"],
)
def test_the_code_is_in_order(command: tuple[str, ...]) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
