"""What one statement may use, and how it is stopped when it wants more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Limits:
    """What one statement of a control may use."""

    memory: str = "1GB"
    threads: int | None = None
    """None: as many as the machine has."""
    seconds: float = 60.0
    """Wall-clock time of one statement."""
    spill: str = "8GB"
    """What may be put aside on disk when memory does not suffice."""


EXAMPLES = Limits(memory="512MB", threads=1, seconds=10.0)
"""An example has a handful of rows: what needs more than this never ends."""


class Stopped(Exception):
    """A statement did not finish; the message says why, in a sentence."""


@contextmanager
def within(limits: Limits, connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Stop what runs on `connection` when its time is up or its memory is not enough.

    Raises:
        Stopped: if it was stopped.
        KeyboardInterrupt: if somebody else interrupted it.
    """
    import duckdb

    late = threading.Event()

    def stop() -> None:
        late.set()
        connection.interrupt()

    watchdog = threading.Timer(limits.seconds, stop)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    except duckdb.InterruptException as error:
        if not late.is_set():
            raise KeyboardInterrupt from error
        raise Stopped(f"The SQL took longer than {limits.seconds:g} seconds and was stopped.") from error
    except duckdb.OutOfMemoryException as error:
        raise Stopped(f"The SQL needed more memory than {limits.memory} and was stopped.") from error
    finally:
        watchdog.cancel()
