"""What the scope says of the application: its tables and columns, its counts, who left, which columns are personal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Literal

from pydantic import Field, model_validator

from compliancectl.model.base import Model

_FUNCTION = r"^[^.]+\.[^.]+$"


class Thing(Model):
    """One table of the application that controls speak of; every other field names one of its columns."""

    table: str
    """`schema.table`."""


class ApiTokens(Thing):
    """Tokens with which programs call the API."""

    owner: str
    """Column with the user or the role that the token acts for."""
    hash: str
    """Column with the digest of the token."""
    expires: str
    """Column with its end."""


class Credits(Thing):
    """What each organisation may still spend on expensive operations."""

    balance: str


class Identities(Thing):
    """Ways in which people log in."""

    provider: str


class Passwords(Thing):
    """Where the hashes of passwords are."""

    hash: str


class ShareLinks(Thing):
    """Links by which somebody shares something."""

    token: str
    visibility: str
    redaction: str
    """Boolean column: whether personal data is hidden in what is shared."""
    creator: str
    """Column with the user who made the link."""
    external: str = "external"
    """Value of `visibility` with which anybody who has the link may look."""
    expires: str | None = None
    """Column with its end; a link past it is not counted."""


class Collections(Thing):
    """Collections that are erased at once."""

    deleted: str | None = None
    """Column that marks a collection as deleted, if there is one: then what stays marked is counted."""
    lag_minutes: int = Field(default=15, gt=0)
    """How long a marked one may wait for its erasure."""


class Tenants(Thing):
    """The table of the organisations."""

    external_sharing: str
    """Boolean column: whether people of the organisation may share outside it."""


class SchemaMap(Model):
    """Thing → its table and columns. What the application does not have is left out."""

    api_tokens: ApiTokens | None = None
    credits: Credits | None = None
    identities: Identities | None = None
    passwords: Passwords | None = None
    share_links: ShareLinks | None = None
    collections: Collections | None = None
    tenants: Tenants | None = None
    education_records: tuple[str, ...] = ()
    """`schema.table` of each table that holds education records."""

    def things(self) -> Iterator[tuple[str, Thing]]:
        """Every declared thing, in the order of the model."""
        for name in type(self).model_fields:
            thing = getattr(self, name)
            if isinstance(thing, Thing):
                yield name, thing

    def rows(self) -> Iterator[tuple[str, str, str, str]]:
        """Thing, role, table, column (empty: the table itself), sorted."""
        for name, thing in self.things():
            yield name, "table", thing.table, ""
            for role, column in columns_of(thing).items():
                yield name, role, thing.table, column
        for table in self.education_records:
            yield "education_records", "table", table, ""

    @property
    def tables(self) -> tuple[str, ...]:
        """Every table it names, sorted."""
        return tuple(sorted({table for _, _, table, _ in self.rows()}))


_NOT_COLUMNS = frozenset({"table", "external", "lag_minutes"})


def columns_of(thing: Thing) -> dict[str, str]:
    """Role → column, those alone that are declared."""
    return {
        role: value
        for role in sorted(set(type(thing).model_fields) - _NOT_COLUMNS)
        if (value := getattr(thing, role)) is not None
    }


class Aggregates(Model):
    """Kind of count → function without parameters, `schema.name`, that returns rows of class and number."""

    password_hashes: str | None = Field(default=None, pattern=_FUNCTION)
    """Classes: `argon2id`, `bcrypt`, `scrypt`, `pbkdf2`, `none` (no password), `other`."""
    identity_providers: str | None = Field(default=None, pattern=_FUNCTION)
    """Classes: the providers."""
    share_links: str | None = Field(default=None, pattern=_FUNCTION)
    """Classes: `external redacted`, `external unredacted`, `external forbidden`, `internal`."""
    collections: str | None = Field(default=None, pattern=_FUNCTION)
    """Classes: `kept`, `marked`, `overdue`."""

    def functions(self) -> dict[str, str]:
        """Kind → function, those alone that are declared, sorted."""
        return {k: v for k in sorted(type(self).model_fields) if (v := getattr(self, k)) is not None}


class DepartedTenants(Model):
    """Tenants whose service ended, and the function that counts what is left of one."""

    function: str = Field(pattern=_FUNCTION)
    """`schema.name`; takes a tenant's key as text, returns rows of `relation` (`schema.table`), `rows` of the tenant and `total` of all."""
    ended: dict[str, date] = Field(default_factory=dict)
    """Tenant key → last day of its service."""


class PersonalColumn(Model):
    """One entry of the inventory of personal data."""

    kind: str = Field(min_length=1)
    """Class of data: `contact`, `name`, `birth`, `location` …; `none`: somebody looked, and it is not personal."""
    purpose: str = Field(min_length=1)
    """What it is kept for; for `none` why it is not personal."""
    retention: str | None = None
    """How long it is kept, in words."""
    technique: Literal["plain", "hash", "encrypt", "mask"] = "plain"
    """How it is protected beyond access control."""

    @model_validator(mode="after")
    def _kept_for(self) -> PersonalColumn:
        if self.kind != "none" and not self.retention:
            raise ValueError("say under retention how long it is kept")
        return self


class Sampling(Model):
    """Permission to look at values: as the application's role, in the declared contexts, in memory only."""

    rows: int = Field(default=100, gt=0, le=10_000)
    """At most so many rows of each table and context."""
    countries: tuple[str, ...] = ()
    """Two-letter codes of the countries whose personal numbers are looked for."""
