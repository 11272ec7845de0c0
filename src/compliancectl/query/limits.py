"""What one statement may use, and how it is stopped when it wants more.

DuckDB counts what its tables, joins and sorts hold, but not the values that an expression makes on its way: one
`range(900000000)` takes 7 GB under a limit of 64 MB. So the process as a whole may not grow by more than twice the
limit while a statement runs (RLIMIT_DATA, setrlimit(2)); what hits that ceiling is an error like any other.
"""

from __future__ import annotations

import re
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Limits:
    """What one statement of a control may use."""

    memory: str = "1GB"
    """A number and KB, MB or GB, as DuckDB reads it."""
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
        with _ceiling(2 * _bytes(limits.memory)):
            yield
    except duckdb.InterruptException as error:
        if not late.is_set():
            raise KeyboardInterrupt from error
        raise Stopped(f"The SQL took longer than {limits.seconds:g} seconds and was stopped.") from error
    except (duckdb.OutOfMemoryException, MemoryError) as error:
        raise Stopped(f"The SQL needed more memory than {limits.memory} and was stopped.") from error
    finally:
        watchdog.cancel()


_STATM = Path("/proc/self/statm")
_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9}


def _bytes(text: str) -> int:
    found = re.fullmatch(r"(\d+)\s*([KMG]B)", text)
    if found is None:
        raise ValueError(f"{text!r} is no amount of memory such as 512MB")
    return int(found[1]) * _UNITS[found[2]]


@contextmanager
def _ceiling(room: int) -> Iterator[None]:
    """Let this process take only `room` more bytes. Where the kernel does not tell what it has, nothing is limited."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    try:
        # Sixth number: pages of data and stack, proc(5); the same that RLIMIT_DATA counts.
        data = int(_STATM.read_text().split()[5]) * resource.getpagesize()
    except OSError:
        yield
        return
    highest = data + room
    if before[0] != resource.RLIM_INFINITY:
        highest = min(highest, before[0])
    resource.setrlimit(resource.RLIMIT_DATA, (highest, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)
