"""How long merging ten shards and judging them takes, beside judging the same evidence collected in one piece.

    python bench/bench_merge.py [ITEMS] [ROWS]

Promised: at most 1.5 times.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))

import daily  # noqa: E402

from compliancectl import shards, store  # noqa: E402
from compliancectl.evaluate import evaluate  # noqa: E402
from compliancectl.merge import join  # noqa: E402
from compliancectl.model.control import Control  # noqa: E402
from compliancectl.model.evidence import Window  # noqa: E402
from compliancectl.model.shard import Shard, ShardRecord  # noqa: E402

COUNT = 10
LIMIT = 1.5
NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)


def whole(place: Path, items: int, rows: int) -> Path:
    """A run of so many evidence items for each of three tables."""
    day = daily.Day(place, NOW, "run", Window(start=NOW - timedelta(days=1), end=NOW))
    day.add("git.branch", [{"resource": f"b{n}", "protected": n % 97 != 0, "archived": False} for n in range(rows)])
    day.add("cloud.bucket", [{"resource": f"u{n}", "public": False} for n in range(rows)])
    day.add("cloud.backup", [{"resource": f"k{n}", "ended": NOW, "successful": True} for n in range(rows)])
    for original in tuple(day.items):
        for number in range(1, items):
            id = f"{original.id}-{number:04}"
            shutil.copytree(place / "evidence" / original.id, place / "evidence" / id)
            table = original.tables[0].table
            item = original.model_copy(update={"id": id, "target": f"larkspur-{number:04}"})
            item = item.model_copy(
                update={"tables": (_renamed(place / "evidence" / id, table, number, rows, original),)}
            )
            (place / "evidence" / id / "item.json").write_text(json.dumps(item.to_json()))
            day.items.append(item)
    return day.finish()


def _renamed(folder: Path, table: str, number: int, rows: int, original: object) -> object:
    """The table of another target: other names, so that no item is there twice."""
    (folder / f"{table}.parquet").unlink()
    given = {
        "git.branch": [{"resource": f"b{number}-{n}", "protected": True, "archived": False} for n in range(rows)],
        "cloud.bucket": [{"resource": f"u{number}-{n}", "public": False} for n in range(rows)],
        "cloud.backup": [{"resource": f"k{number}-{n}", "ended": NOW, "successful": True} for n in range(rows)],
    }[table]
    return daily._table(folder, table, given, ())


def divided(run: Path, place: Path) -> list[Path]:
    """The same run as ten shards, as ten machines would have left it."""
    record, items = store.read_run(run), store.read_items(run)
    plan, found = tuple(item.id for item in items), []
    for number in range(1, COUNT + 1):
        shard, folder = Shard(number=number, count=COUNT), place / f"{number:02}"
        mine = [item for position, item in enumerate(items) if shard.owns(position)]
        for item in mine:
            shutil.copytree(run / "evidence" / item.id, folder / "evidence" / item.id)
        store.write_run(folder, record.model_copy(update={"evidence": store.item_digests(folder, mine)}))
        shards.write(folder, ShardRecord(shard=shard, execution="bench", plan=plan))
        found.append(folder)
    return found


def judge(run: Path, controls: list[Control]) -> bytes:
    evaluate(run, controls, daily.TABLES)
    return (run / "results" / "results.json").read_bytes()


def main(items: int = 50, rows: int = 4000) -> int:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        run = whole(place / "whole", items, rows)
        store.write_run(run, store.read_run(run))  # as collect writes it
        parts = divided(run, place / "parts")
        controls = [daily.write_control(place, id) for id in ("TST-01", "TST-03", "TST-04")]
        start = time.perf_counter()
        expected = judge(run, controls)
        alone = time.perf_counter() - start
        start = time.perf_counter()
        join(parts, place / "merged")
        joined = time.perf_counter() - start
        assert judge(place / "merged", controls) == expected, "the results differ"
        both = time.perf_counter() - start
    ratio = both / alone
    what = f"{3 * items} items, {3 * items * rows:,} rows: {both:.1f} s of which joining {joined:.1f} s, beside {alone:.1f} s"
    print(
        json.dumps({"name": "merge of ten shards, of one evaluation", "ratio": ratio, "limit": LIMIT, "detail": what})
    )
    return int(ratio > LIMIT)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
