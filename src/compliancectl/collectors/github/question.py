"""A question to GraphQL about one repository that can be put about many at once.

GraphQL answers about as many repositories as a document names. Each is a field of its own under an alias (`r0`, `r1`, …)
and all share one fragment, so that the selection is written once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

_ALIAS = re.compile(r"r\d+")


@dataclass(frozen=True)
class Question:
    """What is asked of one repository."""

    name: str
    """Name of the operation."""
    fields: str
    """The selection, in `kind`."""
    variables: tuple[tuple[str, str], ...] = ()
    """Name and type of each variable of the selection; their values are the same for all that are asked at once."""
    field: str = "repository"
    """The field of the query that is asked under each alias."""
    subject: str = "repository"
    """The variable that differs from alias to alias, a text."""
    arguments: str = "owner: $organization, name: $SUBJECT, followRenames: false"
    kind: str = "Repository"
    owner: bool = True
    """Whether the arguments speak of `$organization`."""
    size: int = 40
    """About how many it is asked at once; half as many if GitHub cannot finish that within its ten seconds."""

    @property
    def one(self) -> str:
        """The document that asks about one."""
        arguments = self.arguments.replace("SUBJECT", self.subject)
        return (
            f"query {self.name}({self._head([self.subject])}) {{\n  {self.field}({arguments}) {{ {self.fields} }}\n}}\n"
        )

    def many(self, count: int) -> str:
        """The document that asks about `count` at once."""
        return _many(self, count)

    def _head(self, subjects: list[str]) -> str:
        declared = [("organization", "String!")] if self.owner else []
        declared += [*((name, "String!") for name in subjects), *self.variables]
        return ", ".join(f"${name}: {kind}" for name, kind in declared)

    def filled(self, subjects: list[str], shared: Mapping[str, object]) -> dict[str, object]:
        """The variables of `many`."""
        return {**shared, **{f"s{place}": subject for place, subject in enumerate(subjects)}}


@cache
def _many(question: Question, count: int) -> str:
    lines = [
        f"  r{place}: {question.field}({question.arguments.replace('SUBJECT', f's{place}')}) {{ ...Part }}"
        for place in range(count)
    ]
    head = question._head([f"s{place}" for place in range(count)])
    body = "\n".join(lines)
    fragment = f"fragment Part on {question.kind} {{ {question.fields} }}"
    return f"query {question.name}({head}) {{\n{body}\n}}\n{fragment}\n"


def is_alias(name: object) -> bool:
    """True for the name under which one of many is asked."""
    return isinstance(name, str) and _ALIAS.fullmatch(name) is not None
