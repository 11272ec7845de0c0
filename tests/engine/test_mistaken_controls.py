"""Malicious and mistaken control files: each is refused, at its line, with words that help.

Three lists: what a population's SQL may not say, what a check may not say, and what the YAML around them may not be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import indent

import pytest

from compliancectl import load
from compliancectl.cli import app
from compliancectl.errors import FileError
from compliancectl.load import FileErrors
from compliancectl.model.framework import Framework
from compliancectl.query.examples import Workbench
from compliancectl.query.limits import Limits
from compliancectl.resources import controls_folder

GOOD = """\
id: TST-01
title: Databases are private and kept
objective: Nobody outside reaches them.
satisfies: {soc2: [CC6.6]}
owner: platform
severity: high
frequency: daily
params: {min_days: 7}
remediation: Make them private.
tests:
  - id: private
    population: |
      SELECT d.resource, d.region, d.public, d.days, d.created, d.networks, d.settings
      FROM test.database AS d
    checks:
      hidden:
        expect: NOT public
        finding: "{resource} is reachable from the internet."
      kept:
        expect: days >= $min_days
        finding: "{resource} keeps {days} days."
    examples:
      - given:
          test.database:
            - {resource: a, public: false, days: 7}
            - {resource: b, public: true, days: 1}
        then: {a: pass, b: fail}
"""
SQL = """\
      SELECT d.resource, d.region, d.public, d.days, d.created, d.networks, d.settings
      FROM test.database AS d
"""
SQL_LINE, EXPECT_LINE = 13, 17
FROM = " FROM test.database AS d"
ITEM = "SELECT d.resource, d.public, d.days"
CLOCK, CHANCE, FILES_, STATE = "depends on the clock", "another answer each time", "reads files", "reads the state"
ONLY = "Only a SELECT is accepted"

POPULATIONS: dict[str, tuple[str, int, str]] = {
    # the clock and chance
    "now": (f"{ITEM}, now() AS t{FROM}", 0, CLOCK),
    "now on the second line": (f"{ITEM},\n  now() AS t\nFROM test.database AS d", 1, "Use $as_of."),
    "today": (f"{ITEM}, today() AS t{FROM}", 0, CLOCK),
    "current_date": (f"{ITEM}, current_date AS t{FROM}", 0, CLOCK),
    "current_timestamp": (f"{ITEM}, current_timestamp AS t{FROM}", 0, CLOCK),
    "age of now": (f"{ITEM}, age(d.created) AS t{FROM}", 0, "Compare instants"),
    "random": (f"{ITEM}, random() AS t{FROM}", 0, CHANCE),
    "uuid": (f"{ITEM}, uuid() AS t{FROM}", 0, CHANCE),
    "nextval": (f"{ITEM}, nextval('s') AS t{FROM}", 0, CHANCE),
    "a sample": (f"{ITEM}{FROM} USING SAMPLE 10%", 0, "differs from run to run"),
    "tablesample": (f"{ITEM}{FROM} TABLESAMPLE 10%", 0, "differs from run to run"),
    # files, the network, other databases
    "read_csv": ("SELECT x.resource\nFROM read_csv('/etc/passwd') AS x", 1, FILES_),
    "read_text": ("SELECT * FROM read_text('/etc/passwd')", 0, FILES_),
    "parquet_scan": ("SELECT * FROM parquet_scan('x')", 0, FILES_),
    "sniff_csv": ("SELECT * FROM sniff_csv('x')", 0, FILES_),
    "a file name as a table": ("SELECT * FROM '/etc/passwd'", 0, "is a file; SQL may not read files"),
    "a quoted file name": ('SELECT * FROM "people.parquet"', 0, "is a file; SQL may not read files"),
    "a pattern of files": ("SELECT * FROM 'data/*.parquet'", 0, "is a file; SQL may not read files"),
    "an address": ("SELECT * FROM 'https://example.com/x.parquet'", 0, "is a file; SQL may not read files"),
    "a file name made of pieces": ("SELECT * FROM read_csv('/etc/' || 'passwd')", 0, FILES_),
    "COPY": ("COPY test.database TO '/tmp/stolen.csv'", 0, ONLY),
    "ATTACH": ("ATTACH '/tmp/x.db'", 0, ONLY),
    "INSTALL": ("INSTALL httpfs", 0, ONLY),
    "LOAD": ("LOAD httpfs", 0, ONLY),
    "another catalogue": ("SELECT d.resource FROM memory.test.database AS d", 0, 'Did you mean "test.database"?'),
    # the engine's own state
    "query": ("SELECT * FROM query('SELECT 1')", 0, STATE),
    "query_table": ("SELECT * FROM query_table('test.database')", 0, STATE),
    "getvariable": (f"{ITEM}, getvariable('x') AS t{FROM}", 0, STATE),
    "getenv": (f"{ITEM}, getenv('HOME') AS t{FROM}", 0, STATE),
    "current_setting": (f"{ITEM}, current_setting('threads') AS t{FROM}", 0, STATE),
    "a table function": ("SELECT s.name AS resource FROM duckdb_settings() AS s", 0, STATE),
    "pragma function": ("SELECT * FROM pragma_table_info('test.database')", 0, STATE),
    "information_schema": ("SELECT table_name AS resource FROM information_schema.tables", 0, "There is no table"),
    "sqlite_master": ("SELECT name AS resource FROM sqlite_master", 0, "There is no table"),
    "a WITH named like the engine's view": (
        "WITH duckdb_views AS (SELECT * FROM test.database) SELECT * FROM duckdb_views",
        0,
        "belongs to the database",
    ),
    "PRAGMA": ("PRAGMA database_list", 0, ONLY),
    "SET": ("SET memory_limit = '100GB'", 0, ONLY),
    "CALL": ("CALL pragma_version()", 0, ONLY),
    "EXPLAIN": ("EXPLAIN SELECT 1", 0, ONLY),
    "DESCRIBE": ("SELECT * FROM (DESCRIBE test.database)", 0, "DESCRIBE, SHOW and SUMMARIZE are not accepted"),
    "sleep_ms": (f"{ITEM}, sleep_ms(100000) AS t{FROM}", 0, STATE),
    "write_log": (f"{ITEM}, write_log('x') AS t{FROM}", 0, STATE),
    # more than one SELECT, or another statement
    "two statements": (f"{ITEM}{FROM};\nSELECT 1", 0, "there is one SELECT only"),
    "DROP": ("DROP TABLE test.database", 0, ONLY),
    "DELETE": ("DELETE FROM test.database RETURNING *", 0, ONLY),
    "INSERT": ("INSERT INTO test.database (resource) VALUES ('x')", 0, ONLY),
    "UPDATE": ("UPDATE test.database SET public = false", 0, ONLY),
    "CREATE": ("CREATE TABLE x AS SELECT 1", 0, ONLY),
    "CREATE MACRO": ("CREATE MACRO later() AS now()", 0, ONLY),
    "PIVOT": ("PIVOT test.database ON region USING count(*)", 0, ONLY),
    "UNPIVOT": ("UNPIVOT test.database ON days, public", 0, "PIVOT is not accepted"),
    "nothing": ("-- to do", 0, "There is no SQL here"),
    "not SQL": (f"{ITEM}\nFROM test.database AS d WHERE (", 1, "This is not SQL"),
    # that may never end
    "a recursive WITH": (
        f"WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) {ITEM}{FROM}, r",
        0,
        "A recursive WITH is not accepted",
    ),
    "nested too deeply": (f"SELECT {'NOT ' * 3000}d.public AS public{FROM}", 0, "nests too deeply"),
    "repeat": (f"{ITEM}, repeat('x', 4000000000) AS t{FROM}", 0, "past every limit on memory"),
    "list_reduce": (f"{ITEM}, list_reduce(['x'], lambda a, b: a || a) AS t{FROM}", 0, "past every limit on memory"),
    "a join without its condition": (f"{ITEM}{FROM}, range(100000)", 10, "more than 10,000 items"),
    # names
    "a misspelt table": ("SELECT d.resource FROM test.databse AS d", 0, 'Did you mean "test.database"?'),
    "a table without its source": ("SELECT d.resource FROM database AS d", 0, 'Did you mean "test.database"?'),
    "a misspelt column": (f"{ITEM},\n  d.regoin\n{FROM}", 1, 'Did you mean "region"?'),
    "a misspelt nested field": (f"{ITEM},\n  d.settings.tsl AS tls\n{FROM}", 1, 'Did you mean "tls"?'),
    "a misspelt field in a list": (
        f"{ITEM},\n  list_filter(d.networks, lambda n: n.valu = 'x') AS open\n{FROM}",
        1,
        'Did you mean "value"?',
    ),
    "a misspelt function": (f"{ITEM}, coalsce(d.days, 1) AS x{FROM}", 0, 'Did you mean "coalesce"?'),
    "a misspelt parameter": (f"{ITEM}{FROM} WHERE d.days > $mindays", 0, 'Did you mean "min_days"?'),
    "a parameter without a name": (f"{ITEM}{FROM} WHERE d.days > ?", 0, "has no name"),
    "a numbered parameter": (f"{ITEM}{FROM} WHERE d.days > $1", 0, "has no name"),
    "no resource": (f"SELECT d.public, d.days{FROM}", 0, 'has no column "resource"'),
    "a column twice": (f"SELECT d.resource, d.public, d.public, d.days{FROM}", 0, 'two columns "public"'),
    "the engine's own name": (f"{ITEM}, 1 AS __outcome{FROM}", 0, "belongs to the engine"),
    "rowid": (f"SELECT d.resource, d.public, d.rowid AS days{FROM}", 0, "place of a row in storage"),
    "no evidence at all": ("SELECT 'a' AS resource, false AS public, 9 AS days", 0, "reads no evidence table"),
    "COLUMNS": (f"{ITEM}, COLUMNS('k.*'){FROM}", 0, "Name the columns"),
    "a natural join": (f"{ITEM}{FROM} NATURAL JOIN test.backup", 0, "A NATURAL join is not accepted"),
    "an asof join": (f"{ITEM}{FROM} ASOF JOIN test.backup AS b ON b.ended >= d.created", 0, "An ASOF join"),
    "a positional join": (f"{ITEM}{FROM} POSITIONAL JOIN test.backup AS b", 0, "A POSITIONAL join"),
    # types
    "text compared with a number": (f"{ITEM}{FROM}\nWHERE d.region > 3", 1, "Cannot compare"),
    "text equal to a number": (f"{ITEM}{FROM}\nWHERE d.region = 5", 1, "region is text"),
    "a number compared with text": (f"{ITEM}{FROM}\nWHERE d.days >= '90d'", 1, "days is a whole number"),
    "true compared with yes": (f"SELECT d.resource, d.public = 'yes' AS public, d.days{FROM}", 0, "true or false"),
    "an instant among texts": (f"{ITEM}{FROM} WHERE d.created IN ('2026-01-01')", 0, "created is an instant"),
    "a resource that is a number": (
        f"SELECT d.days AS resource, d.public, d.days AS n{FROM}",
        0,
        "must be text, but it is BIGINT",
    ),
    "a resource that is NULL": (f"SELECT NULL AS resource, d.public, d.days{FROM}", 0, "must be text"),
    "an excluded that is a truth value": (f"{ITEM}, d.replica AS excluded{FROM}", 0, "must be text, but it is BOOLEAN"),
    "a time zone": (f"{ITEM}, CAST(d.created AS TIMESTAMPTZ) AS t{FROM}", 0, "time zone of the session"),
    # what is not the same twice
    "LIMIT": (f"{ITEM}{FROM}\nLIMIT 10", 1, "must not be cut by LIMIT"),
    "LIMIT with ORDER BY": (f"{ITEM}{FROM} ORDER BY 1 LIMIT 10", 0, "must not be cut by LIMIT"),
    "LIMIT inside": (
        "SELECT d.resource, d.public, d.days FROM (SELECT * FROM test.database\nLIMIT 10) AS d",
        1,
        "Add an ORDER BY that names a unique column",
    ),
    "LIMIT in percent": (
        "SELECT d.resource, d.public, d.days FROM (SELECT * FROM test.database ORDER BY 1 LIMIT 10%) AS d",
        0,
        "LIMIT in percent",
    ),
    "DISTINCT ON": (f"SELECT DISTINCT ON (d.region) d.resource, d.public, d.days{FROM}", 0, "Add an ORDER BY"),
    "any_value": (f"SELECT d.resource, any_value(d.public) AS public{FROM} GROUP BY 1", 0, "picks any row"),
    "first": (f"SELECT d.resource, first(d.public) AS public{FROM} GROUP BY 1", 0, "picks any row"),
    "list": (f"SELECT d.resource, list(d.public) AS public{FROM} GROUP BY 1", 0, "Write list(… ORDER BY …)"),
    "string_agg": (f"SELECT d.resource, string_agg(d.region, ',') AS r{FROM} GROUP BY 1", 0, "needs an ORDER BY"),
    "row_number": (f"SELECT d.resource, row_number() OVER () AS days{FROM}", 0, "needs an ORDER BY"),
    "arg_max": (f"SELECT d.region AS resource, arg_max(d.days, d.created) AS days{FROM} GROUP BY 1", 0, "arg_max_null"),
    "avg": (f"SELECT d.region AS resource, avg(d.days) AS days{FROM} GROUP BY 1", 0, "floating-point"),
    "division": (f"SELECT d.resource, d.public, d.days / 2 AS days{FROM}", 0, "The operator / is not accepted"),
    "double": (f"SELECT d.resource, d.public, CAST(d.days AS DOUBLE) AS days{FROM}", 0, "Floating-point"),
    "an exponent": (f"SELECT d.resource, d.public, d.days + 1e3 AS days{FROM}", 0, "1e3 is a floating-point number"),
    "date_diff": (f"{ITEM}, date_diff('day', d.created, $as_of) AS t{FROM}", 0, "counts boundaries"),
    # what is NULL in silence
    "a JSON path": (f"{ITEM}, d.region->>'$.x' AS t{FROM}", 0, "NULL in silence"),
    "json_extract": (f"{ITEM}, json_extract(d.region, '$.x') AS t{FROM}", 0, "NULL in silence"),
    "a MAP": (f"{ITEM}, MAP {{'a': 1}} AS t{FROM}", 0, "NULL in silence"),
    "a subscript by name": (f"{ITEM}, d.settings['tls'] AS t{FROM}", 0, "Write .tls"),
    # quoting that a reader may misread
    "dollar quotes": (f"{ITEM}{FROM} WHERE d.region <> $$x$$", 0, "Dollar-quoted text"),
    "an escape string": (f"{ITEM}{FROM} WHERE d.region <> E'x'", 0, "Escape strings"),
    "a method call": (f"{ITEM}, d.region.upper() AS t{FROM}", 0, "Write upper(value)"),
}

CHECKS: dict[str, tuple[str, str]] = {
    "closes its bracket": ("not public) or (true", "This is not SQL"),
    "closes its bracket and reads": ("true) FROM test.backup --", "must not hold a comment"),
    "reads another table": ("(SELECT true FROM test.backup)", "A check reads no table"),
    "compares with another table": ("days > (SELECT count(*) FROM test.backup)", "Join it in the population"),
    "asks whether another table has rows": ("EXISTS (SELECT 1 FROM test.backup)", "A check reads no table"),
    "has a FROM": ("NOT public FROM test.backup", "one boolean expression"),
    "is a union": ("NOT public UNION SELECT true", "one boolean expression"),
    "holds two statements": ("public; DROP TABLE test.database", "A semicolon is not accepted"),
    "hides its end in a comment": ("NOT public /* AND days > 3 */", "must not hold a comment"),
    "is no truth value": ("days", "must be true or false, but it is BIGINT"),
    "is a text": ("'yes'", "must be true or false"),
    "is NULL": ("NULL", "always NULL"),
    "is always true": ("true", "reads no column of the population"),
    "compares constants": ("1 = 1", "reads no column of the population"),
    "has a name": ("NOT public AS ok", "must not name a column"),
    "aggregates": ("count(*) > 1", "speaks about one item"),
    "looks at its neighbours": ("lag(days) OVER (ORDER BY resource) > 1", "speaks about one item"),
    "unnests": ("unnest([public])", "must give one answer"),
    "reads the clock": ("created < now()", CLOCK),
    "reads today": ("created < current_date", CLOCK),
    "rolls dice": ("random() > 0", CHANCE),
    "reads a file": ("read_text('/etc/passwd') IS NULL", FILES_),
    "reads a variable": ("getvariable('x') = 1", STATE),
    "divides": ("days / 2 > 1", "The operator / is not accepted"),
    "names a column that is not there": ("NOT publc", 'Did you mean "public"?'),
    "names a field that is not there": ("settings.tsl = 'x'", 'Did you mean "tls"?'),
    "names a parameter that is not there": ("days > $min_day", 'Did you mean "min_days"?'),
    "compares a number with an instant": ("days > $as_of", "Cannot compare"),
    "compares a number with a text": ("days > '7'", "Write the number without quotes"),
    "compares truth with a text": ("public = 'no'", "Write true or false"),
    "compares truth with a number": ("public = 0", "Write true or false"),
    "compares an instant with a text": ("created > '2026-01-01'", "Write TIMESTAMP"),
    "takes all columns": ("COLUMNS('.*')", "Name the columns"),
    "nests too deeply": ("NOT " * 600 + "public", "nests too deeply"),
    "is empty": ("", "is empty"),
}


def swap(old: str, new: str) -> str:
    assert GOOD.count(old) == 1, old
    return GOOD.replace(old, new)


NEED = "evidence:\n  - {kind: policy, subject: backups, max_age_days: 9, owner: x}\n"
ONE_ROW = "- {resource: a, public: false, days: 7}"

FILES: dict[str, tuple[str | bytes, int | None, str]] = {
    # keys
    "a misspelt key": (swap("owner:", "ownr:"), 5, 'Unknown key "ownr". Did you mean "owner"?'),
    "a misspelt key deep inside": (swap('finding: "{resource} is', 'fnding: "{resource} is'), 18, '"finding"'),
    "a missing key": (swap("title: Databases are private and kept\n", ""), 1, 'The key "title" is missing'),
    "a key twice": (swap("owner: platform\n", "owner: platform\nowner: me\n"), 6, "the first is on line 5"),
    "a check twice": (swap("      kept:", "      hidden:"), 19, "stands twice; the first is on line 16"),
    "the key on": (swap("owner: platform\n", "owner: platform\non: push\n"), 6, 'Unknown key "on"'),
    "the key NO": (swap("owner: platform\n", "owner: platform\nNO: x\n"), 6, 'Unknown key "NO"'),
    "the key true": (swap("owner: platform\n", "owner: platform\ntrue: x\n"), 6, "The key true is not text"),
    "a letter of another alphabet": (swap("owner:", "\u043ewner:"), 5, 'Did you mean "owner"?'),
    # YAML that does more than data
    "an alias": (swap("owner: platform", "owner: &a platform\nx: *a"), 5, "anchors and aliases"),
    "a bomb of aliases": (
        swap("owner: platform", "owner: &a [x,x,x]\nb: &b [*a,*a,*a]\nc: [*b,*b,*b]"),
        5,
        "anchors and aliases",
    ),
    "a merge key": (swap("owner: platform", "<<: {owner: platform}"), 5, "merge keys"),
    "a tag that runs code": (
        swap("owner: platform", 'owner: !!python/object/apply:os.system ["true"]'),
        5,
        "YAML tags",
    ),
    "two documents": (GOOD + "---\nx: 1\n", 29, "more than one document"),
    # bytes
    "a tab": (swap("    checks:", "\tchecks:"), 15, "Indent with spaces"),
    "a tab after a key": (swap("owner: platform", "owner:\n\tplatform"), 6, "Indent with spaces"),
    "not UTF-8": (swap("Nobody", "N\xf6body").encode("latin-1"), 3, "not UTF-8"),
    "UTF-16": (GOOD.encode("utf-16"), 1, "not UTF-8"),
    "a byte order mark": (b"\xef\xbb\xbf" + GOOD.encode(), 1, "byte order mark"),
    "a zero byte": (swap("Nobody", "No\x00body"), 3, "a character that YAML forbids"),
    "text that runs backwards": (swap("Nobody", "No\u202ebody"), 3, "U+202E (right-to-left override)"),
    "SQL that runs backwards": (swap("FROM test.database AS d", "FROM test.database AS d -- \u2066x"), 14, "U+2066"),
    "a space without width": (swap("owner: platform", "owner: plat\u200bform"), 5, "U+200B (zero width space)"),
    "a line end that YAML does not know": (swap("Nobody", "No\u2028body"), 3, "U+2028"),
    "a huge file": (GOOD + "#" * 1_000_000, None, "at most 1,000,000 are read"),
    "deep nesting": (swap("{min_days: 7}", "{min_days: " + "[" * 60 + "]" * 60 + "}"), 8, "nests too deeply"),
    "very deep nesting": (swap("{min_days: 7}", "{min_days: " + "[" * 5000 + "]" * 5000 + "}"), 8, "nests too deeply"),
    "nothing": ("", 1, "The file is empty"),
    # shapes
    "a list where keys belong": (swap("{soc2: [CC6.6]}", "[CC6.6]"), 4, "must be keys and values, but it is a list"),
    "keys where a list belongs": (swap("  - id: private", "    id: private"), 10, "must be a list"),
    "a text where a list belongs": (swap("[CC6.6]", "CC6.6"), 4, "must be a list"),
    "a list at the top": ("- a\n", 1, "must hold keys and values"),
    "an unclosed bracket": (swap("{soc2: [CC6.6]}", "{soc2: [CC6.6"), 5, "This is not YAML"),
    "a colon inside a text": (swap("Nobody outside reaches them.", "Nobody: reaches"), 3, "Put quotes around"),
    "a number where text belongs": (swap("owner: platform", "owner: 12"), 5, "Put quotes around it"),
    "an unknown severity": (swap("severity: high", "severity: hihg"), 6, 'Did you mean "high"?'),
    "an unknown frequency": (swap("frequency: daily", "frequency: dialy"), 7, 'Did you mean "daily"?'),
    "a blank owner": (swap("owner: platform", 'owner: "  "'), 5, "owner is empty"),
    # ids and criteria
    "an id unlike the file name": (swap("id: TST-01", "id: TST-02"), 1, "is not the start of the file name"),
    "an id that is none": (swap("id: TST-01", "id: tst01"), 1, "A control id is like BCP-02"),
    "an unknown criterion": (swap("[CC6.6]", "[CC6.66]"), 4, 'Did you mean "CC6.6"?'),
    "a criterion twice": (swap("[CC6.6]", "[CC6.6, CC6.6]"), 4, "stands twice"),
    "an unknown framework": (swap("soc2", "sco2"), 4, 'Did you mean "soc2"?'),
    "no criterion": (swap("[CC6.6]", "[]"), 4, "satisfies.soc2 is empty"),
    "two tests of one name": (GOOD + GOOD[GOOD.index("  - id: private") :], 28, "Two tests are called"),
    "the engine's test id": (swap("id: private", "id: documents") + NEED, 11, "belongs to the evidence"),
    "a document twice": (GOOD + NEED + NEED.splitlines()[1] + "\n", 30, "is listed twice"),
    "a document of no age": (GOOD + NEED.replace(": 9", ": 0"), 29, "must be at least 1"),
    "neither tests nor evidence": (GOOD[: GOOD.index("tests:")], 1, "nothing would be checked"),
    # parameters
    "an unused parameter": (swap("{min_days: 7}", "{min_days: 7, max_days: 9}"), 8, '"max_days" is never used'),
    "a parameter that is a fraction": (swap("{min_days: 7}", "{min_days: 7.5}"), 8, "whole numbers"),
    "a parameter that is nothing": (swap("{min_days: 7}", "{min_days: }"), 8, "is nothing"),
    "the engine's parameter": (swap("{min_days: 7}", "{min_days: 7, as_of: x}"), 8, "belongs to the engine"),
    # findings
    "an unknown placeholder": (swap("{resource} is reach", "{resorce} is reach"), 16, 'Did you mean "resource"?'),
    "an open placeholder": (swap("{resource} is reach", "{resource is reach"), 16, "without its partner"),
    # examples
    "no examples": (GOOD[: GOOD.index("    examples:")], 11, 'The key "examples" is missing'),
    "an empty list of examples": (GOOD[: GOOD.index("    examples:")] + "    examples: []\n", 22, "is empty"),
    "a check never seen failing": (
        swap("public: true, days: 1}", "public: false, days: 1}"),
        16,
        "No example shows the check hidden failing",
    ),
    "a check never seen passing": (
        swap("{resource: a, public: false", "{resource: a, public: true").replace("a: pass", "a: fail"),
        16,
        "No example shows the check hidden passing",
    ),
    "a wrong outcome": (swap("b: fail", "b: pass"), 27, '"b" is fail, not pass'),
    "no outcome at all": (swap("b: fail", "b: failed"), 27, 'Did you mean "fail"?'),
    "an item that nobody expects": (swap("{a: pass, b: fail}", "{a: pass}"), 27, 'the item "b" is not expected'),
    "an item that is not there": (swap("b: fail}", "b: fail, c: fail}"), 27, 'there is no item "c"'),
    "an outcome of no check": (swap("b: fail", "b: {hiden: fail}"), 27, 'Did you mean "hidden"?'),
    "a given table that is not": (swap("          test.database:", "          test.databse:"), 24, "test.database"),
    "a given table that is not read": (swap("        then:", "          test.backup: []\n        then:"), 27, "does not read"),
    "a given column that is not": (swap(ONE_ROW, ONE_ROW.replace("public", "publc")), 25, 'Did you mean "public"?'),
    "a given text for a truth value": (swap(ONE_ROW, ONE_ROW.replace("false", '"no"')), 25, "must be true or false"),
    "a given text for a number": (swap(ONE_ROW, ONE_ROW.replace("7", '"7"')), 25, "must be a whole number"),
    "a given fraction": (swap(ONE_ROW, ONE_ROW.replace("7", "7.5")), 25, "must be a whole number"),
    "a given not-a-number": (swap(ONE_ROW, ONE_ROW.replace("7", ".nan")), 25, "must be a whole number"),
    "a given field that is not": (swap(ONE_ROW, ONE_ROW.replace("days", "settings: {tsl: x}, days")), 25, '"tls"'),
    "a given instant without zone": (
        swap(ONE_ROW, ONE_ROW.replace("days", 'created: "2026-01-01T00:00:00", days')),
        25,
        "an instant such as",
    ),
    "a given row without its name": (swap(ONE_ROW, "- {public: false, days: 7}"), 25, 'lacks "resource"'),
    "an example without its instant": (swap("NOT public", "NOT public AND created < $as_of"), 23, "does not say as_of"),
    "an instant that is none": (swap("        then:", "        as_of: today\n        then:"), 27, "is not an instant"),
    "half a period": (swap("        then:", '        period: ["2026-01-01"]\n        then:'), 27, "must hold 2 values"),
    "an example's unknown parameter": (swap("        then:", "        params: {mindays: 3}\n        then:"), 27, "min_days"),
    "an example's parameter of another kind": (
        swap("        then:", '        params: {min_days: "3"}\n        then:'),
        27,
        "must be a whole number",
    ),
    "an optional field that is not": (
        swap("    examples:", "    optional_fields: [test.database.settings.tsl]\n    examples:"),
        11,
        'Did you mean "test.database.settings.tls"?',
    ),
    # what only running shows
    "a check that passes by absence": (swap("NOT public", "coalesce(NOT public, true)"), 25, "when test.database.public is missing"),
    "a filter that loses items": (
        swap("FROM test.database AS d", "FROM test.database AS d WHERE d.days > 0"),
        25,
        'when test.database.days is missing, the item "a" disappears',
    ),
    "a join that doubles items": (
        swap("FROM test.database AS d", "FROM test.database AS d, range(2)"),
        23,
        "names an item twice",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def bench(tables: dict) -> Iterator[Workbench]:
    made = Workbench(tables)
    yield made
    made.close()


@pytest.fixture(scope="module")
def frameworks() -> tuple[Framework, ...]:
    return load.load_frameworks(controls_folder() / "frameworks")


@pytest.fixture
def mistakes(
    bench: Workbench, frameworks: tuple[Framework, ...], write_control: Callable[[str | bytes], Path]
) -> Callable[[str | bytes], list[str]]:
    """What `controls check` and `controls test` say about a file: `line: message hint`."""

    def said(text: str | bytes) -> list[str]:
        file = write_control(text)
        problems: list[FileError] = []
        try:
            control = load.load_control(file)
            load.check_criteria([control], frameworks)
            problems = list(bench.test(control).problems)
        except FileErrors as errors:
            problems = list(errors.problems)
        except FileError as error:
            problems = [error]
        assert all(problem.file == str(file) for problem in problems)
        return [f"{problem.line}: {problem.message} {problem.hint or ''}" for problem in problems]

    return said


def refused(said: list[str], line: int | None, part: str) -> None:
    assert said, "accepted"
    assert any(one.startswith(f"{line}: ") and part in one for one in said), said


def test_the_file_that_the_mistakes_are_made_in_is_good(mistakes: Callable[[str | bytes], list[str]]) -> None:
    assert mistakes(GOOD) == []


@pytest.mark.parametrize("name", POPULATIONS)
def test_a_population_is_refused_at_its_line(name: str, mistakes: Callable[[str | bytes], list[str]]) -> None:
    sql, below, part = POPULATIONS[name]
    text = swap(SQL, indent(sql, "      ") + "\n")
    line = GOOD[: GOOD.index("- given")].count("\n") if below == 10 else SQL_LINE + below
    refused(mistakes(text), line, part)


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_is_refused_at_its_line(name: str, mistakes: Callable[[str | bytes], list[str]]) -> None:
    expression, part = CHECKS[name]
    said = mistakes(swap("expect: NOT public", "expect: '" + expression.replace("'", "''") + "'"))
    assert len(said) == 1
    refused(said, EXPECT_LINE, part)


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_refused_at_its_line(name: str, mistakes: Callable[[str | bytes], list[str]]) -> None:
    text, line, part = FILES[name]
    refused(mistakes(text), line, part)


def test_one_id_in_two_files_names_both(write_control: Callable[..., Path]) -> None:
    first = write_control(GOOD)
    second = write_control(GOOD, "TST-01-again.yaml")
    with pytest.raises(FileError, match=r"TST-01 is also defined in") as caught:
        load.load_controls([first.parent])
    assert {str(first), str(second)} == {caught.value.file, str(caught.value).rpartition("defined in ")[2].rstrip(".")}
    assert caught.value.line == 1


def test_all_mistakes_of_a_file_are_told_at_once(mistakes: Callable[[str | bytes], list[str]]) -> None:
    said = mistakes(swap("severity: high", "severity: hihg").replace("frequency: daily", "frequency: dialy"))
    assert [one.partition(":")[0] for one in said] == ["6", "7"]


def test_sql_that_never_ends_is_stopped_in_an_example(tables: dict, write_control: Callable[..., Path]) -> None:
    endless = (
        "SELECT d.resource, d.public, count(*) AS days\nFROM test.database AS d, range(1000000000000)\nGROUP BY ALL"
    )
    bench = Workbench(tables, limits=Limits(seconds=0.2))
    control = load.load_control(write_control(swap(SQL, indent(endless, "      ") + "\n")))
    said = [str(problem) for problem in bench.test(control).problems]
    bench.close()
    assert said == [
        f"{control.file}:24: example 1 cannot be run: The SQL took longer than 0.2 seconds and was stopped."
    ]


def test_sql_that_wants_all_memory_is_stopped_in_an_example(mistakes: Callable[[str | bytes], list[str]]) -> None:
    hog = "SELECT d.resource, d.public, array_length(range(d.days * 200000000)) AS days\nFROM test.database AS d"
    refused(mistakes(swap(SQL, indent(hog, "      ") + "\n")), 23, "needed more memory than 512MB and was stopped")


def test_the_command_line_says_it_with_file_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "ACME-01.yaml"
    assert app.run(["controls", "new", "ACME-01", "--reads", "postgres.role", "--folder", str(tmp_path)]) == 0
    (made,) = tmp_path.glob("*.yaml")
    file.write_text(made.read_text().replace("owner:", "ownr:"))
    capsys.readouterr()
    assert app.run(["controls", "check", str(file)]) == 2
    errors = capsys.readouterr().err
    assert f"{file}:" in errors and 'Did you mean "owner"?' in errors and "Traceback" not in errors
