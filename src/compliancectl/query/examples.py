"""A control's examples: what its author expects, whether each check can fail, and the null probe.

**The null probe.** Each value that a test reads is set to NULL in turn, in each given row. NULL means that the source
did not say. Then no item may disappear, and no item may pass that could fail: neither one that failed with the
value there, nor one that another value of the same leaf makes fail. That is what a missing value may hide. An item
that passes whatever the value is (because another row already proves it) may go on passing. Leaves that are
legitimately NULL are named in `optional_fields`.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from compliancectl import clock
from compliancectl.errors import FileError
from compliancectl.load.problems import FileErrors, raise_all
from compliancectl.model.control import Control, Example, Test
from compliancectl.model.table import Table
from compliancectl.query.bind import Binder, Bound, bind_control, bind_test, create_tables, parameter_values
from compliancectl.query.given import Leaf, Rows, candidates, given_rows, leaves, value_at
from compliancectl.query.limits import EXAMPLES, Limits
from compliancectl.query.portable import portable_faults
from compliancectl.query.staged import Failed, Judged, Loaded, Outcomes

Problem = FileError
"""One mistake in a control: message, hint, file and line."""

_SOME_INSTANT = datetime(2026, 1, 1, tzinfo=UTC)
"""Stands for the instant of judgement where only types matter."""


@dataclass(frozen=True)
class ExampleReport:
    """What the examples of one control showed."""

    control: str
    examples: int
    probes: int
    """How many times one value was set to NULL."""
    problems: tuple[Problem, ...]


class Workbench:
    """Checks and tests controls without evidence. One database for many controls; not thread-safe."""

    def __init__(self, tables: Mapping[str, Table], *, limits: Limits = EXAMPLES) -> None:
        import duckdb

        self.tables, self.limits = dict(tables), limits
        self.binder = Binder(tables)
        self.database = duckdb.connect(
            config={
                "threads": limits.threads or 1,
                "memory_limit": limits.memory,
                "temp_directory": "",
                "python_enable_replacements": False,
            }
        )
        self.database.execute("SET enable_external_access = false")
        create_tables(self.database, tables)
        self.database.execute("SET lock_configuration = true")

    def close(self) -> None:
        """Release both databases."""
        self.binder.close()
        self.database.close()

    def check(self, control: Control) -> list[Problem]:
        """Guard, bind and lint every test of a control, without data."""
        try:
            bound = bind_control(self.binder, control, _defaults(control))
        except FileErrors as errors:
            return list(errors.problems)
        except FileError as error:
            return [error]
        return [fault for test in bound for fault in portable_faults(control, test)]

    def test(self, control: Control, *, only: Container[str] | None = None, probe: bool = True) -> ExampleReport:
        """Check a control, run its examples, and probe them with NULLs.

        Args:
            control: the whole control.
            only: ids of the tests whose examples are run; None: all of them.
            probe: False leaves the null probe out.
        """
        problems = self.check(control)
        examples = probes = 0
        if not problems:
            for number, test in enumerate(control.tests):
                if test.implicit or (only is not None and test.id not in only):
                    continue
                run = _TestRun(self, control, test, number)
                run.run(probe=probe)
                problems += run.problems
                examples, probes = examples + len(test.examples), probes + run.probes
        return ExampleReport(control.id, examples, probes, tuple(problems))


def prepared(bench: Workbench, control: Control) -> Iterator[tuple[str, Bound, Rows]]:
    """Every example of a control, ready to run: where it stands, its bound test, its rows.

    Tests that the program makes of the documents under `evidence` have examples too.

    Raises:
        FileErrors: if an example cannot be prepared; `Workbench.test` says more.
    """
    for number, test in enumerate(control.tests):
        run = _TestRun(bench, control, test, number)
        found = [run.prepare(n, example) for n, example in enumerate(test.examples)]
        raise_all(run.problems)
        for n, ready in enumerate(found):
            if ready is not None:
                yield f"{control.id}.{test.id}, {_called(n, test.examples[n])}", ready[1], ready[2]


def check_control(
    control: Control, tables: Mapping[str, Table], *, workbench: Workbench | None = None
) -> list[Problem]:
    """Guard, bind and lint a control against declared tables; empty if nothing is wrong."""
    bench = workbench or Workbench(tables)
    try:
        return bench.check(control)
    finally:
        if workbench is None:
            bench.close()


def test_control(control: Control, tables: Mapping[str, Table], *, workbench: Workbench | None = None) -> ExampleReport:
    """Run a control's examples and the null probe. Give a `Workbench` when there are many controls."""
    bench = workbench or Workbench(tables)
    try:
        return bench.test(control)
    finally:
        if workbench is None:
            bench.close()


test_control.__test__ = False  # type: ignore[attr-defined]  # pytest would take the name for a test


def _defaults(control: Control) -> dict[str, Any]:
    return parameter_values(control.params, _SOME_INSTANT, (_SOME_INSTANT, _SOME_INSTANT))


class _TestRun:
    """One test of a control with all its examples."""

    def __init__(self, bench: Workbench, control: Control, test: Test, number: int) -> None:
        self.bench, self.control, self.test, self.number = bench, control, test, number
        self.problems: list[Problem] = []
        self.probes = 0
        self.seen: set[tuple[str, str]] = set()
        self.reported: set[tuple[str, str]] = set()

    def run(self, *, probe: bool) -> None:
        """Run the examples, then probe those that came out as expected."""
        prepared = [found for n, example in enumerate(self.test.examples) if (found := self.prepare(n, example))]
        for n, bound, rows in prepared:
            example = self.test.examples[n]
            with Loaded(self.bench.database, self.bench.tables, bound, rows, self.bench.limits) as loaded:
                try:
                    base = loaded.outcomes()
                except Failed as failed:
                    self._add(("examples", n), f"{_called(n, example)} cannot be run: {failed}")
                    continue
                if self._compare(n, example, bound, base, doubled=loaded.count > len(base)) and probe:
                    self._probe(loaded, base, [other for _, _, other in prepared], n)
        if not self.problems:
            self._unseen()

    def _add(self, where: tuple[str | int, ...], message: str, hint: str | None = None) -> None:
        line = self.control.line("tests", self.number, *where)
        self.problems.append(FileError(message, hint=hint, file=self.control.file, line=line))

    def prepare(self, n: int, example: Example) -> tuple[int, Bound, Rows] | None:
        """Bind the test with the example's parameters, and type its rows."""
        values = self._values(n, example)
        if values is None:
            return None
        bound = bind_test(self.bench.binder, self.control, self.test, values)
        if not isinstance(bound, Bound):
            self.problems += bound
            return None
        missing = [name for name in ("as_of", "period") if _lacks(example, bound, name)]
        for name in missing:
            self._add(
                ("examples", n), f"{_called(n, example)} does not say {name}, which the test uses.", f'Add "{name}:".'
            )
        rows = given_rows(self.control, bound, example, (self.number, n), self.bench.tables)
        if not isinstance(rows, dict):
            self.problems += rows
            return None
        return None if missing else (n, bound, rows)

    def _values(self, n: int, example: Example) -> dict[str, Any] | None:
        from compliancectl.load.controls import override_fault

        for name, value in example.params.items():
            fault = override_fault(self.control.params[name], value)
            if fault is not None:
                self._add(("examples", n, "params", name), f"The parameter {name} {fault}.")
                return None
        as_of = clock.parse(example.as_of) if example.as_of else _SOME_INSTANT
        period = tuple(clock.parse(text) for text in example.period or ())
        both = (period[0], period[1]) if period else (_SOME_INSTANT, _SOME_INSTANT)
        return parameter_values({**self.control.params, **example.params}, as_of, both)

    def _compare(self, n: int, example: Example, bound: Bound, found: Outcomes, *, doubled: bool) -> bool:
        before = len(self.problems)
        if doubled:
            self._add(
                ("examples", n), f"{_called(n, example)}: the population names an item twice.", "One row per item."
            )
        names = [check.name for check in bound.checks]
        for resource, wanted in sorted(example.then.items()):
            if resource not in found:
                shown = ", ".join(str(name) for name in sorted(found, key=str)) or "none"
                self._add(
                    ("examples", n, "then", resource),
                    f'{_called(n, example)}: there is no item "{resource}".',
                    f"Items: {shown}.",
                )
                continue
            difference = _difference(wanted, found[resource], names)
            if difference:
                self._add(("examples", n, "then", resource), f'{_called(n, example)}: "{resource}" {difference}')
        for extra in sorted(found, key=str):
            if extra not in example.then:
                hint = "Name every item of the population."
                self._add(("examples", n, "then"), f'{_called(n, example)}: the item "{extra}" is not expected.', hint)
        for judged in found.values():
            if judged.outcome != "excluded":
                self.seen.update(zip(names, judged.checks, strict=True))
        return len(self.problems) == before

    def _unseen(self) -> None:
        for check in self.test.checks:
            for state in ("pass", "fail"):
                if (check.name, state) not in self.seen:
                    doing = "passing" if state == "pass" else "failing"
                    self._add(("checks", check.name), f"No example shows the check {check.name} {doing}.", "Add one.")

    def _probe(self, loaded: Loaded, base: Outcomes, everything: list[Rows], n: int) -> None:
        for leaf in leaves(loaded.rows, loaded.bound, self.bench.tables):
            self.probes += 1
            try:
                after = loaded.outcomes_with(leaf, None)
            except Failed as failed:
                self._fail_open(n, leaf, "", f"the SQL fails: {failed}")
                continue
            if None in after or len(after) < loaded.count:
                continue  # a nameless or doubled item makes the whole test inconclusive
            self._judge_probe(loaded, leaf, base, after, everything, n)

    def _judge_probe(
        self, loaded: Loaded, leaf: Leaf, base: Outcomes, after: Outcomes, everything: list[Rows], n: int
    ) -> None:
        still: list[str] = []
        for resource, judged in sorted(base.items(), key=str):
            if resource is None or judged.outcome == "excluded":
                continue
            if resource not in after:
                self._fail_open(n, leaf, resource, f'the item "{resource}" disappears')
            elif after[resource].outcome == "pass" and judged.outcome != "pass":
                self._fail_open(
                    n,
                    leaf,
                    resource,
                    f'the item "{resource}" passes, although it is {judged.outcome} with the value there',
                )
            elif after[resource].outcome == "pass":
                still.append(resource)
        if still and not self._known(leaf, still):
            self._search(loaded, leaf, still, everything, n)

    def _known(self, leaf: Leaf, resources: list[str]) -> bool:
        return all((leaf.name, resource) in self.reported for resource in resources)

    def _search(self, loaded: Loaded, leaf: Leaf, still: list[str], everything: list[Rows], n: int) -> None:
        """Find a value that makes an item fail which passes when the value is missing."""
        present = value_at(loaded.rows[leaf.table][leaf.row], leaf)
        values = candidates(leaf.kind, present, list(_values_elsewhere(leaf, everything)))
        # All values at once, as copies of the row, settle most leaves in one run; only a hit is looked at closely.
        if not values or not self._failing(loaded, leaf, still, values):
            return
        for value in values:
            for resource in self._failing(loaded, leaf, still, [value]):
                shown = clock.text(value) if isinstance(value, datetime) else repr(value)
                what = f'the item "{resource}" still passes, although it fails with {shown}'
                self._fail_open(n, leaf, resource, what)

    def _failing(self, loaded: Loaded, leaf: Leaf, still: list[str], values: list[Any]) -> list[str]:
        try:
            found = loaded.outcomes_with(leaf, *values)
        except Failed:
            return still if len(values) > 1 else []
        return [resource for resource in still if resource in found and found[resource].outcome == "fail"]

    def _fail_open(self, n: int, leaf: Leaf, resource: str, what: str) -> None:
        if (leaf.name, resource) in self.reported:
            return
        self.reported.add((leaf.name, resource))
        called = _called(n, self.test.examples[n])
        hint = f'Let the outcome be NULL or false then; or add "{leaf.name}" to optional_fields if NULL is a legitimate value.'
        where = ("examples", n, "given", leaf.table, leaf.row)
        self._add(where, f"Null probe, {called}: when {leaf.name} is missing, {what}.", hint)


def _called(n: int, example: Example) -> str:
    return f'example {n + 1} "{example.name}"' if example.name else f"example {n + 1}"


def _lacks(example: Example, bound: Bound, name: str) -> bool:
    if name == "as_of":
        return example.as_of is None and "as_of" in bound.parameters
    return example.period is None and bool({"period_start", "period_end"} & set(bound.parameters))


def _difference(wanted: Any, found: Judged, names: list[str]) -> str | None:
    """What is not as expected, as the rest of a sentence."""
    states = dict(zip(names, found.checks, strict=True))
    if isinstance(wanted, dict):
        wrong = [
            f"{name} is {states[name]}, not {state}" for name, state in sorted(wanted.items()) if states[name] != state
        ]
        if wanted and found.outcome == "excluded":
            return "is excluded, so no check speaks about it."
        return f"is not as expected: {'; '.join(wrong)}." if wrong else None
    if wanted == found.outcome:
        return None
    detail = ", ".join(f"{name} {state}" for name, state in states.items())
    return f"is {found.outcome}, not {wanted} ({detail})."


def _values_elsewhere(leaf: Leaf, everything: list[Rows]) -> Iterator[Any]:
    """What other rows of all examples hold at the same leaf."""
    for rows in everything:
        for row in rows.get(leaf.table, ()):
            yield from _follow(row.get(leaf.column), leaf.inside)


def _follow(value: Any, inside: tuple[str | int, ...]) -> Iterator[Any]:
    if not inside:
        yield value
    elif isinstance(inside[0], int):
        for entry in value or ():
            yield from _follow(entry, inside[1:])
    elif value is not None:
        yield from _follow(value.get(inside[0]), inside[1:])
