"""Documents that people must supply, as an ordinary test over `document.attestation`.

A control file lists them under `evidence`; there is no second kind of control for them. The test is made of the
same SQL that an author would write, so that it is guarded, shown and re-performed like every other.
"""

from __future__ import annotations

from collections.abc import Sequence

from compliancectl.model.control import Check, DocumentNeed, Example, Test

TABLE = "document.attestation"

# A planned document does not count as supplied, nor does one that is dated after the instant of judgement.
_POPULATION = """\
with need(kind, subject, owner, max_age_days) as (
  values
    {needs}
),
supplied as (
  select a.kind, a.subject, a.issued, a.expires
  from document.attestation as a
  where a.issued <= $as_of and (a.status is null or a.status <> 'planned')
)
select
  n.kind || ': ' || n.subject as resource,
  n.kind,
  n.subject,
  n.owner,
  n.max_age_days,
  count(s.issued) as documents,
  max(s.issued) as latest,
  count(s.issued) filter (
    where s.issued + n.max_age_days * interval '1' day >= $as_of and (s.expires is null or s.expires > $as_of)
  ) as current_documents
from need as n
left join supplied as s on s.kind = n.kind and s.subject = n.subject
group by n.kind, n.subject, n.owner, n.max_age_days
"""


def documents_test(needs: Sequence[DocumentNeed]) -> Test:
    """The test `documents` of a control: each document supplied, and none too old."""
    rows = ",\n    ".join(
        f"({_text(need.kind)}, {_text(need.subject)}, {_text(need.owner)}, {need.max_age_days})" for need in needs
    )
    line = needs[0].line
    checks = (
        Check(
            name="supplied",
            expect="documents > 0",
            finding="No {kind} for {subject} has been supplied; {owner} answers for it.",
            line=line,
            expect_line=line,
        ),
        Check(
            name="current",
            expect="current_documents > 0",
            finding="No {kind} for {subject} is current: at most {max_age_days} days old and not expired; latest: {latest}.",
            line=line,
            expect_line=line,
        ),
    )
    population = _POPULATION.format(needs=rows)
    return Test(
        id="documents",
        population=population,
        checks=checks,
        optional_fields=(f"{TABLE}.expires", f"{TABLE}.status"),
        examples=_examples(needs),
        line=line,
        population_line=line,
        implicit=True,
    )


def _examples(needs: Sequence[DocumentNeed]) -> tuple[Example, ...]:
    """The last document supplied, beside what does not count, and no other; and none at all.

    Other engines are held against them, as against the examples that an author writes.
    """
    last = needs[-1]
    about = {"kind": last.kind, "subject": last.subject, "owner": last.owner}
    current = {"issued": "2026-01-01T00:00:00Z", "expires": "2027-01-01T00:00:00Z", "status": "performed"}
    others = (
        {"issued": "2026-01-01T00:00:00Z", "status": "planned"},
        {"issued": "2026-01-01T00:00:00Z", "expires": "2026-01-01T12:00:00Z"},
        {"issued": "2012-01-01T00:00:00Z", "status": "performed"},
        {"issued": "2026-01-02T00:00:00Z"},
    )
    names = [f"{need.kind}: {need.subject}" for need in needs]
    none = dict.fromkeys(names, "fail")
    made = (((current, *others), {**none, names[-1]: "pass"}), (others[:1], none))
    return tuple(
        Example(
            given={TABLE: tuple({**about, **row} for row in rows)},
            then=then,
            as_of="2026-01-01T12:00:00Z",
            line=last.line,
        )
        for rows, then in made
    )


def _text(value: str) -> str:
    return "'" + value.replace("'", "''").replace("\n", " ") + "'"
