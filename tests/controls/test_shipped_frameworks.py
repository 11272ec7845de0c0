"""The shipped frameworks are complete, and say whom each criterion binds."""

from __future__ import annotations

import re

import pytest

from compliancectl.model.framework import Framework


@pytest.mark.parametrize(("id", "count"), [("ferpa", 96), ("gdpr", 131), ("soc2", 61)])
def test_no_criterion_is_missing_and_none_stands_twice(id: str, count: int, frameworks: tuple[Framework, ...]) -> None:
    framework = next(framework for framework in frameworks if framework.id == id)
    ids = [criterion.id for criterion in framework.criteria]
    assert len(ids) == len(set(ids)) == count


def test_there_are_three_frameworks(frameworks: tuple[Framework, ...]) -> None:
    assert [framework.id for framework in frameworks] == ["ferpa", "gdpr", "soc2"]


@pytest.mark.parametrize(
    ("id", "form"),
    [
        ("soc2", r"(CC[1-9]|A1|C1|PI1|P[1-8])\.\d"),
        ("gdpr", r"\d{1,2}(\(\d{1,2}\)(\([a-h]\))?)?"),
        ("ferpa", r"99\.\d\S*|PTAC-[A-Z]+(-\d+)?"),
    ],
)
def test_ids_have_one_readable_form(id: str, form: str, frameworks: tuple[Framework, ...]) -> None:
    framework = next(framework for framework in frameworks if framework.id == id)
    assert [criterion.id for criterion in framework.criteria if not re.fullmatch(form, criterion.id)] == []


def test_every_criterion_of_law_says_whom_it_binds(frameworks: tuple[Framework, ...]) -> None:
    roles = {
        "gdpr": {"controller", "processor", "both"},
        "ferpa": {"institution", "vendor", "both", "context"},
        "soc2": {None, "controller", "both"},
    }
    for framework in frameworks:
        assert {criterion.role for criterion in framework.criteria} == roles[framework.id]


def test_texts_are_plain(frameworks: tuple[Framework, ...]) -> None:
    for framework in frameworks:
        for criterion in framework.criteria:
            assert criterion.summary.isprintable()
            assert criterion.summary.endswith(".")
        assert all(note.isprintable() for note in framework.notes)
