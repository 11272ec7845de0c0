"""What evidence and SQL make of an item, a test and a control: only TRUE passes, and nothing passes by absence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from compliancectl import canonical, load
from compliancectl.disk import SEALED_BY
from compliancectl.errors import FileError, NotReadyError, OutputError
from compliancectl.evaluate import evaluate, worst
from compliancectl.model import result
from compliancectl.model.evidence import Completeness, RejectedRow
from compliancectl.model.result import Results
from compliancectl.query.limits import Limits

POPULATION = "SELECT d.resource, d.region, d.public, d.days, d.owners, d.settings FROM test.database AS d"
CHECKS = {
    "hidden": ("NOT public", "{resource} is open."),
    "kept": ("days >= 7", "{resource} keeps {days} days."),
}
GOOD = {"resource": "good", "public": False, "days": 9}
BAD = {"resource": "bad", "public": True, "days": 9}


class World:
    """A run with evidence, and one control to judge it by."""

    def __init__(self, run: Any, write_control: Callable[..., Path], tables: dict, text: Callable[..., str]) -> None:
        self.run, self.write_control, self.tables, self.text = run, write_control, tables, text

    def judge(self, population: str = POPULATION, checks: Any = CHECKS, more: str = "", **options: Any) -> Results:
        control = load.load_control(self.write_control(self.text(population, checks, more=more)))
        if not (self.run.folder / "run.json").exists():
            self.run.finish()
        return evaluate(self.run.folder, [control], self.tables, **options)

    def test(self, *arguments: Any, **options: Any) -> result.TestResult:
        return self.judge(*arguments, **options).controls[0].tests[0]

    def items(self) -> list[dict[str, Any]]:
        (file,) = (self.run.folder / "results" / "items").iterdir()
        return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture
def world(run: Any, write_control: Callable[..., Path], tables: dict, text_of_control: Callable[..., str]) -> World:
    return World(run, write_control, tables, text_of_control)


# --- items ---


@pytest.mark.parametrize(
    ("public", "days", "outcome"),
    [
        (False, 7, "pass"),
        (True, 7, "fail"),
        (False, 6, "fail"),
        (None, 7, "unknown"),
        (False, None, "unknown"),
        (None, None, "unknown"),
        (True, None, "fail"),
        (None, 6, "fail"),
    ],
)
def test_only_true_passes_and_fail_outranks_unknown(public: Any, days: Any, outcome: str, world: World) -> None:
    world.run.add("test.database", [{"resource": "a", "public": public, "days": days}])
    test = world.test()
    (item,) = world.items()
    assert item["outcome"] == outcome
    assert item["resource"] == "a" and item["observed"]["days"] == days
    expected = {"pass": "no deviations", "fail": "deviations", "unknown": "inconclusive"}[outcome]
    assert test.outcome == expected


def test_findings_say_the_sentence_with_the_values_of_the_item(world: World) -> None:
    world.run.add("test.database", [{"resource": "a", "public": True}])
    test = world.test()
    assert [finding.model_dump(exclude_none=True) for finding in test.deviations[0].findings] == [
        {"check": "hidden", "outcome": "fail", "sentence": "a is open."},
        {"check": "kept", "outcome": "unknown", "sentence": "Not known: the evidence does not say days."},
    ]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "kept for 0 seconds in 0 tables, 0 deleted rows"),
        (1, "kept for 1 second in 1 table, 1 deleted row"),
        (61, "kept for 61 seconds in 61 tables, 61 deleted rows"),
        (120, "kept for 2 minutes in 120 tables, 120 deleted rows"),
        (3600, "kept for 1 hour in 3600 tables, 3600 deleted rows"),
        (86_400, "kept for 1 day in 86400 tables, 86400 deleted rows"),
        (7_776_000, "kept for 90 days in 7776000 tables, 7776000 deleted rows"),
        (None, "kept for not known seconds in not known tables, not known deleted rows"),
    ],
)
def test_a_number_before_a_unit_reads_as_people_say_it(value: int | None, said: str, world: World) -> None:
    world.run.add("test.database", [{"resource": "a", "days": value}])
    sentence = "kept for {days} seconds in {days} tables, {days} deleted rows"
    test = world.test("SELECT d.resource, d.days FROM test.database AS d", {"never": ("resource = 'b'", sentence)})
    assert [finding.sentence for finding in test.deviations[0].findings] == [said]


def test_a_text_before_a_unit_stays_as_it_is(world: World) -> None:
    world.run.add("test.database", [{"resource": "1", "days": 60}])
    population = "SELECT d.resource, CAST(d.days AS VARCHAR) AS days FROM test.database AS d"
    test = world.test(population, {"never": ("resource = 'b'", "{resource} days, {days} seconds, {days} secondsworth")})
    assert test.deviations[0].findings[0].sentence == "1 days, 60 seconds, 60 secondsworth"


def test_an_excluded_item_is_listed_with_its_reason_and_judged_by_no_check(world: World) -> None:
    world.run.add("test.database", [GOOD, {**BAD, "replica": True}])
    population = (
        "SELECT d.resource, d.public, d.days, CASE WHEN d.replica THEN 'a copy' END AS excluded FROM test.database d"
    )
    test = world.test(population)
    assert (test.outcome, test.counts.passed, test.counts.excluded) == ("no deviations", 1, 1)
    bad = world.items()[0]
    assert (bad["resource"], bad["outcome"], bad["reason"], bad["checks"]) == ("bad", "excluded", "a copy", {})


def test_an_exclusion_without_a_reason_is_unknown(world: World) -> None:
    world.run.add("test.database", [GOOD])
    test = world.test("SELECT d.resource, d.public, d.days, ' ' AS excluded FROM test.database d")
    assert test.outcome == "inconclusive"
    assert world.items()[0]["reason"] == "It is excluded without a reason."


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([GOOD, BAD], "All 2 items are excluded, each with its reason."),
        ([GOOD], "The one item is excluded, with its reason."),
    ],
)
def test_nothing_but_excluded_items_is_no_occurrence(rows: list[dict[str, Any]], said: str, world: World) -> None:
    world.run.add("test.database", rows)
    test = world.test("SELECT d.resource, d.public, d.days, 'a test system' AS excluded FROM test.database d")
    assert (test.outcome, test.reason) == ("no occurrences", said)


def test_an_empty_population_is_inconclusive(world: World) -> None:
    world.run.add("test.database", [])
    test = world.test()
    assert test.outcome == "inconclusive" and "population is empty" in str(test.reason)


def test_an_empty_population_may_be_explained_beforehand(world: World) -> None:
    world.run.add("test.database", [])
    test = world.test(more="may_be_empty: There may be no database at all.")
    assert (test.outcome, test.reason) == ("no occurrences", "There may be no database at all.")


@pytest.mark.parametrize(
    ("population", "reason"),
    [
        (
            "SELECT 'all' AS resource, d.public, d.days FROM test.database AS d",
            'The population names "all" 2 times; each item must occur once.',
        ),
        (
            "SELECT CASE WHEN d.public THEN d.resource END AS resource, d.public, d.days FROM test.database AS d",
            "The population holds 1 items without a resource name.",
        ),
        (
            "SELECT replace(d.resource, 'good', ' ') AS resource, d.public, d.days FROM test.database AS d",
            "The population holds 1 items without a resource name.",
        ),
    ],
)
def test_items_that_cannot_be_told_apart_make_the_test_inconclusive(population: str, reason: str, world: World) -> None:
    world.run.add("test.database", [GOOD, BAD])
    test = world.test(population)
    assert (test.outcome, test.reason, test.items_path) == ("inconclusive", reason, None)


def test_every_item_of_the_population_is_in_the_result_once_and_in_order(world: World) -> None:
    names = [f"db-{number:03}" for number in range(250)]
    world.run.add("test.database", [{"resource": n, "public": n.endswith("7"), "days": 9} for n in reversed(names)])
    test = world.test()
    assert [item["resource"] for item in world.items()] == names
    assert test.counts.total == 250 and test.counts.failed == 25
    assert [item.resource for item in test.deviations] == [name for name in names if name.endswith("7")]
    assert test.items_sha256 == canonical.sha256_file(world.run.folder / str(test.items_path))


def test_the_worst_outcome_counts() -> None:
    assert worst(["no deviations", "no occurrences"]) == "no deviations"
    assert worst(["no deviations", "deviations"]) == "deviations"
    assert worst(["deviations", "inconclusive"]) == "inconclusive"
    assert worst([]) == "inconclusive"


# --- evidence that cannot be relied on ---

COMPLETE = Completeness(method="last page", pages=1, items=2)


def _damage(folder: Path) -> None:
    file = folder / "test.database.parquet"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


UNRELIABLE: dict[str, tuple[dict[str, Any], Callable[[Path], None] | None, str]] = {
    "denied": (
        {"status": "denied", "reason": "permission cloudsql.instances.list is missing"},
        None,
        "test/databases/one is denied: permission cloudsql.instances.list is missing.",
    ),
    "failed": ({"status": "failed", "reason": "no route"}, None, "test/databases/one is failed: no route."),
    "skipped": ({"status": "skipped", "reason": "not asked for"}, None, "is skipped: not asked for."),
    "partial": ({"status": "partial", "reason": "the source stopped"}, None, "is partial: the source stopped."),
    "no reason kept": ({"status": "failed"}, None, "is failed: no reason was kept."),
    "more to give": (
        {"completeness": COMPLETE.model_copy(update={"exhausted": False})},
        None,
        "is not known to be complete: the source had more to give.",
    ),
    "reports more": (
        {"completeness": COMPLETE.model_copy(update={"reported_total": 3})},
        None,
        "2 records arrived, but the source reports 3.",
    ),
    "counts less": (
        {"completeness": COMPLETE.model_copy(update={"independent_count": 1})},
        None,
        "2 records arrived, but the source counts 1.",
    ),
    "a warning": (
        {"completeness": COMPLETE.model_copy(update={"warnings": ("a zone did not answer",)})},
        None,
        "a zone did not answer.",
    ),
    "stale": ({"age": timedelta(hours=25)}, None, "is stale: collected at 2026-07-31T11:00:00Z"),
    "from the future": ({"age": timedelta(hours=-25)}, None, "is later than what is judged"),
    "damaged": ({}, _damage, "differ from the digest recorded when they were collected."),
    "gone": ({}, lambda folder: (folder / "test.database.parquet").unlink(), "cannot be read: test.database.parquet"),
    "exchanged": (
        {},
        lambda folder: (folder / "test.database.parquet").write_bytes(b"PAR1"),
        "differ from the digest recorded",
    ),
}


@pytest.mark.parametrize("name", UNRELIABLE)
def test_evidence_that_cannot_be_relied_on_is_inconclusive_and_says_why(name: str, world: World) -> None:
    options, harm, reason = UNRELIABLE[name]
    age = options.get("age")
    given = {key: value for key, value in options.items() if key != "age"}
    if age is not None:
        given["completed"] = world.run.finished - age
    folder = world.run.add("test.database", [GOOD, {**GOOD, "resource": "other"}], **given)
    if harm is not None:
        harm(folder)
    results = world.judge()
    test = results.controls[0].tests[0]
    assert (test.outcome, results.outcome, results.exit_code) == ("inconclusive", "inconclusive", 3)
    assert reason in str(test.reason)
    assert (test.counts.total, test.items_path, test.deviations) == (0, None, ())
    assert test.tables[0].problem == test.reason


def test_a_source_that_the_scope_does_not_name_is_said(world: World) -> None:
    test = world.test()
    said = "test.database was not collected in this run: its scope file names no source test."
    assert (test.outcome, test.reason, test.items_path) == ("inconclusive", said, None)


def test_a_table_that_nobody_collected_is_inconclusive(world: World) -> None:
    world.run.add("test.backup", [])
    test = world.test()
    assert (test.outcome, test.reason) == ("inconclusive", "test.database was not collected in this run.")
    assert test.tables[0].status == "skipped"


def test_one_target_that_was_denied_spoils_the_table_though_another_was_read(world: World) -> None:
    world.run.add("test.database", [GOOD])
    world.run.add("test.database", [], target="two", status="denied", reason="no")
    test = world.test()
    assert (test.outcome, test.reason) == ("inconclusive", "test/databases/two is denied: no.")


def test_evidence_with_other_columns_is_not_read(world: World, write_parquet_of: Callable[..., None]) -> None:
    folder = world.run.add("test.database", [GOOD])
    file = folder / "test.database.parquet"
    write_parquet_of("test.backup", [{"resource": "x"}], file)
    item = json.loads((folder / "item.json").read_text())
    item["tables"][0]["sha256"] = canonical.sha256_file(file)
    (folder / "item.json").write_bytes(canonical.to_bytes(item))
    assert world.test().reason == (
        "test.database: its rows cannot be read: test.database.parquet does not hold the declared columns of test.database."
    )


def test_what_lies_beside_the_evidence_does_not_decide_about_another_table(world: World) -> None:
    world.run.add("test.database", [GOOD])
    world.run.add("test.backup", [], status="denied", reason="no")
    assert world.test().outcome == "no deviations"


def test_a_run_that_did_not_finish_is_not_judged(world: World) -> None:
    world.run.add("test.database", [GOOD])
    world.run.finish("open")
    with pytest.raises(NotReadyError, match="did not finish"):
        world.judge()
    (world.run.folder / "run.json").write_text("{")
    with pytest.raises(FileError, match="damaged"):
        world.judge()


def test_evidence_under_a_name_that_is_not_its_own_is_refused(world: World) -> None:
    folder = world.run.add("test.database", [GOOD])
    world.run.finish()
    folder.rename(folder.with_name("two"))
    with pytest.raises(FileError, match="calls itself test/databases/one, but lies elsewhere"):
        world.judge()


def test_a_sealed_bundle_is_never_changed(world: World) -> None:
    world.run.add("test.database", [GOOD])
    envelope = world.run.folder / SEALED_BY
    envelope.parent.mkdir()
    envelope.write_text("")
    with pytest.raises(OutputError, match="sealed"):
        world.judge()
    assert not (world.run.folder / "results").exists()


# --- records that break their contract ---


def test_one_unknown_item_is_said_as_one(world: World) -> None:
    world.run.add("test.database", [], rejected=[RejectedRow(reply="r", key="k", path="$.days", message="m")])
    assert world.test().reason == "1 of 1 item is unknown."


def test_a_record_that_breaks_the_contract_is_an_unknown_item_with_its_path(world: World) -> None:
    broken = [
        RejectedRow(reply="raw-0001.json", key="db-9", path="$.public", message="Expected `bool`, got `str`"),
        RejectedRow(reply="raw-0001.json", key="db-9", path="$", message="two records share this key"),
    ]
    world.run.add("test.database", [GOOD], rejected=broken)
    test = world.test()
    assert (test.outcome, test.counts.passed, test.counts.unknown) == ("inconclusive", 1, 2)
    assert test.reason == "2 of 3 items are unknown."
    unknown = [item for item in world.items() if item["outcome"] == "unknown"]
    assert [(item["resource"], item["reason"]) for item in unknown] == [
        (
            "test.database db-9",
            "The record breaks the contract of test.database at $.public: Expected `bool`, got `str` (raw-0001.json)",
        ),
        (
            "test.database db-9 #2",
            "The record breaks the contract of test.database at $: two records share this key (raw-0001.json)",
        ),
    ]
    assert all(item["checks"] == {} and item["findings"] == [] for item in unknown)
    assert test.tables[0].rejected == 2


def test_a_broken_record_of_an_empty_population_is_not_no_occurrence(world: World) -> None:
    world.run.add("test.database", [], rejected=[RejectedRow(reply="r", key="k", path="$.days", message="m")])
    assert world.test(more="may_be_empty: There may be none.").outcome == "inconclusive"


# --- SQL that does not finish ---


@pytest.mark.parametrize(
    ("population", "limits", "reason"),
    [
        (
            "SELECT d.resource, d.public, count(*) AS days FROM test.database AS d, range(1000000000000) GROUP BY ALL",
            Limits(seconds=0.3),
            "The SQL took longer than 0.3 seconds and was stopped.",
        ),
        (
            "SELECT d.resource, d.public, array_length(range(d.days * 100000000)) AS days FROM test.database AS d",
            Limits(memory="64MB", spill="16MB"),
            "The SQL needed more memory than 64MB and was stopped.",
        ),
        (
            "WITH "
            + ", ".join(f"w{n + 1} AS (SELECT r || r AS r FROM w{n})" for n in range(40)).replace(
                "FROM w0)", "FROM (SELECT resource AS r FROM test.database))"
            )
            + " SELECT d.resource, d.public, length(w40.r) AS days FROM test.database AS d, w40",
            Limits(memory="64MB"),
            "The SQL needed more memory than 64MB and was stopped.",
        ),
        (
            "SELECT d.resource, d.public, count(DISTINCT x.range) AS days "
            "FROM test.database AS d, range(6000000) AS x GROUP BY ALL",
            Limits(memory="32MB", spill="8MB", threads=1),
            "The SQL needed more memory than 32MB and was stopped.",
        ),
        (
            "SELECT d.resource, d.public, CAST(d.region AS BIGINT) AS days FROM test.database AS d",
            Limits(),
            "The SQL failed on this evidence: Could not convert string 'eu' to INT64",
        ),
        (
            "SELECT d.resource, d.public, d.days * 9223372036854775807 AS days FROM test.database AS d",
            Limits(),
            "The SQL failed on this evidence: Overflow in multiplication of INT64",
        ),
    ],
    ids=["time", "memory of a value", "memory of a text", "memory of a join", "a cast", "an overflow"],
)
def test_sql_that_does_not_finish_is_inconclusive_and_leaves_the_next_test_alone(
    population: str, limits: Limits, reason: str, world: World
) -> None:
    world.run.add("test.database", [{**GOOD, "region": "eu"}])
    test = world.test(population, limits=limits)
    assert test.outcome == "inconclusive" and str(test.reason).startswith(reason)
    assert (test.items_path, test.counts.total) == (None, 0)
    assert not list((world.run.folder / "results" / "items").iterdir())
    assert not [path for path in world.run.folder.iterdir() if path.name.startswith(".")]
    assert world.test().outcome == "no deviations"


# --- the same evidence, the same bytes ---


def _bytes(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for name in ("results", "catalog")
        for path in sorted((folder / name).rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_the_same_evidence_gives_the_same_bytes(threads: int, world: World, many: Sequence[dict]) -> None:
    world.run.add("test.database", many[::2])
    world.run.add("test.database", many[1::2], target="two")
    world.judge(limits=Limits(threads=1))
    before = _bytes(world.run.folder)
    shutil.rmtree(world.run.folder / "results")
    world.judge(limits=Limits(threads=threads))
    assert _bytes(world.run.folder) == before


@pytest.fixture(scope="module")
def many() -> Sequence[dict]:
    return [
        {
            "resource": f"p/{number:04}-ä\"'\\\n",
            "region": None if number % 7 == 0 else "eu",
            "public": (None, True, False)[number % 3],
            "days": number - 300,
            "owners": ["x", None, "ü"][: number % 4],
            "settings": {"tls": f"t{number}\x07\x0b\x1f\x7f\\u001F", "seen": None},
        }
        for number in range(600)
    ]


def test_every_line_is_canonical_json(world: World, many: Sequence[dict]) -> None:
    world.run.add("test.database", many)
    world.judge()
    for path in (world.run.folder / "results").rglob("*.json*"):
        for line in path.read_bytes().splitlines():
            assert canonical.to_bytes(json.loads(line)) == line
