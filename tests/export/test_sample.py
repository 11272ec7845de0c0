"""Samples: drawn by seed and name alone, redrawn by anyone from the bundle."""

from __future__ import annotations

import csv
import json
import subprocess
from pathlib import Path
from typing import Any

import duckdb
import pytest

from compliancectl.cli import app
from compliancectl.export.source import opened
from compliancectl.model.sample import Sample
from compliancectl.sample import SIZES, Wanted, allot, draw

POPULATION = "results/items/TST-02.reviewed-merges.jsonl"


def drawn(made: Any, **wanted: Any) -> Sample:
    with opened(made.archive) as bundle:
        return draw(bundle, Wanted("TST-02", **{"seed": "2026-17", **wanted}))


def redrawn(made: Any, sample: Sample, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(made.folder)
    return [resource for (resource,) in duckdb.execute(sample.sql).fetchall()]


def test_anyone_draws_the_same_items_with_one_statement(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = drawn(made, size=25)
    assert len(sample.items) == 25
    assert redrawn(made, sample, monkeypatch) == [item.resource for item in sample.items]


def test_the_order_is_what_md5sum_says(made: Any) -> None:
    for item in drawn(made, size=3).items:
        said = subprocess.run(
            ["md5sum"], input=f"2026-17{item.resource}".encode(), check=True, capture_output=True
        ).stdout
        assert said.decode().split()[0] == item.md5


def test_a_larger_sample_holds_the_smaller_one_and_another_seed_draws_others(made: Any) -> None:
    small, large, other = (drawn(made, **w) for w in ({"size": 10}, {"size": 40}, {"size": 10, "seed": "2026-18"}))
    assert [i.resource for i in large.items][:10] == [i.resource for i in small.items]
    assert {i.resource for i in other.items} != {i.resource for i in small.items}


def test_the_size_follows_the_frequency_and_never_exceeds_the_frame(made: Any) -> None:
    assert drawn(made).size == SIZES["daily"] == 25
    whole = drawn(made, size=10_000)
    assert whole.size == whole.frame == 255 and "so all of it" in whole.rule


def test_excluded_items_are_not_in_the_frame(made: Any) -> None:
    with opened(made.archive) as bundle:
        sample = draw(bundle, Wanted("TST-01", seed="x"))
    assert (sample.population, sample.excluded, sample.frame) == (2, 1, 1)
    assert [item.resource for item in sample.items] == ["app/main"]


def test_strata_are_drawn_by_their_share_with_one_of_each(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = drawn(made, size=20, by="approvals", seed="it's 17")
    # 252 with 0 approvals, one with 1, and two of which it is not known (one a broken record)
    assert [(part.value, part.items, part.drawn) for part in sample.strata] == [
        ("0", 252, 18),
        ("1", 1, 1),
        (None, 2, 1),
    ]
    assert redrawn(made, sample, monkeypatch) == [item.resource for item in sample.items]


@pytest.mark.parametrize(
    ("frame", "size", "shares"),
    [
        ({"a": 1, "b": 1, "c": 8}, 5, {"a": 1, "b": 1, "c": 3}),
        ({"a": 100, "b": 1}, 1, {"a": 1, "b": 0}),
        ({"a": 3, "b": 3}, 100, {"a": 3, "b": 3}),
        ({"a": 2, "b": 2, "c": 2}, 4, {"a": 2, "b": 1, "c": 1}),
        ({}, 4, {}),
    ],
)
def test_shares(frame: dict[str | None, int], size: int, shares: dict[str, int]) -> None:
    assert allot(frame, size) == shares


def test_the_attribute_sheet(made: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import openpyxl

    base = ["sample", "TST-02.reviewed-merges", str(made.archive), "--seed", "s", "--size", "30", "-o"]
    for name in ("s.csv", "s.xlsx", "s.json"):
        assert app.run([*base, str(tmp_path / name)]) == 0
    sample = Sample.model_validate_json((tmp_path / "s.json").read_bytes())
    with (tmp_path / "s.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, strict=True))
    assert [row["Resource"] for row in rows] == [item.resource for item in sample.items]
    assert {row["[A] reviewed"] for row in rows} == {row["Tested by"] for row in rows} == {""}
    book = openpyxl.load_workbook(tmp_path / "s.xlsx")
    assert [row[1] for row in book["Attributes"].iter_rows(min_row=2, values_only=True)] == [
        r["Resource"] for r in rows
    ]
    about = dict(book["About"].iter_rows(min_row=2, values_only=True))
    assert about["Seed"] == "s" and about["Population file, SHA-256"] == sample.items_sha256
    before = (tmp_path / "s.xlsx").read_bytes()
    assert app.run([*base, str(tmp_path / "s.xlsx")]) == 0 and (tmp_path / "s.xlsx").read_bytes() == before
    capsys.readouterr()
    assert app.run([*base[:-1], "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == sample.to_json()


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["TST-2"], 2, "TST-02"),
        (["TST-02.no-such"], 2, "reviewed-merges (255 items)"),
        (["TST-02", "--by", "author"], 2, "approvals"),
        (["TST-02", "--by", "resource"], 2, "more than 50 values"),
        (["TST-02", "--size", "0"], 2, "--size"),
        (["TST-02", "-o", "sample.pdf"], 2, ".xlsx"),
        (["TST-04"], 3, "storage.buckets.list was denied"),
    ],
)
def test_what_cannot_be_drawn(
    arguments: list[str], code: int, part: str, made: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(["sample", arguments[0], str(made.archive), "--seed", "s", *arguments[1:]]) == code
    assert part in capsys.readouterr().err
