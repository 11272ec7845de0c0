"""An assessment → its milestones: reached, missed or ahead, and the findings that are to be closed before each. Pure."""

from __future__ import annotations

from compliancectl import clock
from compliancectl.assessed import Assessed
from compliancectl.errors import NotReadyError
from compliancectl.model.gap import Gaps
from compliancectl.model.result import ItemResult, TestResult
from compliancectl.model.roadmap import Milestone, MilestoneState, Roadmap

CONTROL, TEST = "GOV-08", "milestones"


def roadmap(today: Assessed, open: Gaps) -> Roadmap:
    """The milestones of an assessment, by the day they are due.

    Args:
        today: the assessment.
        open: its findings.

    Raises:
        NotReadyError: if the milestones were not judged.
        FileError: if kept items are missing or damaged.
    """
    test = _test(today)
    items = today.items(test.items_path or "", test.items_sha256, passing=True)
    milestones = [_milestone(item, today, open) for item in items]
    return Roadmap(
        organization=today.results.organization,
        system=today.results.system,
        environment=today.results.environment,
        run_id=today.results.run_id,
        as_of=today.results.as_of,
        milestones=tuple(sorted(milestones, key=lambda m: (m.due, m.id))),
        unjudged_tests=open.unjudged_tests,
        undecided_items=open.undecided_items,
    )


def _test(today: Assessed) -> TestResult:
    tests = [t for c in today.results.controls if c.id == CONTROL for t in c.tests if t.id == TEST]
    if not tests or tests[0].items_path is None:
        reason = tests[0].reason if tests else f"{CONTROL} is not among the controls that were judged"
        hint = "Begin a register: `compliancectl documents new milestone-register FILE.csv`."
        raise NotReadyError(f"there are no milestones to read: {reason}", hint=hint, file=today.path)
    return tests[0]


def _milestone(item: ItemResult, today: Assessed, open: Gaps) -> Milestone:
    told = item.observed
    due = clock.parse(told["due"]).date()
    done = clock.parse(told["done"]).date() if told["done"] else None
    state = _state(item, done is not None)
    ahead = state in ("ahead", "unknown")
    return Milestone(
        id=told["id"],
        title=told["title"],
        owner=told["owner"],
        due=due,
        done=done,
        evidence=told["evidence"],
        state=state,
        days=(due - today.results.as_of.date()).days,
        open_before=tuple(g.id for g in open.gaps if ahead and g.waiver is None and g.due <= due),
    )


def _state(item: ItemResult, done: bool) -> MilestoneState:
    if item.checks.get("kept") in ("fail", "waived"):
        return "missed"
    if item.checks.get("shown") in ("fail", "waived"):
        return "hollow"
    if "unknown" in (item.checks.get("kept"), item.checks.get("shown")):
        return "unknown"
    return "reached" if done else "ahead"
