"""Fixtures that several folders share."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _no_ambient_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may depend on, or reach, what the machine happens to be logged in to."""
    for name in list(os.environ):
        if name.startswith(("GOOGLE_", "CLOUDSDK_", "GITHUB_", "GH_", "PG", "COMPLIANCECTL_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture(autouse=True)
def _limits_are_given_back() -> Iterator[None]:
    """A limit on memory that outlives its statement would fail whatever runs in this process later, far from its cause."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    yield
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
