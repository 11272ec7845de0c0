"""The mutation test of the controls changes what it says, and sees what survives."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from compliancectl import load
from compliancectl.query.examples import Workbench
from compliancectl.resources import controls_folder


@pytest.fixture(scope="module")
def mutants() -> Any:
    """The script, as a module."""
    file = Path(__file__).parents[2] / "bench" / "mutants.py"
    spec = importlib.util.spec_from_file_location("mutants_script", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_one_thing_is_changed_at_a_time(mutants: Any) -> None:
    found = {text for text, _ in mutants.variants("SELECT a > 1 AND NOT b")}
    assert found == {
        "SELECT a > 1",
        "SELECT NOT b",
        "SELECT a >= 1 AND NOT b",
        "SELECT a < 1 AND NOT b",
        "SELECT a > 1 AND b",
    }
    joined = {text for text, _ in mutants.variants("SELECT * FROM t LEFT JOIN u ON t.x = u.x")}
    assert joined == {
        "SELECT * FROM t JOIN u ON t.x = u.x",
        "SELECT * FROM t LEFT JOIN u ON t.x <> u.x",
        "SELECT * FROM t LEFT JOIN u ON TRUE",
    }
    unconditional = {text for text, _ in mutants.variants("SELECT * FROM t LEFT JOIN u ON TRUE")}
    assert unconditional == {"SELECT * FROM t JOIN u ON TRUE"}, "the statement itself is no mutant of it"
    filtered = {text for text, _ in mutants.variants("SELECT * FROM t WHERE NOT b")}
    assert filtered == {"SELECT * FROM t WHERE TRUE", "SELECT * FROM t WHERE b"}


def test_a_control_with_blunt_examples_lets_mutants_live(mutants: Any, workbench: Workbench) -> None:
    sharp = load.load_control(next((controls_folder() / "governance").glob("GOV-08-*")))
    (test,) = sharp.tests
    (example,) = test.examples
    rows = {table: given[:2] for table, given in example.given.items()}
    then = {name: example.then[name] for name in ("m#1", "m#2")}
    blunt = sharp.model_copy(
        update={
            "tests": (
                test.model_copy(update={"examples": (example.model_copy(update={"given": rows, "then": then}),)}),
            )
        }
    )
    change = "done <= judged_at → done < judged_at"
    for control, lives in ((sharp, False), (blunt, True)):
        (mutant,) = [m for m in mutants.mutants(control) if m.change == change]
        (changed,) = mutant.control.tests
        problems = [p for p in workbench.test(mutant.control).problems if "expected" in str(p) or "m#7" in str(p)]
        assert changed.checks != test.checks and bool(problems) is not lives


def test_every_parameter_is_changed(mutants: Any) -> None:
    control = load.load_control(next((controls_folder() / "governance").glob("GOV-04-*")))
    params = {"days": 5, "on": True, "kinds": ["a", "b"], "one": ["a"], "text": "x"}
    changes = {m.change for m in mutants.mutants(control.model_copy(update={"params": params, "tests": ()}))}
    assert changes == {"days: 5 → 4", "days: 5 → 6", "on: True → False", "kinds: ['a', 'b'] → ['a']"}


def test_only_the_tests_that_a_mutant_may_change_are_run(mutants: Any) -> None:
    control = load.load_control(next((controls_folder() / "access").glob("IAM-06-*")))
    reading = {m.change.partition(":")[0]: m.tests for m in mutants.mutants(control) if m.place == control.id}
    assert reading["deprovision_hours"] == {"accounts", "register", "invitations"}
    assert reading["move_days"] == {"register"}
    inside = {m.place.split(".")[1]: m.tests for m in mutants.mutants(control) if m.place != control.id}
    assert inside == {name: {name} for name in ("accounts", "register", "invitations")}


def test_what_no_example_catches_a_null_probe_may(mutants: Any, workbench: Workbench) -> None:
    control = load.load_control(next((controls_folder() / "backup").glob("BCP-01-*")))
    first = control.tests[0]
    (example,) = first.examples
    spoken = [row for row in example.given["gcp.sql_instance"] if row["name"] in ("app-db", "bare")]
    blunt = example.model_copy(
        update={"given": {"gcp.sql_instance": spoken}, "then": {"p1/app-db": "pass", "p1/bare": "fail"}}
    )
    forgiving = first.checks[0].model_copy(update={"expect": "coalesce(backup_enabled, true)"})
    changed = first.model_copy(update={"checks": (forgiving,), "examples": (blunt,)})
    mutant = control.model_copy(update={"tests": (changed, *control.tests[1:])})
    found = mutants.Mutant(mutant, frozenset({first.id}), control.id, "passes by absence")
    assert not workbench.test(mutant, only=found.tests, probe=False).problems
    assert mutants.is_caught(workbench, found)
