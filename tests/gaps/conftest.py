"""Fixtures of the tests of gaps."""

from __future__ import annotations

from claimed import call

__all__ = ["call"]
