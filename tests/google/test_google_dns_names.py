"""Domains that production asks for: counted and not kept, and what leads to nobody else is not asked for."""

from __future__ import annotations

from typing import Any

import pytest
from cloudbox import LOGS, PROD, Box

from compliancectl.collectors.gcp.feeds.dns_names import domain
from compliancectl.query.rows import read_rows


@pytest.mark.parametrize(
    ("scope", "target"), [({"projects": [PROD]}, PROD), ({"projects": []}, "organizations/558124370021")]
)
def test_domains_are_counted_and_names_are_not_kept(box: Box, scope: dict[str, Any], target: str) -> None:
    found = box.collect("gcp.dns_name", **scope)
    item = found.item("dns_names", target)
    assert item.status == "collected", item.reason
    rows = read_rows(found.run / "evidence" / item.id / "gcp.dns_name.parquet")
    assert {(row["project"], row["domain"]): row["queries"] for row in rows} == {
        (PROD, "openai.com"): 2,
        (PROD, "anthropic.com"): 1,
        (PROD, "stripe.com"): 1,
        (PROD, "openrouter.ai"): 1,
    }
    assert item.completeness is not None and "NXDOMAIN" not in str(item.completeness.filters)
    kept = b"".join(path.read_bytes() for path in (found.run / "evidence").rglob("raw-*"))
    assert b"SEEDED" not in kept and b"api.openai" not in kept and b"seeded-person" not in kept


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("api.openai.com.", "openai.com"),
        ("API.OpenAI.com", "openai.com"),
        ("a.b.acme.co.uk.", "acme.co.uk"),
        ("acme.com.au.", "acme.com.au"),
        ("co.uk.", "co.uk"),
        ("io.", "io"),
        ("x.t.co.", "t.co"),
    ],
)
def test_a_name_belongs_to_a_domain(name: str, found: str) -> None:
    assert domain(name) == found


@pytest.mark.parametrize(
    ("how", "cause"),
    [({"denied": "logging.logEntries.list"}, "permission"), ({"disabled": "logging.googleapis.com"}, "api-disabled")],
)
def test_a_refusal_is_not_silence(box: Box, how: dict[str, str], cause: str) -> None:
    for kind, name in how.items():
        getattr(box.cloud.state, kind).add(name)
    item = box.collect("gcp.dns_name", projects=[PROD]).item("dns_names")
    assert (item.status, item.cause) == ("denied", cause)


def test_more_queries_than_may_be_read_are_not_begun(box: Box) -> None:
    box.cloud.logs.generated_entries = 5000
    item = box.collect("gcp.dns_name", projects=[LOGS], log_max_entries=3000).item("dns_names", LOGS)
    assert item.status == "partial" and "3000 may be read" in str(item.reason)
