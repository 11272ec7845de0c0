"""Commands that run within limits of the operating system, set in their own process.

`preexec_fn` would run in a fork of the test's process, whose libraries have threads; now and then that fork aborts.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

_BEGIN = """
import os, resource, sys
size = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
os.execv(sys.argv[2], sys.argv[2:])
"""


def file_size(limit: int | None, command: Sequence[str]) -> list[str]:
    """The command, with no file of more than `limit` bytes to be written: a write fails in its middle, as on a full disk."""
    return list(command) if limit is None else [sys.executable, "-c", _BEGIN, str(limit), *command]
