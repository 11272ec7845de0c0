"""The digest of what a table says: the same however it is written, another one as soon as it says something else."""

from __future__ import annotations

import hashlib
import json
import random
import tempfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from compliancectl.model.table import BOOL, DATE, INT, TEXT, TIME, Column, ListOf, Table, struct
from compliancectl.query import content, rows

TABLE = Table(
    "shelf.thing",
    "One row per thing.",
    (
        Column("id", INT, "I.", required=True),
        Column("name", TEXT, "N."),
        Column("good", BOOL, "G."),
        Column("size", INT, "S."),
        Column("made", TIME, "M."),
        Column("day", DATE, "D."),
        Column("tags", ListOf(TEXT), "T."),
        Column("sizes", ListOf(INT), "L."),
        Column("nested", ListOf(ListOf(TEXT)), "N."),
        Column("owner", struct(name=TEXT, since=TIME, roles=ListOf(TEXT)), "O."),
        Column("parts", ListOf(struct(name=TEXT, count=INT)), "P."),
    ),
    key=("id",),
)

texts = some.text(some.characters(exclude_categories=("Cs",)), max_size=5) | some.sampled_from(
    ["", "n", "1:n", "[0:", "\x00", "a\x00b", "t;", "é", "e\u0301", "\U0001f600", "NULL", "-0", "'\""]
)
integers = some.integers(-(2**63), 2**63 - 1) | some.sampled_from([0, -1, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)])
instants = some.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31)).map(lambda at: at.isoformat() + "Z")
days = some.dates(date(1000, 1, 1)).map(date.isoformat)


def maybe(values: some.SearchStrategy[Any]) -> some.SearchStrategy[Any]:
    return some.none() | values


def lists(values: some.SearchStrategy[Any]) -> some.SearchStrategy[Any]:
    return some.lists(maybe(values), max_size=3)


things = some.lists(
    some.fixed_dictionaries(
        {
            "id": integers,
            "name": maybe(texts),
            "good": maybe(some.booleans()),
            "size": maybe(integers),
            "made": maybe(instants),
            "day": maybe(days),
            "tags": maybe(lists(texts)),
            "sizes": maybe(lists(integers)),
            "nested": maybe(lists(lists(texts))),
            "owner": maybe(
                some.fixed_dictionaries({"name": maybe(texts), "since": maybe(instants), "roles": maybe(lists(texts))})
            ),
            "parts": maybe(lists(some.fixed_dictionaries({"name": maybe(texts), "count": maybe(integers)}))),
        }
    ),
    max_size=6,
    unique_by=lambda thing: thing["id"],
)


def lines(found: list[dict[str, Any]]) -> list[bytes]:
    return [json.dumps(thing, ensure_ascii=False).encode() + b"\n" for thing in found]


def digest(found: list[dict[str, Any]]) -> str:
    return content.of_lines(TABLE, lines(found)).sha256


def write(folder: Path, found: list[dict[str, Any]]) -> rows.Written:
    (folder / "lines").write_bytes(b"".join(lines(found)))
    return rows.write_parquet(TABLE, folder / "lines", folder / "out.parquet", folder, longest=4000)


@settings(max_examples=30, deadline=None)
@given(things)
def test_a_file_has_the_digest_of_the_lines_that_it_was_made_from(found: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        written = write(Path(folder), found)
        assert written.rows == len(found)
        assert content.of_files([Path(folder, "out.parquet")]) == written.content


@settings(max_examples=12, deadline=None)
@given(things, some.randoms(use_true_random=False))
def test_it_does_not_depend_on_how_the_rows_are_written(found: list[dict[str, Any]], chance: random.Random) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        wanted = write(folder, found).content
        columns = [column.name for column in TABLE]
        chance.shuffle(columns)
        # Other widths that other writers choose for the same values.
        wider = {"made": '"made" AT TIME ZONE \'UTC\' AS "made"', "size": '"size"::HUGEINT::BIGINT AS "size"'}
        listed = ", ".join(wider.get(name, f'"{name}"') for name in columns)
        files = [folder / f"cut-{number}.parquet" for number in range(3)]
        with duckdb.connect() as db:
            for number, file in enumerate(files):
                db.execute(
                    f"COPY (SELECT {listed} FROM read_parquet('{folder / 'out.parquet'}') "
                    f"WHERE abs(hash(id) % 3) = {number} ORDER BY hash(id, {number})) "
                    f"TO '{file}' (FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE 2048)"
                )
        chance.shuffle(files)
        assert content.of_files(files) == wanted


def one_else(value: Any) -> Any:
    """Another value of the same type, as near to it as there is."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value - 1 if value > 0 else value + 1
    if isinstance(value, list):
        return [*value, None]
    if isinstance(value, dict):
        name = sorted(value)[0]
        return {**value, name: one_else(value[name])} if value[name] is not None else None
    if isinstance(value, str) and value.endswith("Z") and "T" in value:
        at = datetime.fromisoformat(value).replace(tzinfo=UTC)
        return at.replace(microsecond=(at.microsecond + 1) % 1_000_000).isoformat().replace("+00:00", "Z")
    return None


@settings(deadline=None)
@given(things.filter(bool), some.data())
def test_a_row_that_is_missing_added_doubled_or_changed_shows(
    found: list[dict[str, Any]], data: some.DataObject
) -> None:
    was = digest(found)
    row = data.draw(some.sampled_from(found))
    rest = [thing for thing in found if thing is not row]
    name = data.draw(some.sampled_from([column.name for column in TABLE]))
    value = row[name]
    if value is None:
        changed = {"owner": {"name": None, "since": None, "roles": None}, "good": False}.get(name, [])
        changed = {"name": "", "size": 0, "made": "1970-01-01T00:00:00Z", "day": "1970-01-01"}.get(name, changed)
    elif name == "id":
        changed = value ^ 1
    elif name == "day":
        changed = None
    else:
        changed = one_else(value)
    assert digest(rest) != was
    assert digest([*found, row]) != was
    assert digest([*rest, {**row, name: changed}]) != was
    assert digest([*rest, {**row, name: value}]) == was


written: dict[str, tuple[Any, some.SearchStrategy[Any]]] = {
    "text": (TEXT, maybe(texts)),
    "list of text": (ListOf(TEXT), maybe(lists(texts))),
    "list of lists": (ListOf(ListOf(INT)), maybe(lists(lists(integers)))),
    "struct": (
        struct(a=TEXT, b=ListOf(TEXT)),
        maybe(some.fixed_dictionaries({"a": maybe(texts), "b": maybe(lists(texts))})),
    ),
}


@pytest.mark.parametrize("kind", written)
@settings(deadline=None)
@given(data=some.data())
def test_no_two_rows_are_written_alike(kind: str, data: some.DataObject) -> None:
    """Two columns side by side: what one ends with is never taken for what the next begins with."""
    type, values = written[kind]
    table = Table("shelf.pair", "Pairs.", (Column("a", type, ""), Column("b", type, "")), key=("a",))
    one, other = ({"a": data.draw(values), "b": data.draw(values)} for _ in range(2))
    same = content.of_lines(table, lines([one])) == content.of_lines(table, lines([other]))
    assert same == (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"name": None}, {"name": ""}),
        ({"name": None}, {"name": "n"}),
        ({"tags": None}, {"tags": []}),
        ({"tags": []}, {"tags": [None]}),
        ({"tags": [""]}, {"tags": [None]}),
        ({"tags": ["a", "b"]}, {"tags": ["b", "a"]}),
        ({"nested": [[], ["a"]]}, {"nested": [["a"], []]}),
        ({"owner": None}, {"owner": {"name": None, "since": None, "roles": None}}),
        ({"size": 2**53}, {"size": 2**53 + 1}),
        ({"made": "2026-01-01T00:00:00Z"}, {"made": "2026-01-01T00:00:00.000001Z"}),
        ({"good": False}, {"good": None}),
    ],
)
def test_values_that_are_easily_taken_for_each_other(one: dict[str, Any], other: dict[str, Any]) -> None:
    blank = {column.name: None for column in TABLE} | {"id": 1}
    assert digest([{**blank, **one}]) != digest([{**blank, **other}])


def test_the_form_by_hand() -> None:
    """As docs/decisions/0007 describes it, with nothing but a hash."""

    def sha(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    table = Table("t.t", "T.", (Column("b", ListOf(TEXT), ""), Column("a", INT, ""), Column("c", TIME, "")), key=("a",))
    found = [
        {"a": 7, "b": ["é", None], "c": "1970-01-01T00:00:01.5Z"},
        {"a": -1, "b": None, "c": None},
    ]
    digests = sorted([sha("7;[2:2:én1500000;"), sha("-1;nn")])
    text = "compliancectl-content-v1\na integer\nb list(text)\nc instant\n"
    assert digests[0][:2] != digests[1][:2]
    text += "".join(f"{digest[:2]} 1 {sha(digest)}\n" for digest in digests)
    assert content.of_lines(table, lines(found)) == content.Content(sha(text), 2)
    none = "compliancectl-content-v1\na integer\nb list(text)\nc instant\n"
    assert content.empty(table) == content.Content(sha(none), 0)


def test_a_table_of_other_columns_or_types_is_another_even_without_rows() -> None:
    def of(*columns: Column) -> str:
        return content.empty(Table("t.t", "T.", columns, key=("a",))).sha256

    text, number, instant = (Column("a", kind, "") for kind in (TEXT, INT, TIME))
    assert len({of(text), of(number), of(instant), of(text, Column("b", TEXT, "")), of()}) == 5


def parquet(file: Path, sql: str) -> Path:
    with duckdb.connect() as db:
        db.execute(f"COPY ({sql}) TO '{file}' (FORMAT parquet)")
    return file


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT 'nan'::DOUBLE AS a", "values of the type DOUBLE"),
        ("SELECT -0.0::FLOAT AS a", "values of the type FLOAT"),
        ("SELECT [1.5::DOUBLE] AS a", "values of the type DOUBLE"),
        ("SELECT 'infinity'::TIMESTAMP AS a", "an instant that no evidence has"),
        ("SELECT ['infinity'::TIMESTAMP] AS a", "an instant that no evidence has"),
        ("SELECT '2026-01-01 00:00:00.000000001'::TIMESTAMP_NS AS a", "an instant that no evidence has"),
        ("SELECT '-infinity'::DATE AS a", "a date that no evidence has"),
        ('SELECT 1 AS "a\nb"', "it has a column"),
        ("SELECT 'x'::BLOB AS a", "values of the type BLOB"),
    ],
)
def test_what_no_evidence_holds_has_no_digest(sql: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(content.NoDigest, match=said):
        content.of_files([parquet(tmp_path / "a.parquet", sql)])


def test_files_that_do_not_fit_together_are_not_bent_to_fit(tmp_path: Path) -> None:
    one = parquet(tmp_path / "one.parquet", "SELECT 'a' AS a, 1 AS b")
    for number, sql in enumerate(["SELECT 1 AS a, 1 AS b", "SELECT 'a' AS a", "SELECT 'a' AS a, 1 AS b, 2 AS c"]):
        other = parquet(tmp_path / f"{number}.parquet", sql)
        with pytest.raises(content.NoDigest, match="other columns"):
            content.of_files([one, other])


@pytest.mark.parametrize("damage", [lambda data: data[:40], lambda data: b"", lambda data: data[: len(data) // 2] * 2])
def test_a_file_that_cannot_be_read_is_never_empty(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    file = parquet(tmp_path / "a.parquet", "SELECT range AS a FROM range(1000)")
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(content.NoDigest, match="cannot be read"):
        content.of_files([file])
    with pytest.raises(content.NoDigest, match="cannot be read"):
        content.of_files([tmp_path / "gone.parquet"])


def test_items_are_told_apart_and_every_row_is_somebodys(tmp_path: Path) -> None:
    both = parquet(
        tmp_path / "both.parquet", "SELECT * FROM (VALUES ('x', 1), ('y', 2), ('x', 3), ('y', NULL)) t(item, a)"
    )
    found = content.by_item([both], "item")
    table = Table("t.t", "T.", (Column("a", INT, ""),), key=("a",))
    assert found == {
        "x": content.of_lines(table, lines([{"a": 3}, {"a": 1}])),
        "y": content.of_lines(table, lines([{"a": None}, {"a": 2}])),
    }
    with pytest.raises(content.NoDigest, match="there is no column other"):
        content.by_item([both], "other")
    stray = parquet(tmp_path / "stray.parquet", "SELECT NULL::VARCHAR AS item, 1 AS a")
    with pytest.raises(content.NoDigest, match="does not say in item"):
        content.by_item([both, stray], "item")


def test_many_rows_in_little_memory_have_the_same_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables beyond a size are read back from their file; the digest is that of their lines all the same."""
    table = Table("t.t", "T.", (Column("a", INT, ""), Column("b", TEXT, "")), key=("a",))
    written = lines([{"a": number, "b": f"row {number}"} for number in range(3000)])
    (tmp_path / "lines").write_bytes(b"".join(written))
    monkeypatch.setattr(rows, "SMALL", 1)
    monkeypatch.setattr(content, "_FETCH", 100)
    found = rows.write_parquet(table, tmp_path / "lines", tmp_path / "out.parquet", tmp_path, longest=100)
    assert found.content == content.of_lines(table, written) and found.rows == 3000
