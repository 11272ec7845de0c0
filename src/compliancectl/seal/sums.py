"""SHA256SUMS: the list of every file of a bundle except itself and `seal/`, as `sha256sum --check` reads it.

One line per file, `<64 hex digits><two spaces><name>`, sorted by name, ASCII, each ended by a line feed.
`sha256sum` is more tolerant than that; we are not, so that one set of files has exactly one SHA256SUMS.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from compliancectl.seal import Problem, names

NAME = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


def write(digests: Mapping[str, str]) -> bytes:
    """Write the list for `digests` (member name → SHA-256 in lower-case hexadecimal)."""
    return b"".join(f"{digests[name]}  {name}\n".encode("ascii") for name in sorted(digests))


def parse(data: bytes) -> dict[str, str]:
    """Read the list strictly; the inverse of `write`.

    Returns:
        Member name → SHA-256, in the order of the file, which is sorted.

    Raises:
        Problem: if `data` is anything that `write` would not have written.
    """
    if not data.isascii():
        raise Problem("holds a byte that is not ASCII", member=NAME)
    if not data.endswith(b"\n"):
        raise Problem("does not end with a line feed" if data else "is empty", member=NAME)
    digests: dict[str, str] = {}
    last = ""
    for number, line in enumerate(data.decode("ascii")[:-1].split("\n"), start=1):
        name, digest = _line(number, line)
        if name <= last:
            raise Problem(f"line {number}: {name} is listed twice or out of order", member=NAME)
        digests[name] = digest
        last = name
    return digests


def _line(number: int, line: str) -> tuple[str, str]:
    match = _LINE.fullmatch(line)
    if match is None:
        raise Problem(f"line {number} is not `<64 hex digits>  <name>`", member=NAME)
    digest, name = match.groups()
    reason = names.problem(name)
    if reason:
        raise Problem(f"line {number}: the name {name!r} {reason}", member=NAME)
    if name == NAME or name.startswith("seal/"):
        raise Problem(f"line {number}: {name} cannot be listed; the seal is made over this list", member=NAME)
    return name, digest
