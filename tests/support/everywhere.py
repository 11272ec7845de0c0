"""One test that asks an engine about joins, lists, structures, patterns and instants, for every engine but DuckDB."""

from __future__ import annotations

POPULATION = """\
SELECT d.resource, d.region, d.public, d.days, d.owners, d.settings, d.networks, count(b.resource) AS backups,
  max(b.ended) AS latest
FROM test.database AS d
LEFT JOIN test.backup AS b ON b.database = d.resource AND b.ended > d.created
GROUP BY ALL"""
AWKWARD = [
    {
        "resource": f"r{n}",
        "region": ("é€'x\n", None, "", "中😀")[n % 4],
        "public": (True, False, None)[n % 3],
        "days": (None, 0, -5, 2**62)[n % 4],
        "created": (None, "2026-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z")[n % 3],
        "networks": (
            None,
            [],
            [{"name": None, "value": "x"}, {"name": "b", "value": None}],
            [{"name": "a", "value": "1"}],
        )[n % 4],
        "owners": (None, [], ["a", None, ""], ["p"])[n % 4],
        "settings": (None, {"tls": None, "seen": None}, {"tls": "X", "seen": "2026-07-31T23:59:59.250Z"})[n % 3],
    }
    for n in range(120)
]
"""Rows of `test.database` in which every kind of value is missing, empty, negative or not of this alphabet."""
CHECKS = {
    "owned": ("list_contains(owners, 'platform')", "{resource} is not platform's."),
    "near": ("regexp_full_match(region, 'europe-.*')", "{resource} is in {region}."),
    "kept": ("days >= 7 AND NOT public", "{resource} keeps {days} days."),
    "encrypted": ("settings.tls = 'ENCRYPTED'", "{resource} takes {settings}."),
    "closed": ("array_length(list_filter(networks, lambda n: n.value = '0.0.0.0/0')) = 0", "{networks} reach it."),
    "backed_up": ("backups > 0 AND latest > TIMESTAMP '2026-07-01 00:00:00'", "{backups} backups, last {latest}."),
}
GOOD = {
    "resource": "good", "region": "europe-west1", "public": False, "days": 9, "created": "2026-01-01T00:00:00Z",
    "owners": ["platform"], "networks": [{"name": "office", "value": "192.0.2.0/24"}],
    "settings": {"tls": "ENCRYPTED", "seen": "2026-07-31T23:59:59.250Z"},
}  # fmt: skip
BACKUP = {"resource": "b1", "database": "good", "ended": "2026-07-31T01:00:00Z"}
