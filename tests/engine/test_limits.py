"""The limits of a statement end with it: what runs later in the same process has what it had before."""

from __future__ import annotations

import os
import resource
import signal
import threading

import duckdb
import pytest

from compliancectl.query.limits import Limits, Stopped, within


def _allowed() -> tuple[int, int]:
    return resource.getrlimit(resource.RLIMIT_DATA)


def test_statements_that_overlap_give_back_what_was_allowed_before_the_first() -> None:
    before = _allowed()
    one, two = (within(Limits(), duckdb.connect()) for _ in range(2))
    one.__enter__()
    two.__enter__()
    one.__exit__(None, None, None)
    assert _allowed() != before, "the other one still runs"
    two.__exit__(None, None, None)
    assert _allowed() == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, RuntimeError])
def test_however_a_statement_ends_its_ceiling_ends_with_it(error: type[BaseException]) -> None:
    before = _allowed()
    with pytest.raises(BaseException), within(Limits(), duckdb.connect()):  # noqa: B017 - whichever it is
        assert _allowed() != before
        raise error
    assert _allowed() == before


def test_a_limit_set_from_outside_is_kept_and_given_back() -> None:
    before = _allowed()
    own = (8 << 30, before[1])
    resource.setrlimit(resource.RLIMIT_DATA, own)
    try:
        with within(Limits(memory="100GB"), duckdb.connect()):
            assert _allowed() == own, "a statement never gets more than the process had"
        assert _allowed() == own
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def test_each_statement_is_stopped_at_its_own_time_and_no_other() -> None:
    patient, hasty = duckdb.connect(), duckdb.connect()
    with within(Limits(seconds=600), patient):
        for _ in range(2):
            with pytest.raises(Stopped, match=r"longer than 0\.1 seconds"), within(Limits(seconds=0.1), hasty):
                hasty.execute("SELECT count(*) FROM range(1000000000000)").fetchall()
        assert patient.execute("SELECT 1").fetchall() == [(1,)]
    assert hasty.execute("SELECT 2").fetchall() == [(2,)]


def test_ctrl_c_in_the_middle_of_a_statement_is_ctrl_c_and_no_bug() -> None:
    hand = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    hand.start()
    database = duckdb.connect()
    with pytest.raises(KeyboardInterrupt), within(Limits(), database):
        database.execute("SELECT count(*) FROM range(1000000000000)").fetchall()
    hand.join()
