"""Which engine answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compliancectl.model.certificate import answered_by

if TYPE_CHECKING:
    from compliancectl.engines.base import Engine


def engine_version(other: Engine | None = None) -> str:
    """`duckdb 2.0.0`; with another engine `spark 4.3.0 through sqlglot 30.30.0, judged on duckdb 2.0.0`."""
    import duckdb

    own = f"duckdb {duckdb.__version__}"
    return own if other is None else answered_by(other.version(), other.translator(), own)
