"""The whole company, collected once per session."""

from __future__ import annotations

import pytest
from assessment import Assessment, assess

from compliancectl.sandbox import company as definition


@pytest.fixture(scope="session")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Assessment:
    """The company without faults."""
    return assess(definition.load(), tmp_path_factory.mktemp("healthy"))
