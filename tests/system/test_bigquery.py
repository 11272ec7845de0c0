"""Every shipped control in BigQuery's language: accepted by GoogleSQL's analyzer, or refused by name; and certified."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from bigquery_stand_in import DATASET, PROJECT, BigQueryStandIn
from googlesql import GoogleSql, GoogleSqlError

from compliancectl.cli.project import catalogue
from compliancectl.engines import Settings, bigquery_types, open_engine
from compliancectl.engines.bigquery_sql import question
from compliancectl.engines.certify import certify
from compliancectl.query.bind import Binder, bind_control, parameter_values
from compliancectl.query.syntax import Refused

pytestmark = [pytest.mark.bigquery, pytest.mark.timeout(7200)]

REFUSED = {
    "SDL-11": "list() with a FILTER that lets NULL through cannot be translated",
    "SHR-01": "MAX is not defined for arguments of type ARRAY<STRING>",
}
"""Controls with a test that BigQuery's language has no words for: lists have no order there, and drop what is filtered."""


@pytest.fixture(scope="module")
def language() -> GoogleSql:
    return GoogleSql()


@pytest.fixture
def service(language: GoogleSql, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BigQueryStandIn]:
    made = BigQueryStandIn(tmp_path, language)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(made.key))
    yield made
    made.web.stop()
    assert made.problems == []


def test_every_control_is_accepted_or_refused_by_name(language: GoogleSql, capsys: pytest.CaptureFixture[str]) -> None:
    found = catalogue()
    binder, now = Binder(found.tables), datetime(2026, 8, 1, tzinfo=UTC)
    refused: dict[str, str] = {}
    with capsys.disabled():
        print()
        for control in sorted(found.controls, key=lambda c: c.id):
            tests = bind_control(binder, control, parameter_values(control.params, now, (now, now)))
            for bound in tests:
                empty = {name: bigquery_types.given(found.tables[name], (), bound) for name in bound.tables}
                try:
                    language.prepare(question(bound, empty))
                except (Refused, GoogleSqlError) as error:
                    refused[control.id] = str(error)
            print(f"{control.id:<9} {len(tests)} tests  {'refused' if control.id in refused else 'translated'}")
        for name, why in refused.items():
            print(f"{name}: {why.splitlines()[0]}")
    binder.close()
    assert set(refused) == set(REFUSED)
    assert all(REFUSED[name] in why for name, why in refused.items())


def test_every_other_control_is_certified(service: BigQueryStandIn, capsys: pytest.CaptureFixture[str]) -> None:
    found = catalogue()
    engine = open_engine("bigquery", Settings(dataset=f"{PROJECT}.{DATASET}", endpoint=service.web.url, retry_s=0.0))
    with capsys.disabled():
        certificate = certify(
            engine, found.controls, found.tables, progress=lambda name: print(name, end=" ", flush=True)
        )
        print()
        for control in certificate.controls:
            print(f"{control.id:<9} duckdb {control.worlds:>4}  bigquery {control.worlds - control.differing:>4}")
    engine.close()
    assert {control.id for control in certificate.controls if not control.granted} == set(REFUSED)
