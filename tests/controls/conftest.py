"""The shipped catalogue, loaded once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from compliancectl import load, plugins
from compliancectl.model.framework import Framework
from compliancectl.query.examples import Workbench
from compliancectl.resources import controls_folder


@pytest.fixture(scope="session")
def frameworks() -> tuple[Framework, ...]:
    return load.load_frameworks(controls_folder() / "frameworks")


@pytest.fixture(scope="session")
def workbench() -> Iterator[Workbench]:
    """One database with every table that the installed collectors declare."""
    bench = Workbench(plugins.all_tables())
    yield bench
    bench.close()
