"""The small part of GitHub's search language that finds pull requests and code."""

from __future__ import annotations

import shlex
from datetime import datetime, timedelta

from compliancectl import clock
from compliancectl.sandbox.github import content
from compliancectl.sandbox.github.changes import Pull
from compliancectl.sandbox.github.state import State

_DAY = timedelta(days=1) - timedelta(seconds=1)


def matches(state: State, query: str) -> list[tuple[str, Pull]]:
    """Repository and pull request of every hit, the youngest first.

    Raises:
        ValueError: on a term that the sandbox does not know.
    """
    hits = [(name, pull) for name in state.visible for pull in state.changes[name].pulls]
    for term in shlex.split(query):
        hits = [hit for hit in hits if _fits(state, term, *hit)]
    return sorted(hits, key=lambda hit: (hit[1].created, hit[1].number), reverse=True)


def code_matches(state: State, query: str) -> list[tuple[str, str]]:
    """Repository and path of every file that holds all the texts of a query."""
    texts = []
    for term in shlex.split(query):
        if term.startswith("org:"):
            if term != f"org:{state.login}":
                return []
        else:
            texts.append(term.lower())
    return [
        (name, path)
        for name, it in state.visible.items()
        if not it.get("fork")
        for path, text in sorted(content.files(state, name).items())
        if all(wanted in text.lower() for wanted in texts)
    ]


def _fits(state: State, term: str, name: str, pull: Pull) -> bool:
    key, _, value = term.partition(":")
    if term == "is:pr":
        return True
    if term == "is:closed":  # what was merged is closed too
        return pull.state != "OPEN"
    if key == "is":
        return value.upper() == pull.state
    if key == "repo":
        return value == f"{state.login}/{name}"
    if key == "org":
        return value == state.login
    if key == "base":
        return value == pull.base
    if key == "label":
        return value in pull.labels
    if key == "author":
        return value in (pull.author, f"app/{pull.author.removesuffix('[bot]')}")
    if key in ("merged", "created"):
        moment = pull.merged if key == "merged" else pull.created
        return moment is not None and _within(value, moment)
    raise ValueError(f"the sandbox does not know the search term {term!r}")


def _within(span: str, moment: datetime) -> bool:
    """`A..B`, `>=A`, `<=B` or a day; a bound without a time stands for the whole day."""
    if ".." in span:
        start, _, end = span.partition("..")
        return _start(start) <= moment <= _end(end)
    if span.startswith(">="):
        return moment >= _start(span[2:])
    if span.startswith("<="):
        return moment <= _end(span[2:])
    return _start(span) <= moment <= _end(span)


def _start(text: str) -> datetime:
    return clock.parse(text if "T" in text else f"{text}T00:00:00Z")


def _end(text: str) -> datetime:
    return clock.parse(text) if "T" in text else _start(text) + _DAY
