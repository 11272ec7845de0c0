"""Mutation test of the shipped controls: `make mutants`. Are the examples sharp enough to notice a wrong control?

Each mutant changes one thing in one test: a comparison is flipped or moved by its border, one side of an AND or OR is
dropped, a NOT is dropped, an outer join becomes an inner one, the only condition of a join or of a WHERE is dropped, a
whole-number parameter moves by one, a list loses its last entry, a yes becomes a no. A mutant that the static checks refuse was never a control and does not count. One whose examples (or null probe) still come out as they say
survives, and is printed.

    python bench/mutants.py [CONTROL-ID or pattern …]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

import sqlglot  # noqa: TID253 - this script is about SQL and nothing else
from sqlglot import expressions as sql  # noqa: TID253

from compliancectl import load, plugins
from compliancectl.model.control import Control, Test
from compliancectl.query.examples import Workbench
from compliancectl.resources import controls_folder

WANTED = 0.95
_FLIPS = {
    sql.GT: (sql.GTE, sql.LT), sql.GTE: (sql.GT, sql.LT), sql.LT: (sql.LTE, sql.GT), sql.LTE: (sql.LT, sql.GT),
    sql.EQ: (sql.NEQ,), sql.NEQ: (sql.EQ,),
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One wrong control."""

    control: Control
    tests: frozenset[str]
    """Ids of the tests that may come out otherwise."""
    place: str
    change: str


def main() -> int:
    """Try every mutant of the chosen controls; exit 1 if too many survive."""
    patterns = sys.argv[1:] or ["*"]
    controls = [c for c in load.load_controls([controls_folder()]) if any(fnmatchcase(c.id, p) for p in patterns)]
    bench = Workbench(plugins.all_tables())
    caught = total = 0
    for control in controls:
        mine = killed = 0
        for mutant in mutants(control):
            if bench.check(mutant.control):
                continue
            mine += 1
            if is_caught(bench, mutant):
                killed += 1
            else:
                print(f"  survives  {mutant.place}: {mutant.change}", flush=True)
        print(f"{control.id:<8} {killed} of {mine} caught", flush=True)
        caught, total = caught + killed, total + mine
    share = caught / total if total else 0.0
    print(f"{caught} of {total} mutants caught: {share:.1%} (at least {WANTED:.0%})")
    return 0 if share >= WANTED else 1


def is_caught(bench: Workbench, mutant: Mutant) -> bool:
    """Whether an example or a null probe comes out otherwise; the many probes are tried only if no example does."""
    return any(bench.test(mutant.control, only=mutant.tests, probe=probe).problems for probe in (False, True))


def mutants(control: Control) -> Iterator[Mutant]:
    """Every mutant of a control: of its parameters, its populations, its checks."""
    for name, value in control.params.items():
        for other in _other_values(value):
            params = {**control.params, name: other}
            change = f"{name}: {_short(str(value))} → {_short(str(other))}"
            reading = frozenset(test.id for test in control.tests if _reads(test, name))
            yield Mutant(control.model_copy(update={"params": params}), reading, control.id, change)
    for number, test in enumerate(control.tests):
        if test.implicit:
            continue
        place = f"{control.id}.{test.id}"
        for changed, change in variants(test.population):
            yield Mutant(_with(control, number, test, {"population": changed}), frozenset({test.id}), place, change)
        for index, check in enumerate(test.checks):
            for changed, change in variants(f"SELECT {check.expect}"):
                checks = list(test.checks)
                checks[index] = check.model_copy(update={"expect": changed.removeprefix("SELECT ")})
                mutated = _with(control, number, test, {"checks": tuple(checks)})
                yield Mutant(mutated, frozenset({test.id}), f"{place}.{check.name}", change)


def _other_values(value: object) -> tuple[object, ...]:
    if isinstance(value, bool):
        return (not value,)
    if isinstance(value, int):
        return (value - 1, value + 1)
    return (value[:-1],) if isinstance(value, list | tuple) and len(value) > 1 else ()


def _reads(test: Test, parameter: str) -> bool:
    return any(f"${parameter}" in text for text in (test.population, *(check.expect for check in test.checks)))


def _with(control: Control, number: int, test: Test, update: dict[str, object]) -> Control:
    tests = list(control.tests)
    tests[number] = test.model_copy(update=update)
    return control.model_copy(update={"tests": tuple(tests)})


def variants(text: str) -> Iterator[tuple[str, str]]:
    """Every way to change one thing in a statement, with a word on what was changed.

    What would be the statement itself once more (a join that has no condition loses none) is none.
    """
    original = sqlglot.parse_one(text, dialect="duckdb")
    for index, node in enumerate(original.walk()):
        for replacement in _replacements(node):
            tree = original.copy()
            target = list(tree.walk())[index]
            before = target.sql(dialect="duckdb")
            target.replace(replacement) if target.parent is not None else None
            if tree != original:
                yield tree.sql(dialect="duckdb"), f"{_short(before)} → {_short(replacement.sql(dialect='duckdb'))}"


def _replacements(node: sql.Expression) -> Iterator[sql.Expression]:
    for other in _FLIPS.get(type(node), ()):
        yield other(this=node.this.copy(), expression=node.expression.copy())
    if isinstance(node, sql.And | sql.Or):
        yield node.this.copy()
        yield node.expression.copy()
    if isinstance(node, sql.Not):
        yield node.this.copy()
    if isinstance(node, sql.Join) and node.side == "LEFT":
        inner = node.copy()
        inner.set("side", None)
        yield inner
    if isinstance(node, sql.Join) and node.args.get("on") is not None and not isinstance(node.args["on"], sql.And):
        loose = node.copy()
        loose.set("on", sql.true())
        yield loose
    if isinstance(node, sql.Where) and not isinstance(node.this, sql.And):
        yield sql.Where(this=sql.true())


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= 90 else f"{plain[:87]}…"


if __name__ == "__main__":
    sys.exit(main())
