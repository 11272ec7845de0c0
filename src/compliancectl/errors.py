"""Every error this product raises on purpose.

    Error                        message, hint (what to do next), optional file and line; exit code 2
    ├── FileError                a scope, control, waiver, framework or document file that cannot be used (2)
    ├── UsageError               arguments that do not fit together, names that do not exist (2)
    ├── OutputError              nowhere to write: disk full, folder already holds a sealed bundle (2)
    ├── NotReadyError            an earlier stage has not run, or ran only in part (3)
    ├── VerifyError              something does not verify; names the step (4)
    └── CollectError             why a source could not be read; becomes a snapshot's status, never an empty table
        ├── Denied               credentials missing or refused, permission missing          → denied
        ├── ApiDisabled          the service is switched off for this project or plan        → denied
        ├── Unreachable          no route, refused, TLS failure, timed out                   → failed
        ├── RateLimited          the source said to wait longer than we may                  → failed
        ├── SourceFailed         the source answered with an error of its own (5xx, SQLSTATE)→ failed
        ├── Garbage              the answer is not what the protocol says                    → failed
        ├── Missing              what the scope names does not exist at the source           → failed
        └── Truncated            the source stopped before the end (pages, budget, connection)→ partial

Lower layers raise; only the command line renders. A hint is a sentence in the imperative.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

Status = Literal["collected", "partial", "denied", "failed", "skipped"]


class Error(Exception):
    """Base of all errors that are the user's to mend; rendered as one message and one hint."""

    exit_code: ClassVar[int] = 2

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        file: Path | str | None = None,
        line: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.file = str(file) if file is not None else None
        self.line = line

    @property
    def where(self) -> str | None:
        """`file:line`, `file`, or None."""
        if self.file is None:
            return None
        return f"{self.file}:{self.line}" if self.line is not None else self.file

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class FileError(Error):
    """A file that people write cannot be used as it is."""


class UsageError(Error):
    """The arguments do not fit together, or name something that does not exist."""


class OutputError(Error):
    """The result cannot be written where it was asked for."""


class NotReadyError(Error):
    """An earlier stage has not run, or did not finish."""

    exit_code = 3


class VerifyError(Error):
    """A verification step failed; `step` is its number in `compliancectl.verify`."""

    exit_code = 4

    def __init__(self, message: str, *, step: int, hint: str | None = None, file: Path | str | None = None) -> None:
        super().__init__(message, hint=hint, file=file)
        self.step = step

    def of(self, bundle: Path) -> VerifyError:
        """The same, for a message that must say which bundle is meant."""
        return VerifyError(
            f"{bundle} does not verify, step {self.step}: {self.message}", step=self.step, hint=self.hint
        )


class CollectError(Error):
    """Why a source could not be read. Collect turns it into a snapshot status and carries on with the rest.

    `cause` is one stable word for machines; the message says what happened in the source's own terms.
    """

    exit_code = 3
    status: ClassVar[Status] = "failed"
    cause: ClassVar[str] = "failed"


class Denied(CollectError):
    """Credentials are missing or refused, or a permission is missing."""

    status = "denied"
    cause = "permission"


class ApiDisabled(CollectError):
    """The service is not enabled for this project, or not part of this plan."""

    status = "denied"
    cause = "api-disabled"


class Unreachable(CollectError):
    """No route, connection refused, TLS failure, or no answer in time."""

    cause = "unreachable"


class RateLimited(CollectError):
    """The source asked for a longer pause than the deadline allows."""

    cause = "rate-limited"


class SourceFailed(CollectError):
    """The source answered with an error of its own."""

    cause = "source-error"


class Garbage(CollectError):
    """The answer does not follow the protocol: not JSON, wrong shape, page tokens without end."""

    cause = "garbage"


class Missing(CollectError):
    """Something the scope names does not exist at the source."""

    cause = "not-found"


class Truncated(CollectError):
    """The source stopped before the end; what arrived is kept but not trusted."""

    status = "partial"
    cause = "truncated"
