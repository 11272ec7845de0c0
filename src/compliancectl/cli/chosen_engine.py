"""What answers the controls' SQL, as the command line chose it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from compliancectl.cli import console

if TYPE_CHECKING:
    from compliancectl.engines.base import Engine, Settings
    from compliancectl.model.certificate import Certificate


def engine_settings(master: str, dataset: str, location: str | None, endpoint: str | None, max_bytes: int) -> Settings:
    """How an engine is reached, from the options of the command line."""
    from compliancectl.engines import Settings

    return Settings(master=master, dataset=dataset, location=location, endpoint=endpoint, max_bytes=max_bytes)


@contextmanager
def other_engine(
    name: str,
    certificate: Path | None,
    master: str,
    dataset: str,
    location: str | None,
    endpoint: str | None,
    max_bytes: int,
) -> Iterator[tuple[Engine, Certificate] | None]:
    """An engine other than DuckDB with its certificate, while it is needed; nothing for DuckDB itself.

    Raises:
        UsageError: there is no such engine, it does not start, or it has no certificate that can be read.
    """
    if name == "duckdb":
        yield None
        return
    from compliancectl.engines import known, open_engine
    from compliancectl.engines.certify import read

    known(name)
    granted = read(certificate or Path(f"{name}.certificate.json"), name)
    with console.step(f"starting {name}"):
        engine = open_engine(name, engine_settings(master, dataset, location, endpoint, max_bytes))
    try:
        yield engine, granted
    finally:
        engine.close()
