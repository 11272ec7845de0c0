"""A long collection says how far it is, and how long the rest will take if it goes on as it did."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from rich.console import Console

from compliancectl.cli.console import CollectView
from compliancectl.collect import Event
from compliancectl.collectors.base import Reply
from compliancectl.collectors.github.estimate import Estimate

BEGAN = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)


def page(number: int, seconds: float, **context: str) -> Reply:
    """The answer number so and so, each of which takes `seconds`."""
    at = BEGAN + timedelta(seconds=seconds * (number - 1))
    return Reply(b"{}", "query", at, at + timedelta(seconds=seconds), context=context)


@pytest.mark.parametrize(
    ("seconds", "done", "total", "said"),
    [
        (1.5, 50, 100_000, "app: pull requests, 50 of 100,000 (0 %), about 50 min left"),
        (30, 50, 100_000, "app: pull requests, 50 of 100,000 (0 %), about 17 h left"),
        (1.5, 50, 100, "app: pull requests, 50 of 100 (50 %), less than a minute left"),
        (60, 50, 100, "app: pull requests, 50 of 100 (50 %), about 1 min left"),
        (60, 50, 50, "app: pull requests, 50 of 50 (100 %)"),
        (60, 51, 50, "app: pull requests, 51 of 50 (100 %)"),
        (60, 0, 50, "app: pull requests, 0 of 50 (0 %)"),
        (60, 0, 0, "app: pull requests"),
    ],
)
def test_the_first_page_already_tells(seconds, done, total, said):
    assert Estimate("app: pull requests").told(page(1, seconds), done, total) == said


def test_what_comes_from_an_earlier_run_takes_no_time_and_is_not_reckoned_with():
    estimate = Estimate("app: commits")
    for number in (1, 2, 3):
        said = estimate.told(page(number, 3600, reused="because nothing moved"), 100 * number, 1000)
    assert said == "app: commits, 300 of 1,000 (30 %)"
    assert estimate.told(page(100, 60), 400, 1000) == "app: commits, 400 of 1,000 (40 %), about 6 min left"
    assert estimate.told(page(101, 120), 500, 1000).startswith("app: commits, 500 of 1,000 (50 %), about ")


def test_a_collection_says_how_far_it_is(start):
    def change(github):
        github["generated"] = {"repositories": 1, "merged": 120}

    hub, said = start(change), []
    run = hub.collect("pull_request", production={"service-001": ["main"]}, tell=said.append)
    assert run.only.status == "collected"
    notes = [event.note for event in said if event.kind == "note" and event.note]
    told = [note.partition(" %)")[0] for note in notes if "pull requests" in note]
    assert told == [
        f"service-001: pull requests, {text}" for text in ("50 of 120 (41", "100 of 120 (83", "120 of 120 (100")
    ]
    assert all(note.endswith("left") for note in notes if "pull requests" in note and "100 %" not in note)
    assert "service-001: commits, 100 of 120 (83 %), less than a minute left" in notes
    assert {(event.feed, event.target) for event in said} == {("github.changes", "larkspur-learning/service-001")}


@pytest.mark.parametrize("width", [80, 200])
def test_the_line_below_the_bar_always_has_room_for_the_estimate(width):
    told = "study-companion: pull requests, 12,300 of 100,000 (12 %), about 41 min left"
    console = Console(file=StringIO(), force_terminal=True, width=width, color_system=None)
    view = CollectView(console)
    view.tell(Event("planned", "github.changes", "larkspur-learning/study-companion"))
    view.tell(Event("started", "github.changes", "larkspur-learning/study-companion"))
    with console.capture() as before:
        console.print(view.progress.get_renderable())
    view.tell(Event("note", "github.changes", "larkspur-learning/study-companion", note=told))
    with console.capture() as after:
        console.print(view.progress.get_renderable())
    label = "github.changes larkspur-learning/study-companion"
    assert before.get().splitlines()[1].strip() == label
    bar, line = after.get().splitlines()
    assert "0/1" in bar
    assert line.strip() == (told if width == 80 else f"{label} {told}")
