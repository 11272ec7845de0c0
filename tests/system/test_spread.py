"""Work that is spread over processes comes back whole, whatever becomes of one of them."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest

from compliancectl.seal.container import cores
from compliancectl.spread import spread

HERE = os.getpid()


def squares(share: Sequence[int]) -> list[tuple[int, bool]]:
    return [(number**2, os.getpid() == HERE) for number in share]


def test_what_is_found_has_the_order_of_the_things() -> None:
    found = spread(squares, range(100), least=10)
    assert [square for square, _ in found] == [number**2 for number in range(100)]
    assert all(here for _, here in found) == (cores() == 1), "with two processors, not all was done here"


def test_few_things_need_no_process() -> None:
    assert all(here for _, here in spread(squares, range(19), least=10)) and spread(squares, (), least=10) == []


def test_a_share_whose_process_is_ended_is_done_here() -> None:
    def fragile(share: Sequence[int]) -> list[tuple[int, bool]]:
        if os.getpid() != HERE:
            os.kill(os.getpid(), 9)
        return squares(share)

    found = spread(fragile, range(100), least=10)
    assert found == [(number**2, True) for number in range(100)]


def test_what_is_wrong_with_a_share_is_raised_here() -> None:
    def picky(share: Sequence[int]) -> list[int]:
        if 99 in share:
            raise LookupError("99 is no good")
        return list(share)

    with pytest.raises(LookupError, match="99"):
        spread(picky, range(100), least=10)
