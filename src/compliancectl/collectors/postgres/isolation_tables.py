"""The tables about tenant isolation: what the rules say of each object, and what each session could reach."""

from __future__ import annotations

from compliancectl.collectors.postgres.tables import LITERALS, NO_GRANT, identity
from compliancectl.model.table import BOOL, INT, TEXT, Column, ListOf, Table

BODIES = "bodies of functions and definitions of views are never asked for, only which names they contain"
VALUES = "row values are never kept: only which kind of row was accepted, and how many there were"

ISOLATION_RULE = Table(
    "postgres.isolation_rule",
    "One row per rule of tenant isolation and object that it speaks of, broken or not.",
    (
        *identity("`database/rule:object`."),
        Column("rule", TEXT, "Rule, such as `rls.disabled` or `view.bypass`.", required=True),
        Column(
            "kind",
            TEXT,
            "`gap`: it lets a session reach another tenant's rows; `weakness`: it tells that they exist, or waits for "
            "one more step; `server`: of the server itself.",
            required=True,
        ),
        Column("object", TEXT, "Table, view, function, role, key … that the rule speaks of.", required=True),
        Column("broken", BOOL, "Whether the object breaks the rule; NULL when it cannot be told."),
        Column("sentence", TEXT, "What is wrong; NULL when nothing is."),
        Column("policy", TEXT, "Text of the policy concerned."),
        Column("repair", TEXT, "SQL that would mend it; NULL when nothing is wrong."),
    ),
    ("database", "resource"),
    NO_GRANT,
    (LITERALS, BODIES),
)
ISOLATION_PROBE = Table(
    "postgres.isolation_probe",
    "One row per table, operation, application role and state of a session: what was tried, and what came of it.",
    (
        *identity("`database/level:role/context/schema.table/operation`."),
        Column(
            "level",
            TEXT,
            "`predicate`: the policies' expressions were evaluated on rows of others; `rows`: rows were counted; `write`: a "
            "write was tried in a clone and rolled back.",
            required=True,
        ),
        Column(
            "relation",
            TEXT,
            "`schema.table`; or the view, function, trigger or rule that works with another role's rights.",
            required=True,
        ),
        Column(
            "operation",
            TEXT,
            "`SELECT`, `INSERT`, `UPDATE` or `DELETE`; `EXECUTE` for a function that was called in a clone.",
            required=True,
        ),
        Column("role", TEXT, "Application role that the session took.", "scope", required=True),
        Column(
            "context",
            TEXT,
            "Declared context, or `unset` (a new connection without settings), `empty`, `unknown` (a tenant that does not "
            "exist), or a setting that only policies know.",
            required=True,
        ),
        Column(
            "context_kind",
            TEXT,
            "`tenant`, `nobody`, `unset`, `empty`, `unknown`, `switch` or `forged` (a column that policies believe and the "
            "session may write, as if it were written).",
            required=True,
        ),
        Column("statement", TEXT, "Template of the statement; values are not kept.", required=True),
        Column("expected", TEXT, "What isolation demands.", required=True),
        Column("observed", TEXT, "What happened.", required=True),
        Column("sqlstate", TEXT, "Error that the server answered with; NULL when none."),
        Column("own_rows", INT, "The tenant's own rows that were accepted or counted."),
        Column(
            "foreign_rows", INT, "Rows of others, or of anybody for a session of nobody, that were accepted or counted."
        ),
        Column("denominator", INT, "Rows of others that were tried, or that their own sessions count."),
        Column("verdict", TEXT, "`isolated`, `open`, `no access` or `inconclusive`.", required=True),
        Column("rule", TEXT, "Rule that is broken; NULL when isolated."),
        Column("sentence", TEXT, "What is wrong; NULL when isolated."),
        Column("policies", ListOf(TEXT), "Texts of the policies concerned.", required=True),
        Column("repair", TEXT, "SQL that would close it."),
        Column(
            "references_accepted", ListOf(TEXT), "Foreign keys by which a row of another tenant can be referred to."
        ),
    ),
    ("database", "resource"),
    (
        *NO_GRANT,
        "membership in each application role, to take it with SET ROLE (PostgreSQL 16 or later: WITH INHERIT FALSE, SET TRUE)",
    ),
    (LITERALS, BODIES, VALUES, "settings of the declared contexts, except the tenant's key"),
)
