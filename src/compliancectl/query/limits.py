"""What one statement may use, and how it is stopped when it wants more.

DuckDB counts what its tables, joins and sorts hold, but not the values that an expression makes on its way: one
`range(900000000)` takes 7 GB under a limit of 64 MB. So the process as a whole may not grow by more than twice the
limit while a statement runs (RLIMIT_DATA, setrlimit(2)); what hits that ceiling is an error like any other.
"""

from __future__ import annotations

import re
import resource
import threading
import time
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


class within:  # noqa: N801 - it reads as a word: `with within(limits, connection)`
    """Stop what runs on `connection` when its time is up or its memory is not enough.

    No generator, whose end needs memory: under a ceiling that has been hit there may be none, and a process that keeps the
    ceiling can no longer start a browser, a database or a thread.

    Raises:
        Stopped: if it was stopped.
        KeyboardInterrupt: if somebody else interrupted it.
    """

    def __init__(self, limits: Limits, connection: duckdb.DuckDBPyConnection) -> None:
        self._limits, self._connection = limits, connection
        self._late = False

    def stop(self) -> None:
        """Called by the watchdog when the time is up."""
        self._late = True
        self._connection.interrupt()

    def __enter__(self) -> None:
        _watchdog.watch(self, self._limits.seconds)
        try:
            _ceiling.lower(self, 2 * _bytes(self._limits.memory))
        except BaseException:
            self._end()
            raise

    def _end(self) -> None:
        _ceiling.lift(self)
        _watchdog.leave(self)

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        import duckdb

        self._end()
        if isinstance(error, duckdb.InterruptException):
            if not self._late:
                raise KeyboardInterrupt from error
            seconds = f"{self._limits.seconds:g} seconds"
            raise Stopped(f"The SQL took longer than {seconds} and was stopped.") from error
        # A signal that comes while DuckDB works (Ctrl-C) is no KeyboardInterrupt of Python's, nor an error of DuckDB's.
        if isinstance(error, RuntimeError) and str(error) == "Query interrupted":
            raise KeyboardInterrupt from error
        if isinstance(error, duckdb.OutOfMemoryException | MemoryError):
            raise Stopped(f"The SQL needed more memory than {self._limits.memory} and was stopped.") from error


_STATM = Path("/proc/self/statm")
_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9}


def _bytes(text: str) -> int:
    found = re.fullmatch(r"(\d+)\s*([KMG]B)", text)
    if found is None:
        raise ValueError(f"{text!r} is no amount of memory such as 512MB")
    return int(found[1]) * _UNITS[found[2]]


class _Watchdog:
    """One thread for all statements: most end in less time than a thread of their own takes to start."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: dict[within, float] = {}
        self._next = float("inf")
        self._thread: threading.Thread | None = None

    def watch(self, statement: within, seconds: float) -> None:
        """Stop the statement in `seconds`, unless it leaves before."""
        with self._changed:
            due = self._due[statement] = time.monotonic() + seconds
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="watchdog of statements", daemon=True)
                self._thread.start()
            elif due < self._next:
                self._changed.notify()

    def leave(self, statement: within) -> None:
        """After this the statement is not stopped, nor one that follows on its connection."""
        with self._changed:
            self._due.pop(statement, None)

    def _run(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                self._stop_late(now)
                self._next = min(self._due.values(), default=float("inf"))
                self._changed.wait(None if self._next == float("inf") else self._next - now)

    def _stop_late(self, now: float) -> None:
        # A function of its own, so that the thread keeps no statement, whose database would stay open, while it waits.
        for statement in [each for each, due in self._due.items() if due <= now]:
            del self._due[statement]
            statement.stop()


_watchdog = _Watchdog()


class _Ceiling:
    """How much this process may take while statements run; where the kernel does not tell what it has, there is no limit.

    It belongs to the process, not to a statement: several may run at once, and what was allowed before the first is given
    back when the last one ends.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[object] = set()
        self._before = self._lowered = resource.getrlimit(resource.RLIMIT_DATA)

    def lower(self, statement: object, room: int) -> None:
        """Let this process take only `room` more bytes, until `lift` is called for this statement."""
        with self._lock:
            now = resource.getrlimit(resource.RLIMIT_DATA)
            # A ceiling of our own that could not be given back, because an interruption came between, is not what was before.
            if not self._running and now != self._lowered:
                self._before = now
            self._running.add(statement)
            try:
                # Sixth number: pages of data and stack, proc(5); the same that RLIMIT_DATA counts.
                data = int(_STATM.read_text().split()[5]) * resource.getpagesize()
            except OSError:
                return
            soft, hard = self._before
            highest = data + room if soft == resource.RLIM_INFINITY else min(data + room, soft)
            self._lowered = (highest, hard)
            resource.setrlimit(resource.RLIMIT_DATA, self._lowered)

    def lift(self, statement: object) -> None:
        """Give back what was allowed before, unless another statement runs."""
        with self._lock:
            self._running.discard(statement)
            if not self._running:
                resource.setrlimit(resource.RLIMIT_DATA, self._before)


_ceiling = _Ceiling()
