"""Checks of many control files, on as many processors as there are."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import NamedTuple

from compliancectl.errors import FileError
from compliancectl.model.control import Control
from compliancectl.model.table import Table
from compliancectl.query.examples import Workbench

FEW = 20
"""So many controls are checked in less time than another process takes to begin."""
MOST = 4
"""More processes than that only share what each has to do first."""


class _Work(NamedTuple):
    tables: Mapping[str, Table]
    controls: Sequence[Control]


_Said = tuple[str, str | None, str | None, int | None]
"""A mistake as it travels between processes: message, hint, file, line."""
_work: _Work | None = None
"""What there is to do, set before the others begin: they share this process's memory, so that nothing is copied."""


def check_all(tables: Mapping[str, Table], controls: Sequence[Control]) -> list[FileError]:
    """Guard, bind and lint every test of every control, without data; the mistakes in the order of the controls."""
    processes = min(_processors(), MOST)
    if len(controls) <= FEW or processes == 1 or not _may_fork():
        bench = Workbench(tables)
        return [problem for control in controls for problem in bench.check(control)]
    return _together(_Work(tables, controls), processes)


def _together(work: _Work, processes: int) -> list[FileError]:
    global _work
    import duckdb  # noqa: F401 - loaded once, not by each process
    import sqlglot  # noqa: F401

    _work = work
    try:
        with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("fork")) as pool:
            parts = list(pool.map(partial(_part, processes), range(processes)))
    finally:
        _work = None
    found = sorted((number, said) for part in parts for number, said in part)
    return [
        FileError(message, hint=hint, file=file, line=line) for _, said in found for message, hint, file, line in said
    ]


def _part(processes: int, first: int) -> list[tuple[int, list[_Said]]]:
    """Every so manyth control, by its number, with its mistakes."""
    assert _work is not None
    bench = Workbench(_work.tables)
    return [
        (number, [(p.message, p.hint, p.file, p.line) for p in bench.check(_work.controls[number])])
        for number in range(first, len(_work.controls), processes)
    ]


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _may_fork() -> bool:
    """A process with threads must not be copied: what they hold would stay locked in the copy."""
    return "fork" in multiprocessing.get_all_start_methods() and threading.active_count() == 1
