"""What came of a write that was tried, as a row of `postgres.isolation_probe`. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from compliancectl.collectors.postgres.isolation import doors, repairs
from compliancectl.collectors.postgres.isolation.attempts import Attempt
from compliancectl.collectors.postgres.isolation.calls import Call
from compliancectl.collectors.postgres.isolation.cells import refuses
from compliancectl.collectors.postgres.isolation.model import Facts
from compliancectl.collectors.postgres.isolation.objects import Relation
from compliancectl.collectors.postgres.isolation.variants import Person

Names = tuple[str, str, Person, Person]
"""Database, application role, whose session it is, and whom it tries to harm."""
NO_ROLLBACK = "a number of a sequence would be drawn, which no rollback gives back"


@dataclass(frozen=True)
class Look:
    """What a tenant's own session sees of its rows in one table."""

    table: str
    rows: int
    digest: str | None
    """Of where they lie and who wrote them."""


@dataclass
class Effect:
    """What one statement did."""

    before: tuple[Look, ...] | None = None
    after: tuple[Look, ...] | None = None
    state: str | None = None
    """The SQLSTATE with which it ended."""
    wrote: int = 0
    answer: list[Any] | None = None

    @property
    def rows(self) -> int:
        """How many rows of the other tenant there were to harm."""
        return sum(look.rows for look in self.before or ())

    @property
    def changed(self) -> tuple[Look, Look] | None:
        """The first table whose rows are not as they were."""
        pairs = zip(self.before or (), self.after or (), strict=False)
        return next(((one, two) for one, two in pairs if one != two), None)


def of_attempt(facts: Facts, relation: Relation, names: Names, attempt: Attempt, effect: Effect) -> dict[str, Any]:
    """The row of a write on a table."""
    _, role, mine, other = names
    verdict, observed = _verdict(relation, attempt, effect, mine, other)
    broken = verdict == "open"
    row = _row(names, f"{relation.qualified}/{attempt.name}" + (f" {attempt.key}" if attempt.key else ""))
    row.update(
        relation=relation.qualified,
        operation=attempt.operation,
        statement=attempt.statement,
        expected=f"no row of {other.name} changes",
        observed=observed,
        sqlstate=effect.state,
        denominator=effect.rows,
        verdict=verdict,
    )
    if broken:
        serving = [p for p in facts.policies.get(relation.qualified, ()) if p.serves(role, attempt.operation)]
        policies = [policy for policy in serving if policy.permissive]
        named = attempt.name.replace(",", "").replace(" ", "_")
        where = effect.changed[0].table if effect.changed else relation.qualified
        verb = "read" if attempt.way == "read" and not effect.changed else "wrote"
        row.update(
            rule=f"write.{named}",
            sentence=f"{role} as {mine.name} {verb} rows of {other.name} in {where} ({attempt.name}).",
            policies=[policy.text for policy in policies],
            repair=repairs.alter(facts, relation, "policy.no_scope", policies)
            if relation.rls_enabled
            else repairs.protect(facts, relation),
        )
    elif attempt.way == "refer" and verdict == "isolated" and effect.state is None:
        row.update(references_accepted=[attempt.key])
    return row


def _verdict(relation: Relation, attempt: Attempt, effect: Effect, mine: Person, other: Person) -> tuple[str, str]:
    if attempt.why_not is not None:
        return "inconclusive", f"not tried: by {attempt.why_not} {NO_ROLLBACK}"
    if effect.state is not None:
        # What breaks a constraint has passed the policies: that proves nothing. A missing parent row refuses a reference.
        refused = refuses(effect.state) or (attempt.way == "refer" and effect.state == "23503")
        return "isolated" if refused and effect.before is not None else "inconclusive", f"error {effect.state}"
    changed = effect.changed
    if changed is not None:
        one, two = changed
        return "open", f"rows of {other.name} were changed: {one.rows} before, {two.rows} after"
    if not any(look.table == relation.qualified for look in effect.before or ()):
        return "inconclusive", f"{other.name} may not read the rows, so nobody can tell what became of them"
    if attempt.way == "read" and any(row[0] for row in effect.answer or ()):
        return "open", f"a row of {other.name} came back"
    if attempt.way == "refer":
        if not effect.wrote:
            return "inconclusive", f"{mine.name} has no row to refer with"
        return (
            "isolated",
            f"the rows of {other.name} are as before, but a row of {mine.name} may refer to one by {attempt.key}",
        )
    if attempt.needs_rows and not effect.rows:
        return "inconclusive", f"{other.name} has no row that could be changed"
    told = (
        "" if attempt.way != "take" or effect.wrote else f"; but {attempt.key} tells that {other.name} has such a row"
    )
    return "isolated", f"the {effect.rows} rows of {other.name} are as before{told}"


def of_call(facts: Facts, names: Names, call: Call, found: Sequence[Effect], *, same: bool) -> dict[str, Any]:
    """The row of a function that was called, with the worst that came of it.

    Args:
        facts: the catalogue.
        names: who calls.
        call: the function.
        found: what each call did; empty when it was not called.
        same: whether it answers the other tenant's keys as it answers keys that nobody has.
    """
    _, role, mine, other = names
    changed = next((effect for effect in found if effect.changed), None)
    shown = [effect for effect in found if call.reads and effect.answer and effect.answer[0][1]]
    errors = [effect.state for effect in found if effect.state is not None]
    worst = changed or (shown[0] if shown else next(iter(found), Effect()))
    signature = call.function.signature
    row = _row(names, signature)
    row.update(
        relation=signature,
        operation="EXECUTE",
        statement=call.statement,
        expected=f"no row of {other.name} changes or comes back",
        denominator=worst.rows,
        sqlstate=errors[0] if errors and not (changed or shown) else None,
    )
    if changed or shown:
        what = "changed" if changed else "came back"
        row.update(
            observed=f"rows of {other.name} {what}",
            verdict="open",
            rule="write.definer_call",
            sentence=f"{role} as {mine.name} called {signature}, and rows of {other.name} {what}.",
            repair=doors.invoker(call.function),
        )
        return row
    verdict, observed = "isolated", f"no row of {other.name} changed or came back"
    if call.why_not is not None:
        verdict, observed = "inconclusive", f"not called: {call.why_not}"
    elif odd := next((state for state in errors if not refuses(state)), None):
        verdict, observed = "inconclusive", f"error {odd}"
    elif not same:
        verdict, observed = "inconclusive", f"it answers keys of {other.name} differently from keys that nobody has"
    elif not worst.rows and len(errors) < len(found):
        verdict, observed = "inconclusive", f"{other.name} has no row that could change or come back"
    elif errors:
        observed = f"refused with {errors[0]}"
    row.update(verdict=verdict, observed=observed)
    return row


def _row(names: Names, what: str) -> dict[str, Any]:
    database, role, mine, _ = names
    return {
        "database": database,
        "resource": f"{database}/write:{role}/{mine.name}/{what}",
        "level": "write",
        "role": role,
        "context": mine.name,
        "context_kind": "tenant",
        "sqlstate": None,
        "own_rows": None,
        "foreign_rows": None,
        "rule": None,
        "sentence": None,
        "policies": [],
        "repair": None,
        "references_accepted": None,
    }
