"""The functions that a control may call, and why some well-known ones are not among them.

Every allowed function is CONSISTENT in DuckDB's own catalogue: same arguments, same answer (a test holds the list
against `duckdb_functions()`). What depends on the clock, on chance, on settings, on files or on the order in which
threads finish is not here.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SCALAR: frozenset[str] = _words(
    """
    + - * // % || ~~ !~~ ~~* !~~* ~~~ ^@ abs array_concat array_contains array_distinct array_filter array_has
    array_has_all array_has_any array_intersect array_length array_position array_slice array_sort array_to_string
    array_transform ascii bit_count ceil ceiling char_length character_length chr coalesce concat concat_ws contains
    date_part date_trunc day dayofweek dayofyear decade ends_with epoch_ms epoch_us flatten floor greatest
    hamming hour if ifnull instr isodow isoyear last_day lcase least left length levenshtein list_apply
    list_bool_and list_bool_or list_concat list_contains list_count list_distinct list_filter list_has list_has_all
    list_has_any list_intersect list_max list_min list_pack list_position list_reverse list_slice list_sort
    list_sum list_transform list_unique list_value list_zip lower ltrim make_date make_timestamp md5 minute mod
    month nullif octet_length position prefix quarter range generate_series regexp_escape regexp_extract
    regexp_extract_all regexp_full_match regexp_matches regexp_replace regexp_split_to_array replace reverse
    right round row rtrim second sha256 sign split_part starts_with str_split strftime string_split
    string_to_array strip_accents strlen strpos struct_extract struct_pack substr substring suffix switch time_bucket
    to_days to_hours to_microseconds to_milliseconds to_minutes to_months to_seconds to_weeks to_years translate trim
    trunc typeof ucase unnest upper week weekday weekofyear year yearweek
    """
)

AGGREGATE: frozenset[str] = _words(
    """
    array_agg arg_max_null arg_min_null bit_and bit_or bool_and bool_or count count_if count_star countif group_concat
    list listagg max min quantile_disc string_agg sum sum_no_overflow
    """
)

WINDOW_ONLY: frozenset[str] = _words("row_number rank dense_rank lag lead first_value last_value nth_value ntile")

ORDERED: frozenset[str] = _words("array_agg group_concat list listagg string_agg")
"""Aggregates whose answer depends on the order of rows: they need an ORDER BY of their own."""

TABLE: frozenset[str] = frozenset({"unnest", "range", "generate_series"})

INTERVAL_PARTS: frozenset[str] = _words(
    "to_days to_hours to_microseconds to_milliseconds to_minutes to_months to_seconds to_weeks to_years"
)

ALL: frozenset[str] = SCALAR | AGGREGATE | WINDOW_ONLY

_CLOCK = "It depends on the clock.", "Use $as_of."
_CHANCE = "It gives another answer each time.", "Order by md5(seed || id) if you need a sample."
_FLOAT = "It answers with a floating-point number, which depends on the order of rows.", "Compare whole numbers."
_JSON = "JSON paths turn a misspelt field into NULL in silence.", "Use typed columns and struct fields: column.field."
_MAP = "Map keys turn a misspelt key into NULL in silence.", "Use struct fields: column.field."
_ANY = "It picks any row, and another one next time.", "Use min or max, or list(x ORDER BY …)[1]."
_STATE = "It reads the state or the settings of the database.", "A control reads evidence tables only."
_FILE = "It reads files.", "A control reads evidence tables only."
_SKIPS = "It skips rows whose value is NULL, so a missing value makes an older one count.", "Use {}_null."
_LONG = "It can make a text of any length, past every limit on memory.", "Put texts together with ||."
_PORTABLE = "It counts boundaries here and elapsed time elsewhere.", "Compare instants: a > b + interval '26' hour."

WHY: dict[str, tuple[str, str]] = {
    **dict.fromkeys(
        _words(
            "now current_date current_time current_timestamp get_current_time get_current_timestamp today localtime "
            "localtimestamp current_localtime current_localtimestamp transaction_timestamp ago"
        ),
        _CLOCK,
    ),
    **dict.fromkeys(_words("random uuid gen_random_uuid uuidv4 uuidv7 setseed nextval currval"), _CHANCE),
    **dict.fromkeys(
        _words(
            "/ avg mean median favg fsum kahan_sum sumkahan stddev stddev_pop stddev_samp variance var_pop var_samp sqrt ln "
            "log exp pow power ** ^ pi quantile_cont quantile epoch list_avg"
        ),
        _FLOAT,
    ),
    **dict.fromkeys(_words("-> ->> from_json to_json json row_to_json"), _JSON),
    **dict.fromkeys(_words("map map_extract element_at map_from_entries map_keys map_values"), _MAP),
    **dict.fromkeys(
        _words(
            "any_value arbitrary first last mode approx_quantile approx_count_distinct approx_top_k "
            "reservoir_quantile histogram"
        ),
        _ANY,
    ),
    **dict.fromkeys(
        _words(
            "getvariable current_setting current_user session_user user current_schema current_database version "
            "query query_table sleep_ms write_log error pg_sleep getenv in_search_path txid_current"
        ),
        _STATE,
    ),
    **dict.fromkeys(
        _words(
            "read_csv read_csv_auto read_parquet parquet_scan read_json read_json_auto read_ndjson read_text "
            "read_blob glob sniff_csv"
        ),
        _FILE,
    ),
    **dict.fromkeys(_words("repeat lpad rpad printf format list_reduce array_reduce reduce bar"), _LONG),
    **dict.fromkeys(_words("date_diff datediff date_sub datesub age"), _PORTABLE),
    "len": ("For lists it becomes LENGTH elsewhere.", "Use array_length for lists and length for texts."),
    **{
        name: (_SKIPS[0], _SKIPS[1].format(full))
        for name, full in (
            ("arg_max", "arg_max"),
            ("argmax", "arg_max"),
            ("max_by", "arg_max"),
            ("arg_min", "arg_min"),
            ("argmin", "arg_min"),
            ("min_by", "arg_min"),
        )
    },
}
"""Function → why it is refused, and what to write instead."""

STORAGE = "It is the place of a row in storage, which the evidence does not hold.", "Name a column."

VALUE_WORDS: frozenset[str] = frozenset(
    [
        "current_date",
        "current_time",
        "current_timestamp",
        "localtime",
        "localtimestamp",
        "current_user",
        "session_user",
        "user",
        "current_role",
        "current_schema",
        "current_catalog",
        "rowid",
        "today",
        "now",
    ]
)
"""Words that look like columns but read the clock, the session or the storage."""


def why_not(name: str) -> tuple[str, str | None]:
    """Why a function is refused, and a hint."""
    if name in WHY:
        return WHY[name]
    if name.startswith(("json_", "json")):
        return _JSON
    if name.startswith("read_") or name.endswith("_scan"):
        return _FILE
    if name.startswith(("duckdb_", "pragma_", "pg_", "has_")):
        return _STATE
    return "It is not among the functions that a control may use.", None
