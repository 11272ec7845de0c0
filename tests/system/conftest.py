"""The whole company, collected once per session: by the demo, whose output other tests look at."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from assessment import Assessment, assessed

from compliancectl import clock
from compliancectl.cli import app
from compliancectl.cli.demo import MARKER
from compliancectl.sandbox import company as definition


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo with its output, as the command line leaves it. Nobody may write to it."""
    folder = tmp_path_factory.mktemp("demo") / "out"
    assert app.run(["demo", "--output", str(folder)]) == 0
    return folder


@pytest.fixture(scope="session")
def healthy(demo: Path) -> Assessment:
    """The company without faults."""
    said = re.search(r"as it was at (\S+)\. Faults: none", (demo / MARKER).read_text(encoding="utf-8"))
    assert said is not None
    return assessed(definition.load(now=clock.parse(said[1])), demo / "compliancectl.yaml", demo / "run")
