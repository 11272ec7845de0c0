"""Sealing and verifying what nobody touched."""

from __future__ import annotations

import pytest

from compliancectl.seal import trust
from compliancectl.verify import verify


@pytest.mark.parametrize("form", ["folder", "archive"])
def test_an_untouched_bundle_verifies(sealed, form: str) -> None:
    found = verify(getattr(sealed, form), trust=trust.load(public_keys=[sealed.public]))
    assert [(s.number, s.outcome, s.message) for s in found.steps if s.outcome != "ok"] == []
    assert found.verdict == "verified"
    assert found.exit_code == 0
