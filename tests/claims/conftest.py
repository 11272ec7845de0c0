"""Fixtures of the tests of claims."""

from __future__ import annotations

from claimed import call

__all__ = ["call"]
