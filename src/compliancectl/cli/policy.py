"""What makes a command fail: a policy for continuous integration, which lowers an exit code and never raises it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from compliancectl.model.result import ControlResult, Results


class FailOn(StrEnum):
    """Which outcomes give an exit code other than 0."""

    inconclusive = "inconclusive"
    deviations = "deviations"
    never = "never"


class Least(StrEnum):
    """Severities, lowest first."""

    low = "low"
    medium = "medium"
    high = "high"
    critical = "critical"


FailOnOption = Annotated[
    FailOn,
    typer.Option(
        "--fail-on",
        help="`inconclusive`: deviations (1) and what could not be determined (3); `deviations`: only those; `never`: "
        "neither.",
    ),
]
LeastOption = Annotated[
    Least, typer.Option("--fail-severity", help="Only controls of this severity or above count for the exit code.")
]


@dataclass(frozen=True)
class Policy:
    """What counts for the exit code of a judgement. What does not verify, and every error, always does."""

    fail_on: FailOn = FailOn.inconclusive
    least: Least = Least.low

    def exit_code(self, results: Results) -> int:
        """The exit code; if it is lower than the results' own, says on stderr what was let pass."""
        code = self._code(results)
        if code < results.exit_code:
            passed = [c for c in results.controls if c.outcome in ("deviations", "inconclusive")]
            names = ", ".join(f"{control.id} ({control.severity}, {control.outcome})" for control in passed)
            rule = f"--fail-on {self.fail_on.value} --fail-severity {self.least.value}"
            typer.echo(f"Exit code {code} instead of {results.exit_code} by {rule}: {names or 'no control'}.", err=True)
        return code

    def _code(self, results: Results) -> int:
        if self.fail_on is FailOn.never:
            return 0
        if not results.controls:
            return results.exit_code  # nothing was looked at: no severity excuses that
        found = {control.outcome for control in results.controls if self._counts(control)}
        if "inconclusive" in found and self.fail_on is FailOn.inconclusive:
            return 3
        # Deviations are reported by 1 also beside what is inconclusive and was let pass, and where a control is both.
        return 1 if "deviations" in found or any(map(self._deviates, results.controls)) else 0

    def _deviates(self, control: ControlResult) -> bool:
        return self._counts(control) and any(test.counts.failed for test in control.tests)

    def _counts(self, control: ControlResult) -> bool:
        order = list(Least)
        return order.index(Least(control.severity)) >= order.index(self.least)
