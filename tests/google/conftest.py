"""One Google Cloud for the folder; each test starts with it well-behaved."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cloudbox import Box

from compliancectl.sandbox import company
from compliancectl.sandbox.run import running


@pytest.fixture(scope="session")
def _running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    folder = tmp_path_factory.mktemp("google")
    with running(company.load(), folder / "company", only=("gcp",)) as sandbox:
        yield Box(sandbox, folder)


@pytest.fixture
def box(_running: Box) -> Iterator[Box]:
    """Well-behaved at the start; what the cloud itself could not do fails the test."""
    _running.reset()
    yield _running
    assert _running.cloud.server.bugs == []
