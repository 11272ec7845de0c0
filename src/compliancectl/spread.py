"""Work on many things, spread over the processors: each takes a share, and this process the first.

Nothing rests on the other processes: a share that does not come back whole is done here, and whatever is wrong with it is
raised here.
"""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from itertools import pairwise
from typing import Generic, NoReturn, TypeVar, cast

from compliancectl.seal.container import cores

Thing = TypeVar("Thing")
Found = TypeVar("Found")


def spread(
    work: Callable[[Sequence[Thing]], list[Found]],
    things: Sequence[Thing],
    *,
    least: int,
    meanwhile: AbstractContextManager[object] | None = None,
) -> list[Found]:
    """What `work` finds in all things, in their order.

    To be called while this process has one thread and nothing half-written: the others are copies of it.

    Args:
        work: Finds something in a share of the things; what it returns must survive pickling.
        things: All of them.
        least: So many things are worth a process; with fewer than twice as many, everything is done here.
        meanwhile: Entered once the other processes have begun: what shows that work goes on may have a thread of its own.

    Raises:
        Exception: whatever `work` raises.
    """
    count = max(1, min(cores(), len(things) // least)) if hasattr(os, "fork") else 1
    bounds = [len(things) * number // count for number in range(count + 1)]
    mine, *rest = [things[start:end] for start, end in pairwise(bounds)]
    others = [_Other(work, share) for share in rest]
    try:
        with meanwhile or nullcontext():
            found = work(mine)
            for other in others:
                found += other.found()
    finally:
        for other in others:
            other.stop()
    return found


class _Other(Generic[Thing, Found]):
    """A process that works on a share."""

    def __init__(self, work: Callable[[Sequence[Thing]], list[Found]], share: Sequence[Thing]) -> None:
        self._work, self._share = work, share
        self._reading, writing = os.pipe()
        self._process = os.fork()
        if self._process == 0:
            os.close(self._reading)
            _tell(work, share, writing)
        os.close(writing)

    def found(self) -> list[Found]:
        """Wait for what it finds; what it could not do or tell is done here."""
        with os.fdopen(self._reading, "rb", closefd=False) as stream:
            try:
                return cast("list[Found]", pickle.load(stream))  # noqa: S301  # our own process wrote it
            except (EOFError, pickle.UnpicklingError):
                return self._work(self._share)

    def stop(self) -> None:
        """End it, if it has not ended by itself."""
        os.close(self._reading)
        with suppress(ProcessLookupError):
            os.kill(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)


def _tell(work: Callable[[Sequence[Thing]], list[Found]], share: Sequence[Thing], writing: int) -> NoReturn:
    """What the other process does: work, tell, and end without anything that this one would do at its end."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C is this one's to tell of
        with open(os.devnull, "w", encoding="utf-8") as nothing:  # noqa: PTH123
            os.dup2(nothing.fileno(), 1)
            os.dup2(nothing.fileno(), 2)
        found = pickle.dumps(work(share), pickle.HIGHEST_PROTOCOL)
        with os.fdopen(writing, "wb") as stream:
            stream.write(found)
    except BaseException:  # noqa: S110  # whoever does this share in its place meets it too
        pass
    finally:
        os._exit(0)
