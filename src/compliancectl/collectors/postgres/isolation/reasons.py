"""Why a cell is open: the rule it breaks, one sentence, the policies concerned, and SQL that would close it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from compliancectl.collectors.postgres.isolation import repairs
from compliancectl.collectors.postgres.isolation.model import Facts
from compliancectl.collectors.postgres.isolation.objects import Policy, Relation
from compliancectl.collectors.postgres.isolation.predicates import UNNAMED
from compliancectl.collectors.postgres.purge import quoted

Accepted = Sequence[tuple[str, str, tuple[str, ...]]]
"""(kind of row, its column, permissive policies that accepted it)."""
_CONSTANT = re.compile(r"\(*(true|1 = 1|'t'::boolean|null is null)\)*", re.IGNORECASE)
_WHOAMI = re.compile(r"\b(current_user|session_user|current_role|user)\b", re.IGNORECASE)
_STRING = re.compile(r"'(?:[^']|'')*'")
_VERBS = {"SELECT": "read", "INSERT": "written for another tenant", "UPDATE": "changed", "DELETE": "deleted"}


def unprotected(facts: Facts, relation: Relation, role: str) -> dict[str, Any]:
    """Why row security does not bind a role on a table at all."""
    who = facts.roles[role]
    if who.unbound:
        return {
            "rule": "role.bypassrls",
            "sentence": f"The application's role {role} is {'a superuser' if who.superuser else 'BYPASSRLS'}: no policy binds it.",
            "repair": f"ALTER ROLE {quoted(role)} NOSUPERUSER NOBYPASSRLS;",
        }
    if not relation.rls_enabled:
        return {
            "rule": "rls.partition_child" if relation.parents else "rls.disabled",
            "sentence": f"Row-level security is off on {relation.qualified}, which {role} reaches"
            + (f" past its parent {relation.parents[0]}." if relation.parents else "."),
            "repair": repairs.protect(facts, relation),
        }
    return {
        "rule": "rls.not_forced",
        "sentence": f"{role} acts as the owner {relation.owner} of {relation.qualified}, whom the policies do not bind.",
        "repair": f"ALTER TABLE {relation.qualified} FORCE ROW LEVEL SECURITY;",
    }


def failed(relation: Relation, sqlstate: str) -> dict[str, Any]:
    """What an error that is no refusal means."""
    if sqlstate == "42P17":
        return {
            "rule": "policy.recursion",
            "sentence": f"The policies of {relation.qualified} read each other without end (42P17): nothing can be read.",
        }
    if sqlstate == UNNAMED:
        return {
            "sentence": f"{relation.qualified} could not be judged: its policies use something in a schema that neither the "
            "application's role nor the collector may name. Grant USAGE on that schema to the collector's role."
        }
    return {"sentence": f"{relation.qualified} could not be judged: the server answered {sqlstate}."}


def nothing(relation: Relation) -> dict[str, Any]:
    """There was no row that could be said to be another tenant's."""
    if relation.tenant_key is not None:
        return {}
    return {
        "sentence": f"{relation.qualified} could not be judged: no tenant key of it is declared, so no row can be said to be "
        "another tenant's. Declare the key under tenant_key_of, or the table under shared_tables."
    }


def visible(facts: Facts, relation: Relation, record: Mapping[str, Any]) -> dict[str, Any]:
    """Rows of others were counted."""
    serving = [p for p in facts.policies.get(relation.qualified, ()) if p.serves(record["role"], "SELECT")]
    policies = tuple(p.text for p in serving)
    return {
        "rule": "view.bypass"
        if relation.kind == "v"
        else "view.materialized"
        if relation.kind == "m"
        else "rows.visible",
        "sentence": f"{record['role']} as {record['state']} sees {record['foreign']} "
        f"{'row' if record['foreign'] == 1 else 'rows'} of other tenants in "
        f"{relation.word} {relation.qualified}.",
        "policies": policies,
        "repair": repairs.invoke(facts, [relation.qualified])
        if relation.kind == "v"
        else f"REVOKE ALL ON {relation.qualified} FROM {quoted(record['role'])};"
        if relation.kind == "m"
        else repairs.alter(facts, relation, "policy.no_scope", serving)
        if relation.rls_enabled
        else repairs.protect(facts, relation),
    }


def explain(
    facts: Facts, relation: Relation, record: Mapping[str, Any], operation: str, accepted: Accepted
) -> dict[str, Any]:
    """Why rows that must be refused were accepted."""
    names = {name for _, _, policies in accepted for name in policies}
    policies = [p for p in facts.policies.get(relation.qualified, ()) if p.name in names]
    rule = _rule(facts, relation, record, operation, accepted, policies)
    who = f"{record['role']} as {record['state']}"
    notes = [note for _, note, _ in accepted if note]
    column = next((note for note in notes if note != relation.tenant_key), notes[0] if notes else "")
    verb = _VERBS[operation] if rule != "policy.write_gap" else "written or moved to another tenant"
    sentence = f"{who}: rows of {relation.qualified} can be {verb}: " + _WORDS[rule].format(
        policies=", ".join(sorted(names)),
        column=(f"by {column} " if column else "") if rule == "policy.open_rows" else column,
        key=relation.tenant_key,
    )
    return {
        "rule": rule,
        "sentence": sentence,
        "policies": tuple(p.text for p in policies),
        "repair": _repair(facts, relation, rule, policies, column),
    }


def _repair(facts: Facts, relation: Relation, rule: str, policies: Sequence[Policy], column: str) -> str:
    sql = repairs.alter(facts, relation, rule, policies)
    if rule == "policy.open_rows" and column in relation.columns:
        way = f"or declare {relation.qualified}.{column} under shared_columns with the reason"
        sql += f", {way}" if sql.startswith("--") else f" -- {way}"
    return sql


_WORDS = {
    "policy.always_true": "policy {policies} is always true.",
    "policy.second_permissive": "policy {policies} is always true and is joined with the others by OR.",
    "policy.command_gap": "policy {policies} is always true for this command.",
    "policy.write_gap": "the check of policy {policies} accepts other tenants' rows.",
    "policy.no_scope": "policy {policies} does not look at the tenant.",
    "policy.role_identity": "policy {policies} asks for the database role, which all tenants share.",
    "policy.hard_coded": "policy {policies} names a tenant in its text.",
    "policy.pattern_match": "policy {policies} takes a key that only resembles the session's for the session's.",
    "policy.null_tenant": "policy {policies} shows rows without a tenant to everybody.",
    "policy.open_rows": "policy {policies} opens rows {column}to other tenants, and that is not declared shared.",
    "policy.shared_writable": "policy {policies} lets every tenant write rows that are declared shared, and so may be read alone.",
    "policy.trusts_writable_table": "by {column} it opens another tenant's row, whose policies look into this table.",
    "policy.trusts_writable_column": "policy {policies} believes a column that the session may write.",
    "policy.tenant_key_uncovered": "policy {policies} accepts a row whose {key} is another tenant's when the rest is its own.",
    "policy.fail_open": "policy {policies} accepts rows when no tenant is set.",
    "policy.bypass_switch": "policy {policies} is switched off by a setting that every session can make.",
    "policy.not_for_role": "the restrictive policies of the table do not apply to this role, and policy {policies} lets it through.",
}


def _rule(
    facts: Facts,
    relation: Relation,
    record: Mapping[str, Any],
    operation: str,
    accepted: Accepted,
    policies: Sequence[Policy],
) -> str:
    role = record["role"]
    kinds = {kind for kind, _, _ in accepted}
    constant = [p for p in policies if _constant(p, operation)]
    if record["kind"] == "switch":
        return "policy.pattern_match" if record["state"].endswith(("= %", "= .*")) else "policy.bypass_switch"
    if record["kind"] == "forged":
        return "policy.trusts_writable_column"
    if any(not p.permissive and role not in p.applies_to for p in facts.policies.get(relation.qualified, ())):
        return "policy.not_for_role"
    if constant:
        return _constant_rule(facts, relation, role, operation, constant)
    if record["kind"] != "tenant":
        return "policy.role_identity" if all(by_role(p) for p in policies) else "policy.fail_open"
    text = " ".join(f"{p.using} {p.check}" for p in policies)
    named = set(facts.declared.get("names_a_tenant", ()))
    if kinds <= {"hard-coded"} or (
        "other" in kinds and any(f"{relation.qualified}/{p.name}" in named for p in policies)
    ):
        return "policy.hard_coded"
    if kinds <= {"user"} or (_asks_role(text) and kinds & {"user", "other", "sample", "stored"}):
        return "policy.role_identity"
    if kinds <= {"shared"}:
        return "policy.shared_writable"
    whole = any(kind == "other" and not note for kind, note, _ in accepted)
    if "other" in kinds and not whole:
        # Only rows with something special in a column: that column opens them.
        return "policy.open_rows"
    if "other" in kinds:
        return (
            "policy.no_scope"
            if operation in ("SELECT", "DELETE") or not _scoped_reading(facts, relation, role, policies)
            else "policy.write_gap"
        )
    for kind, rule in _BY_KIND.items():
        if kind in kinds:
            return rule
    return "policy.no_scope"


_BY_KIND = {
    "no tenant": "policy.null_tenant",
    "flag": "policy.open_rows",
    "literal": "policy.open_rows",
    "pattern": "policy.pattern_match",
    "hard-coded": "policy.hard_coded",
    "sample": "policy.open_rows",
    "stored": "policy.open_rows",
    "copy": "policy.open_rows",
    "reference": "policy.trusts_writable_table",
    "mixed": "policy.tenant_key_uncovered",
    "moved": "policy.tenant_key_uncovered",
}


def by_role(policy: Policy) -> bool:
    """Whether a policy asks for the database role."""
    return _asks_role(f"{policy.using} {policy.check}")


def _asks_role(text: str) -> bool:
    """Whether an expression asks for the database role; a setting may be called `session.user` as well."""
    return bool(_WHOAMI.search(_STRING.sub("", text)))


def _constant(policy: Policy, operation: str) -> bool:
    texts = [policy.using] if operation in ("SELECT", "DELETE") else [policy.check or policy.using, policy.using]
    return any(text is not None and _CONSTANT.fullmatch(text.strip()) for text in texts)


def _constant_rule(facts: Facts, relation: Relation, role: str, operation: str, constant: Sequence[Policy]) -> str:
    applying = [p for p in facts.policies[relation.qualified] if p.permissive and p.serves(role, operation)]
    if operation in ("INSERT", "UPDATE") and all(p.using is None or not _CONSTANT.fullmatch(p.using) for p in constant):
        return "policy.write_gap"
    if len(applying) > len(constant):
        return "policy.second_permissive"
    return "policy.command_gap" if all(p.command not in ("ALL", "SELECT") for p in constant) else "policy.always_true"


def _scoped_reading(facts: Facts, relation: Relation, role: str, policies: Sequence[Policy]) -> bool:
    """Whether the policies are closed for reading, so that only their check is at fault."""
    return any(p.check is not None and p.using != p.check for p in policies)


def readers_as(facts: Facts, view: str) -> Iterator[tuple[str, str]]:
    """(role that reads, relation with policies or views of its own) for every way from a view down to tables.

    A view with security_invoker reads as its caller, which is nobody in particular here; others read as their owner.
    """
    seen: set[str] = set()
    todo = [view]
    while todo:
        name = todo.pop()
        if name in seen or name not in facts.relations:
            continue
        seen.add(name)
        reader = facts.relations[name]
        for base in facts.direct.get(name, ()):
            if base in facts.relations and facts.relations[base].kind in ("v", "m"):
                todo.append(base)
            elif not invoker(reader):
                yield reader.owner, base


def invoker(view: Relation) -> bool:
    """Whether a view reads with its caller's rights (PostgreSQL 15 or later)."""
    return view.kind == "v" and str(view.options.get("security_invoker", "")).lower() in (
        "true",
        "on",
        "1",
        "yes",
        "t",
        "y",
    )
