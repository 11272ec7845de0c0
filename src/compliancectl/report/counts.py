"""Counts and the sentences that state them, always with what they are out of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from compliancectl.model.result import CheckResult, ControlOutcome, ControlResult, Counts, TestResult
from compliancectl.report.figures import Bar, bar
from compliancectl.report.text import count, listed

OUTCOMES: tuple[ControlOutcome, ...] = ("deviations", "inconclusive", "no deviations", "no occurrences")


def add(parts: Iterable[Counts]) -> Counts:
    """The sum."""
    totals: Counter[str] = Counter()
    for part in parts:
        totals.update(part.model_dump())
    return Counts(**totals)


def item_parts(counts: Counts) -> list[tuple[str, int, str]]:
    """(outcome, count, words) for each outcome of an item, worst first."""
    return [
        ("fail", counts.failed, f"{counts.failed:,} fail"),
        ("unknown", counts.unknown, f"{counts.unknown:,} unknown"),
        ("waived", counts.waived, f"{counts.waived:,} waived"),
        ("pass", counts.passed, f"{counts.passed:,} pass"),
        ("excluded", counts.excluded, f"{counts.excluded:,} excluded"),
    ]


def _verb(outcome: str, number: int) -> str:
    """`passes`, `pass`, `is excluded`, `are excluded`."""
    if outcome in ("pass", "fail"):
        return outcome if number > 1 else {"pass": "passes", "fail": "fails"}[outcome]
    return f"{'is' if number == 1 else 'are'} {outcome}"


def control_bar(outcomes: Sequence[ControlOutcome]) -> Bar:
    """Controls by outcome."""
    tally = Counter(outcomes)
    return bar([(outcome, tally[outcome], f"{tally[outcome]} {outcome}") for outcome in OUTCOMES])


def headline(outcomes: Sequence[ControlOutcome]) -> tuple[str, str]:
    """The whole result in a few sentences: the first words, and the rest."""
    tally, total = Counter(outcomes), len(outcomes)
    if not total:
        return "No control", "was selected; this report states nothing about any."
    good = tally["no deviations"]
    first = f"{good} of {count(total, 'control')}"
    rest = ["shows no deviations." if 1 in (good, total) else "show no deviations."]
    if tally["deviations"]:
        rest.append(f"{tally['deviations']} {'shows' if tally['deviations'] == 1 else 'show'} deviations.")
    if tally["inconclusive"]:
        rest.append(f"{tally['inconclusive']} could not be determined.")
    if tally["no occurrences"]:
        rest.append(f"{tally['no occurrences']} had no occurrences.")
    return first, " ".join(rest)


def population(test: TestResult) -> str:
    """How many items there are, and what became of them."""
    if test.items_path is None and not test.counts.total:
        return "The population was not determined."
    if not test.counts.total:
        return "The population has 0 items."
    parts = [(outcome, value) for outcome, value, _ in item_parts(test.counts) if value]
    if len(parts) == 1:
        verb = _verb(*parts[0])
        total = test.counts.total
        return (
            f"The one item of the population {verb}."
            if total == 1
            else f"All {total:,} items of the population {verb}."
        )
    said = [f"{value:,} {_verb(outcome, value)}" for outcome, value in parts]
    return f"Of {count(test.counts.total, 'item')} in the population, {listed(said)}."


def control_sentence(control: ControlResult, counts: Counts) -> str:
    """The outcome of a control in one sentence."""
    judged = counts.total - counts.excluded
    tests = count(len(control.tests), "test")
    match control.outcome:
        case "no deviations":
            waived = f", {counts.waived:,} of them under a waiver" if counts.waived else ""
            return f"No deviations among {count(judged, 'item')} in {tests}{waived}."
        case "deviations":
            return f"Deviations at {counts.failed:,} of {count(judged, 'item')} in {tests}."
        case "inconclusive":
            open_tests = [t.id for t in control.tests if t.outcome == "inconclusive"]
            failed = f" Deviations at {counts.failed:,} of {count(judged, 'item')}." if counts.failed else ""
            if not open_tests:  # every test says something, but not for every capture that was due
                return f"Could not be determined for the whole period.{failed}"
            return f"Could not be determined: {count(len(open_tests), 'test')} of {len(control.tests)} inconclusive ({listed(open_tests)}).{failed}"
        case "no occurrences":
            return f"Nothing occurred to which the control applies, in {tests}."


def check_sentence(check: CheckResult) -> str:
    """Of how many items a check is true, and what of the rest."""
    total = check.passed + check.failed + check.waived + check.unknown
    if not total:
        return "No item to judge."
    if check.passed == total:
        return f"True of all {count(total, 'item')}." if total > 1 else "True of the one item."
    rest = [
        f"{value:,} {word}"
        for value, word in ((check.failed, "not true"), (check.unknown, "unknown"), (check.waived, "waived"))
        if value
    ]
    return f"True of {check.passed:,} of {count(total, 'item')}; {listed(rest)}."
