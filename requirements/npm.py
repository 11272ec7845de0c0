"""An npm package as its lock names it: fetched with `npm pack`, compared with its digest, used by no one before that."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def packed(package: dict[str, Any], lock: str) -> Iterator[Path]:
    """The archive of a package, in a folder that goes away; exits with a message if it cannot be had as `lock` says."""
    wanted = f"{package['name']}@{package['version']}"
    if shutil.which("npm") is None:
        sys.exit(f"npm is needed to fetch {wanted}; on Debian: sudo apt-get install --no-install-recommends npm")
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["npm", "pack", wanted, "--ignore-scripts", "--silent"], cwd=folder, capture_output=True, text=True
        )
        archives = list(Path(folder).glob("*.tgz"))
        if done.returncode != 0 or len(archives) != 1:
            sys.exit(f"npm could not fetch {wanted}: {done.stderr.strip() or 'it gave no reason'}")
        digest = base64.b64encode(hashlib.sha512(archives[0].read_bytes()).digest()).decode()
        if f"sha512-{digest}" != package["integrity"]:
            sys.exit(f"{wanted} is not the package that {lock} names: its digest is sha512-{digest}")
        yield archives[0]
