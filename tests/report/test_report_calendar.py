"""Populations by day, long populations in few lines, and what is enclosed of them."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

from pypdf import PdfReader

from compliancectl import canonical, clock
from compliancectl.model.evidence import Window
from compliancectl.report import calendar, population, render, sections

START, END = date(2026, 8, 1), date(2026, 10, 31)


def line(day: date | str | None, outcome: str = "pass", **more: object) -> dict[str, object]:
    return {"resource": f"r-{day}", "outcome": outcome, "observed": {"merged": str(day) if day else None, **more}}


def tallied(items: list[dict[str, object]], start: date, end: date) -> calendar.Days | None:
    tally = calendar.Tally()
    for item in items:
        tally.add(item)
    return tally.days(start, end)


def daily(count: int, first: date = START) -> list[dict[str, object]]:
    return [line(first + timedelta(days=n)) for n in range(count)]


def window(start: str, end: str) -> Window:
    return Window(start=clock.parse(start), end=clock.parse(end))


def test_the_date_is_the_value_that_every_item_has_on_the_most_days() -> None:
    items = [line(START + timedelta(days=n), at=f"{START}T10:00:00Z", note="2026-08") for n in range(9)]
    assert tallied(items, START, END).column == "merged"
    assert tallied([*items, line(None)], START, END) is None  # an item that counts has none
    assert tallied([*items, line(None, "excluded")], START, END).without == 1
    assert tallied([line(None, "excluded"), line("2026-08-02", "excluded"), *items], START, END).without == 1
    assert tallied([line(START, "excluded")] * 9, START, END) is None  # nothing counts
    assert tallied(items[:6], START, END) is None
    assert tallied([line("2025-01-01"), *items], START, END).before == 1
    assert tallied([line("2025-01-01"), line("2025-01-02"), *items], START, END) is None
    assert tallied([line("2026-13-45") for _ in range(9)], START, END) is None


def test_a_day_shows_its_worst_outcome_and_how_many_items_have_it() -> None:
    day = START + timedelta(days=3)
    found = tallied([*daily(9), line(day, "fail"), line(day, "fail"), line(day, "unknown")], START, END)
    drawn = calendar.calendar(found, (), START, END)
    assert [c.outcome for c in drawn.cells] == ["pass"] * 3 + ["fail"] + ["pass"] * 5
    assert drawn.cells[3].number == 2
    assert drawn.tally == (("fail", 1), ("pass", 8))
    assert "12 items on 9 of 9 days, 1 August 2026 to 9 August 2026, UTC." in drawn.text
    assert "Not good: 2026-08-04 (2 failing and 1 unknown)." in drawn.text


def test_a_day_that_no_evidence_speaks_about_is_not_called_empty() -> None:
    found = tallied(daily(8, date(2026, 9, 10)), START, END)
    alone = calendar.calendar(found, (), START, END)
    assert len(alone.cells) == 8  # from the first item to the last
    windows = (
        window("2026-09-07T12:00:00Z", "2026-09-20T00:00:00Z"),
        window("2026-09-22T00:00:00Z", "2026-09-24T00:00:00Z"),
    )
    drawn = calendar.calendar(found, windows, START, END)
    assert dict(drawn.tally) == {"pass": 8, "none": 7}  # 7 to 9, 18, 19, 22 and 23 September; not 20 and 21
    assert len({(c.x, c.y) for c in drawn.cells}) == 15
    # Nothing is drawn outside the observation period, whatever a window says.
    wide = calendar.calendar(found, (window("2020-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),), START, END)
    assert len(wide.cells) == 92


def test_a_year_fits_the_page_and_months_do_not_run_into_each_other() -> None:
    found = tallied(daily(365, date(2026, 1, 1)), date(2026, 1, 1), date(2026, 12, 31))
    drawn = calendar.calendar(found, (), date(2026, 1, 1), date(2026, 12, 31))
    assert drawn.width <= 1660
    assert not drawn.numbered
    months = [(x, name) for x, y, name in drawn.names if x]
    assert [name[:3] for _, name in months] == [name[:3] for name in calendar.MONTHS]
    assert all(b[0] - a[0] >= 14 * len(a[1]) for a, b in pairwise(months))
    # A month of which the first column has a day or two is not named there.
    late = calendar.calendar(tallied(daily(30, date(2026, 8, 30)), START, END), (), START, END)
    assert [name for x, _, name in late.names if x] == ["Sep 2026"]


def test_the_report_draws_it_in_words_too(build, tmp_path) -> None:
    spec = replace(build.quiet(), frameworks=("soc2",))
    items = [
        build.item(f"pull/{n:03}", "fail" if n == 4 else "pass", merged=f"2026-09-{n + 1:02}T08:00:00Z")
        for n in range(28)
    ]
    spec.controls[0].tests = [build.test("changes", items)]
    folder = build.write(spec)
    page = render("assessment", folder, tmp_path / "a.html", form="html").path.read_text()
    (figure,) = re.findall(r'<svg class="calendar".*?</svg>', page, re.DOTALL)
    assert "Not good: 2026-09-05 (1 failing)." in re.search(r"<title>(.*?)</title>", figure)[1]
    assert figure.count('fill="#b42318"') == 1
    record = render("assessment", folder, tmp_path / "a.pdf")
    text = " ".join(" ".join(p.extract_text() for p in PdfReader(record.path).pages).split())
    assert "28 items on 28 of 28 days, 1 September 2026 to 28 September 2026, UTC." in text


def test_names_are_printed_once_for_what_they_share() -> None:
    shared = sections.families(["//a/x/1", "//a/x/2", "//a/y/3", "plain", "//b/4", "//b/5"])
    assert [(f.parent, f.names) for f in shared] == [
        ("//a/x/", ("1", "2")),
        ("", ("//a/y/3", "plain")),
        ("//b/", ("4", "5")),
    ]
    assert sections.families([]) == ()


def test_a_value_that_only_a_later_item_has_gets_its_column() -> None:
    lines = [{"resource": f"r{n:03}", "outcome": "pass", "checks": {"a": "pass"}, "observed": {}} for n in range(60)]
    lines[50] |= {"checks": {"b": "fail"}, "observed": {"late": "=1"}, "outcome": "fail"}
    lines[50]["findings"] = [{"check": "b", "outcome": "fail", "sentence": "Late."}]
    found = population.read(canonical.to_lines(lines), name="x.csv", shown=25)
    rows = list(csv.DictReader(io.StringIO(found.table.data.decode())))
    assert list(rows[0]) == ["resource", "outcome", "findings", "reason", "check a", "check b", "late"]
    assert (rows[50]["check b"], rows[50]["late"], rows[50]["check a"]) == ("fail", "'=1", "")
    assert found.first[0].resource == "r050"
    assert len(rows) == found.table.rows == 60
    assert json.loads(found.first[0].model_dump_json())["outcome"] == "fail"
