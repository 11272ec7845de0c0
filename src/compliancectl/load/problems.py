"""Several mistakes in one go, and the name that was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path

from compliancectl.errors import FileError


class FileErrors(FileError):
    """Several mistakes in files, each with its own place; `problems` holds them in order."""

    def __init__(self, problems: Sequence[FileError]) -> None:
        self.problems = tuple(problems)
        lines = [f"{len(self.problems)} mistakes:"]
        for problem in self.problems:
            lines.append(f"  {problem}" + (f" {problem.hint}" if problem.hint else ""))
        super().__init__("\n".join(lines), hint="Correct each line named above.")


def raise_all(problems: Sequence[FileError]) -> None:
    """Raise nothing, the one problem, or all of them together.

    Raises:
        FileError: when there is one problem.
        FileErrors: when there are several.
    """
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise FileErrors(problems)


class Problems:
    """Collects the mistakes of one file."""

    def __init__(self, file: Path | str) -> None:
        self.file = str(file)
        self.found: list[FileError] = []

    def add(self, line: int | None, message: str, hint: str | None = None) -> None:
        """Note one mistake."""
        self.found.append(FileError(message, hint=hint, file=self.file, line=line))

    def raise_if_any(self) -> None:
        """Raise what was noted, in the order of lines."""
        raise_all(sorted(self.found, key=lambda problem: problem.line or 0))


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` was probably meant to be, or None."""
    names = sorted(known)
    lowered = {candidate.lower(): candidate for candidate in names}
    close = difflib.get_close_matches(name.lower(), list(lowered), n=1, cutoff=0.6)
    return lowered[close[0]] if close else None


def suggestion(name: str, known: Iterable[str], *, otherwise: str | None = None) -> str | None:
    """A hint: `Did you mean "x"?`, or the known names when none is near and they are few."""
    names = sorted(known)
    close = nearest(name, names)
    if close is not None:
        return f'Did you mean "{close}"?'
    if otherwise is not None:
        return otherwise
    return f"Known here: {', '.join(names)}." if 0 < len(names) <= 30 else None
