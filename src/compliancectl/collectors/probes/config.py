"""The `probes` section of the scope file."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, field_validator, model_validator

from compliancectl.model.base import Model

Hostname = Annotated[
    str,
    StringConstraints(
        max_length=253, pattern=r"^([a-z0-9_]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"
    ),
]
"""A name in DNS, in lower case; other alphabets as `xn--…`."""
HostPort = Annotated[str, StringConstraints(pattern=r"^\[?[A-Za-z0-9.:_-]+\]?:[0-9]{1,5}$")]


class Origin(Model):
    """A place behind the edge that must not answer anybody who comes past the edge."""

    url: str
    """Where it is reached directly: `https://app-abc-ew.a.run.app/`, `https://198.51.100.7/`."""
    host: Hostname
    """The public hostname that it serves; the request asks for that name."""

    @field_validator("url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        return web_url(value)


class Page(Model):
    """A public page."""

    url: str
    purpose: str = Field(min_length=1)
    """What it is: `privacy-notice`, `security`, `contact`, `help`, `status`, `application`, `marketing`."""

    @field_validator("url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        return web_url(value)


class Statements(Model):
    """A public page with promises, and the register of claims that it is held against."""

    url: str
    register_file: str = Field(alias="register", min_length=1)
    """File of claims, relative to the scope file."""
    page: str = Field(min_length=1)
    """Id of the page in the register."""

    @field_validator("url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        return web_url(value)


Variable = Annotated[str, StringConstraints(max_length=100, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
"""Name of an environment variable."""
Purpose = Literal[
    "role",
    "anonymous",
    "expired-session",
    "expired-token",
    "burst",
    "sign-in",
    "organization-link",
    "foreign-link",
    "open-link",
    "redacted-view",
    "revoked-link",
    "erased-collection",
]
"""What a canary shows; each belongs to the test of one control."""


class Proof(Model):
    """What must be let in, so that a refusal beside it means something."""

    url: str
    credential: Variable | None = None
    """Whose; absent: the canary's own."""

    @field_validator("url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        return secure_url(value)


class Canary(Model):
    """One GET request to the product, for which an account and content were made that hold nothing of anybody."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    purpose: Purpose
    url: str
    credential: Variable | None = None
    """Environment variable with the value of the header, e.g. `Bearer …`; absent: nobody asks."""
    header: Literal["Authorization", "Cookie"] = "Authorization"
    proof: Proof | None = None
    marker: str | None = Field(default=None, min_length=3)
    """Text that shows that the content is there."""
    planted: tuple[Annotated[str, StringConstraints(min_length=3)], ...] = ()
    """Made-up personal values in the content, none of which may be seen."""
    requests: int = Field(default=1, ge=1, le=500)
    """Most requests that are sent, one after the other, until one is turned away (`burst`)."""

    @field_validator("url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        return secure_url(value)

    @model_validator(mode="after")
    def _fits_its_purpose(self) -> Canary:
        needs = {
            "role": ("credential", "proof"),
            "expired-session": ("credential",),
            "expired-token": ("credential",),
            "organization-link": ("proof",),
            "foreign-link": ("credential", "proof"),
            "redacted-view": ("marker", "planted"),
            "revoked-link": ("proof",),
            "erased-collection": ("proof",),
        }.get(self.purpose, ())
        for key in needs:
            if not getattr(self, key):
                raise ValueError(f"a canary for {self.purpose} needs {key}")
        if self.purpose in ("anonymous", "organization-link", "open-link") and self.credential:
            raise ValueError(f"nobody in particular asks for {self.purpose}: leave credential out")
        if (self.requests > 1) != (self.purpose == "burst"):
            raise ValueError("requests: more than one for burst, and for nothing else")
        return self


class Api(Model):
    """An API with its description; each route that GET reads is asked for without credentials."""

    openapi: str = Field(min_length=1)
    """OpenAPI 3 file, YAML or JSON, relative to the scope file."""
    url: str
    """What the paths of the file are appended to."""

    @field_validator("url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        return secure_url(value)


class ProbesConfig(Model):
    """Public names and addresses that are looked at from outside; without credentials, but for canaries."""

    hostnames: tuple[Hostname, ...] = ()
    """Public hostnames: TLS versions, certificate, redirect, headers and DNS of each."""
    origins: tuple[Origin, ...] = ()
    """Direct addresses of what stands behind the edge; they must refuse."""
    mail_domains: tuple[Hostname, ...] = ()
    """Domains of published mailboxes: MX, SPF and DMARC of each."""
    security_txt: tuple[Hostname, ...] = ()
    """Hosts that publish /.well-known/security.txt."""
    pages: tuple[Page, ...] = ()
    """Public pages that must be there."""
    statements: tuple[Statements, ...] = ()
    """Public pages that are held against a register of claims, sentence by sentence."""
    canaries: tuple[Canary, ...] = ()
    """Requests with accounts and content that were made for it."""
    apis: tuple[Api, ...] = ()
    """APIs whose routes are asked for without credentials."""
    edge_networks: tuple[str, ...] = ()
    """Networks of the edge provider, as it publishes them: `173.245.48.0/20`. Hostnames must lie in them."""
    resolver: HostPort | None = None
    """DNS server to ask, `address:port`; absent: the system's."""
    ca_file: str | None = None
    """File of trusted roots, relative to the scope file; absent: the system's."""
    connect_to: dict[HostPort, HostPort] = {}
    """`host:port` → `address:port` to connect to instead of what DNS says, for edges that are reached from inside only."""
    timeout_s: float = Field(default=10.0, gt=0, le=60)
    """How long one connection may take, in seconds."""

    @field_validator("edge_networks")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            ipaddress.ip_network(text)
        return value

    @model_validator(mode="after")
    def _names_something(self) -> ProbesConfig:
        places = (self.hostnames, self.origins, self.mail_domains, self.security_txt, self.pages, self.statements)
        if not any((*places, self.canaries, self.apis)):
            raise ValueError("name hostnames, origins, mail_domains, security_txt, pages, statements, canaries or apis")
        names = [canary.name for canary in self.canaries]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two canaries are called {twice[0]}")
        return self


def web_url(value: str) -> str:
    """A URL that can be fetched.

    Raises:
        ValueError: if it is not one.
    """
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise ValueError(f"{value!r} is not an http:// or https:// URL without credentials")
    return value


def secure_url(value: str) -> str:
    """A URL that credentials may be sent to.

    Raises:
        ValueError: if it is not one.
    """
    if urlsplit(web_url(value)).scheme != "https":
        raise ValueError(f"{value!r} is not an https:// URL")
    return value
