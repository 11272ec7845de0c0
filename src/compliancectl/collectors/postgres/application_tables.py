"""The tables about the application's own schema: mapped columns, triggers, counts, tenants that left, personal data."""

from __future__ import annotations

from compliancectl.collectors.postgres.tables import LITERALS, NO_GRANT, identity
from compliancectl.model.table import BOOL, INT, TEXT, TIME, Column, ListOf, Table

COUNTS_ONLY = "row values are never asked for: classes and counts alone"

SCHEMA_MAP = Table(
    "postgres.schema_map",
    "One row per table and column that the schema map of the scope names, there or not.",
    (
        *identity("`database/thing/role`; for education records `database/education_records:schema.table/table`."),
        Column("thing", TEXT, "`api_tokens`, `share_links`, `collections` … as in the scope.", "scope", required=True),
        Column(
            "role", TEXT, "What the column is for: `token`, `hash` …; `table` for the table.", "scope", required=True
        ),
        Column("table", TEXT, "`schema.table`.", "scope", required=True),
        Column("column", TEXT, "Column; NULL for the table itself.", "scope"),
        Column("present", BOOL, "Whether it exists.", "pg_class, pg_attribute", required=True),
        Column("type", TEXT, "Type as SQL writes it.", "format_type()"),
        Column("nullable", BOOL, "Whether it may be empty.", "pg_attribute.attnotnull, pg_type.typnotnull"),
        Column("default", TEXT, "Default expression.", "pg_attrdef.adbin"),
        Column("is_unique", BOOL, "Whether a unique index on it alone holds for every row.", "pg_index"),
        Column("references", TEXT, "`schema.table` that a validated foreign key refers to.", "pg_constraint.confrelid"),
        Column(
            "checks",
            ListOf(TEXT),
            "Validated CHECK constraints that speak of it, those of its domain included.",
            "pg_get_constraintdef()",
        ),
        Column(
            "allowed_values",
            ListOf(TEXT),
            "Values that its enum or one constraint lists, sorted for a constraint; NULL when nothing lists them.",
            "pg_enum.enumlabel, pg_constraint",
        ),
        Column("min_length", INT, "Shortest text or byte string that constraints allow.", "pg_constraint"),
        Column("min_value", INT, "Smallest number that constraints allow.", "pg_constraint"),
    ),
    ("database", "resource"),
    NO_GRANT,
    (LITERALS,),
)
TRIGGER = Table(
    "postgres.trigger",
    "One row per trigger that people made and that is switched on.",
    (
        *identity("`database/schema.table/trigger`."),
        Column("relation", TEXT, "`schema.table` that it watches.", "pg_trigger.tgrelid", required=True),
        Column("name", TEXT, "Trigger.", "pg_trigger.tgname", required=True),
        Column("function", TEXT, "Function that it runs.", "pg_trigger.tgfoid", required=True),
        Column("on_insert", BOOL, "Whether it runs when a row is inserted.", "pg_trigger.tgtype", required=True),
        Column("on_update", BOOL, "Whether it runs when a row is updated.", "pg_trigger.tgtype", required=True),
        Column("on_delete", BOOL, "Whether it runs when a row is deleted.", "pg_trigger.tgtype", required=True),
        Column(
            "mentions",
            ListOf(TEXT),
            "Tables of the schema map whose names occur in the body of the function.",
            "pg_proc.prosrc",
            required=True,
        ),
    ),
    ("database", "relation", "name"),
    NO_GRANT,
    ("bodies of functions are never asked for, only which declared tables they name",),
)
AGGREGATE = Table(
    "postgres.aggregate",
    "One row per class of rows that an aggregate function of the scope counts.",
    (
        *identity("`database/kind/class`."),
        Column("kind", TEXT, "`password_hashes`, `identity_providers`, `share_links` …", "scope", required=True),
        Column("class", TEXT, "Class of the rows, a plain word.", required=True),
        Column("count", INT, "Number of rows.", required=True),
    ),
    ("database", "kind", "class"),
    (*NO_GRANT, "USAGE on the schema of the aggregate functions and EXECUTE on them"),
    (COUNTS_ONLY,),
)
DEPARTED_TENANT_ROW = Table(
    "postgres.departed_tenant_row",
    "One row per tenant that left and table with tenants' data: how many of its rows are still there.",
    (
        *identity("`database/tenant/schema.table`."),
        Column("tenant", TEXT, "Key of the tenant.", "scope", required=True),
        Column("ended", TIME, "When its service ended.", "scope", required=True),
        Column("relation", TEXT, "`schema.table`.", required=True),
        Column("rows", INT, "Rows of that tenant.", required=True),
        Column("total", INT, "Rows of all tenants that the count could see.", required=True),
    ),
    ("database", "tenant", "relation"),
    (*NO_GRANT, "EXECUTE on the function under departed_tenants"),
    (COUNTS_ONLY,),
)
PERSONAL_COLUMN = Table(
    "postgres.personal_column",
    "One row per column that is declared to hold personal data or was sampled, there or not.",
    (
        *identity("`database/schema.table.column`."),
        Column("column", TEXT, "`schema.table.column`.", required=True),
        Column("present", BOOL, "Whether the column exists.", "pg_attribute", required=True),
        Column("type", TEXT, "Type as SQL writes it.", "format_type()"),
        Column("declared", BOOL, "Whether the inventory of the scope has it.", "scope", required=True),
        Column("declared_class", TEXT, "Class of data as declared; `none`: looked at, not personal.", "scope"),
        Column("purpose", TEXT, "Purpose as declared; for the class `none` the reason.", "scope"),
        Column("retention", TEXT, "How long it is kept, as declared.", "scope"),
        Column("technique", TEXT, "`plain`, `hash`, `encrypt` or `mask`, as declared.", "scope"),
        Column(
            "technique_shown",
            BOOL,
            "Whether the catalogue shows the technique: a binary type or a constraint on shape or length for `hash` and "
            "`encrypt`, a security label for `mask`; NULL for `plain`, which needs none.",
            "pg_type, pg_constraint, pg_seclabels",
        ),
        Column("sampled", INT, "Number of values that were looked at; NULL when none were."),
        Column("found", ListOf(TEXT), "Classes of personal data that the values hold, most frequent first."),
        Column("found_counts", ListOf(INT), "For each of those classes the number of values with it."),
    ),
    ("database", "column"),
    (*NO_GRANT, "for samples: membership in the application roles, as for postgres.isolation_probe"),
    ("values are looked at in memory and never kept: counts per class alone",),
)
