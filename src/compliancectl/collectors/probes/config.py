"""The `probes` section of the scope file."""

from __future__ import annotations

import ipaddress
from typing import Annotated
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


class ProbesConfig(Model):
    """Public names and addresses that are looked at from outside, without credentials."""

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
        if not (self.hostnames or self.origins or self.mail_domains or self.security_txt or self.pages):
            raise ValueError("name hostnames, origins, mail_domains, security_txt or pages")
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
