"""The only owner of DuckDB and sqlglot: guards, binds, runs and explains the SQL of controls.

SQL is code, so a control file is guarded, not trusted. Before any data exists its SQL is parsed with DuckDB's own
parser and held against allow-lists (`guard`), bound against empty typed tables (`bind`) and linted for portability
(`portable`). It then runs on a locked, read-only database (`tables`, `judge`).
"""
