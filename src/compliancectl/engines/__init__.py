"""Engines other than DuckDB, behind one door: each answers a test's population and checks; verdicts stay ours.

An engine computes rows. Everything that decides (states, outcomes, reconciliation, sentences, counts) is done on its
answer by the same code that judges on DuckDB. Nothing here is imported unless an engine is asked for.
"""

from __future__ import annotations

from compliancectl.engines.base import Engine, Settings
from compliancectl.errors import UsageError

NAMES = ("bigquery", "spark")
"""Engines that can be asked for, beside `duckdb`, which is always there and needs no certificate."""


def open_engine(name: str, settings: Settings | None = None) -> Engine:
    """Start an engine.

    Raises:
        UsageError: there is no such engine, or what it needs is not installed.
    """
    known(name)
    if name == "bigquery":
        from compliancectl.engines.bigquery import BigQuery

        return BigQuery(settings or Settings())
    from compliancectl.engines.spark import Spark

    return Spark(settings or Settings())


def known(name: str) -> None:
    """Hold a name against those that can be asked for.

    Raises:
        UsageError: there is no such engine.
    """
    if name not in NAMES:
        from compliancectl.load.problems import suggestion

        raise UsageError(f'there is no engine "{name}" to ask', hint=suggestion(name, NAMES))


__all__ = ["NAMES", "Engine", "Settings", "known", "open_engine"]
