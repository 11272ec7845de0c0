"""The command on isolation, run on one database; and the whole of a database, to compare."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compliancectl.cli import app

EVERYTHING = """
select (select json_agg(to_jsonb(c) - 'relpages' - 'reltuples' - 'relallvisible' order by c.oid) from pg_class c)::text,
       (select json_agg(p order by p.oid) from pg_policy p)::text, (select json_agg(p order by p.oid) from pg_proc p)::text,
       (select json_agg(r order by r.rolname) from pg_roles r)::text, (select json_agg(s) from pg_db_role_setting s)::text,
       (select json_agg(json_build_array(sequencename, last_value)) from pg_sequences)::text,
       (select count(*) from pg_largeobject_metadata), (select json_agg(t order by t.oid) from pg_trigger t)::text
"""


def _everything(db: Any, *, traces: bool = True) -> list[Any]:
    """The whole database: the catalogue, and every row of every table with the transaction that wrote it.

    With `traces` also the transaction that last tried to change the row, though it was rolled back.
    """
    tables = db.sql(
        "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname !~ '^pg_|^information'"
    )
    xmax = "t.xmax::text" if traces else "''"
    rows = [
        db.sql(f"select md5(string_agg(t.xmin::text || {xmax} || t::text, ',' order by t.ctid)) from {name} t")
        for (name,) in sorted(tables)
    ]
    return [db.sql(EVERYTHING), rows]


@pytest.fixture
def everything() -> Callable[[Any], list[Any]]:
    return _everything


@pytest.fixture
def isolation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run the command on one database; returns exit code, standard output and standard error."""
    import yaml

    def run(db: Any, *arguments: str, **changes: Any) -> tuple[int, str, str]:
        scope = tmp_path / "compliancectl.yaml"
        waits = changes.pop("timeouts_s", {})
        section = {**db.section(**changes), "timeouts_s": waits}
        sources = {"postgres": json.loads(json.dumps(section))}
        said = yaml.safe_dump({"organization": "Larkspur", "system": "App", "sources": sources})
        scope.write_text(said, encoding="utf-8")
        monkeypatch.setenv("COLUMNS", "200")
        code = app.run(["postgres", "isolation", "--scope", str(scope), *arguments])
        said = capsys.readouterr()
        assert "SEEDED-SECRET" not in said.out + said.err
        assert "seeded-person" not in said.out + said.err
        return code, said.out, said.err

    return run
