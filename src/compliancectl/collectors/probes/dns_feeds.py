"""DNS of public hostnames, and of the domains that mail is sent to."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from compliancectl import clock
from compliancectl.collectors.base import Feed, Fetched, Reply, Row, Target
from compliancectl.collectors.probes import kept, names
from compliancectl.collectors.probes.session import ProbesSession, Record
from compliancectl.collectors.probes.tls import targets
from compliancectl.model.table import INT, TEXT, Column, ListOf, Table

HOST = Table(
    "probes.dns_host",
    "One row per public hostname: its addresses in DNS.",
    (
        Column("resource", TEXT, "`https://HOST`.", "scope", required=True),
        Column("hostname", TEXT, "The hostname.", "scope: hostnames", required=True),
        Column("addresses", ListOf(TEXT), "Its addresses.", "DNS: A, AAAA", required=True),
        Column(
            "outside_edge",
            ListOf(TEXT),
            "Addresses in none of the edge's networks; NULL: the scope declares none.",
            "derived from scope: edge_networks",
        ),
        Column("caa", ListOf(TEXT), "Which authorities may make out certificates.", "DNS: CAA of the name itself"),
    ),
    key=("resource",),
)

MAIL = Table(
    "probes.mail_domain",
    "One row per domain of published mailboxes: where mail to it goes, and who may send in its name.",
    (
        Column("resource", TEXT, "`mailto:*@DOMAIN`.", "scope", required=True),
        Column("domain", TEXT, "The domain.", "scope: mail_domains", required=True),
        Column("exchangers", ListOf(TEXT), "Hosts that take its mail and have an address.", "DNS: MX, A, AAAA"),
        Column("lost", ListOf(TEXT), "Hosts that are to take its mail but have no address.", "DNS: MX, A, AAAA"),
        Column("spf_records", INT, "How many SPF records; more than one is an error.", "RFC 7208, 4.5"),
        Column("spf", TEXT, "The SPF record, when there is one.", "RFC 7208, 4.5"),
        Column("spf_rest", TEXT, "What becomes of everybody else: `-`, `~`, `?` or `+`.", "RFC 7208, 5.1: all"),
        Column("dmarc", TEXT, "The DMARC record, when there is one.", "RFC 7489, 6.6.3"),
        Column(
            "dmarc_policy", TEXT, "`none`, `quarantine` or `reject`; empty when there is no record.", "RFC 7489, 6.3: p"
        ),
    ),
    key=("resource",),
    drops=("rua, ruf of DMARC: mailboxes that reports go to",),
)
_NOWHERE = "."
"""A domain with this exchanger takes no mail (RFC 7505)."""


def fetch_host(session: ProbesSession, target: Target) -> Fetched:
    """A, AAAA and CAA of one hostname."""
    asked, record, resolver = clock.now(), Record([]), session.resolver()
    seen = {
        "hostname": target.name,
        "addresses": names.addresses(resolver, target.name),
        "caa": names.look_up(resolver, target.name, "CAA"),
        "edge_networks": list(session.config.edge_networks),
    }
    record.note("answered")
    yield kept.reply(seen, f"DNS {target.name} A, AAAA, CAA", asked, record)
    return kept.whole("every kind of record was answered, or DNS said that there is none")


def shape_host(reply: Reply) -> Iterator[Row]:
    """One row."""
    data = kept.seen(reply)
    networks = [ipaddress.ip_network(text) for text in data["edge_networks"]]
    outside = [a for a in data["addresses"] if not any(ipaddress.ip_address(a) in network for network in networks)]
    yield (
        HOST.name,
        {
            "resource": f"https://{data['hostname']}",
            "hostname": data["hostname"],
            "addresses": data["addresses"],
            "outside_edge": outside if networks else None,
            "caa": data["caa"],
        },
    )


def mail_targets(session: ProbesSession) -> Iterator[Target]:
    """One per domain."""
    for domain in session.config.mail_domains:
        yield Target(domain, f"mailto:*@{domain}")


def fetch_mail(session: ProbesSession, target: Target) -> Fetched:
    """MX with the addresses of each host, SPF and DMARC of one domain."""
    asked, record, resolver, domain = clock.now(), Record([]), session.resolver(), target.name
    exchangers = [text.split()[-1] for text in names.look_up(resolver, domain, "MX")]
    texts = [text for text in names.look_up(resolver, domain, "TXT") if _starts(text, "v=spf1")]
    policies = [text for text in names.look_up(resolver, f"_dmarc.{domain}", "TXT") if _starts(text, "v=dmarc1", ";")]
    seen = {
        "domain": domain,
        "mx": {host: names.addresses(resolver, host) for host in exchangers if host != _NOWHERE},
        "spf": texts,
        "dmarc": [_without_mailboxes(text) for text in policies],
    }
    record.note("answered")
    yield kept.reply(seen, f"DNS {domain} MX, TXT; _dmarc.{domain} TXT", asked, record)
    return kept.whole("every kind of record was answered, or DNS said that there is none")


def _starts(text: str, version: str, end: str = " ") -> bool:
    lower = text.strip().lower()
    return lower == version or lower.startswith((version + end, version + " "))


def _tags(record: str) -> list[tuple[str, str]]:
    parts = (part.partition("=") for part in record.split(";") if part.strip())
    return [(name.strip().lower(), value.strip()) for name, _, value in parts]


def _without_mailboxes(record: str) -> str:
    return "; ".join(f"{name}={'(redacted)' if name in ('rua', 'ruf') else value}" for name, value in _tags(record))


def shape_mail(reply: Reply) -> Iterator[Row]:
    """One row."""
    data = kept.seen(reply)
    spf = data["spf"][0] if len(data["spf"]) == 1 else None
    dmarc = data["dmarc"][0] if len(data["dmarc"]) == 1 else None
    row: dict[str, Any] = {
        "resource": f"mailto:*@{data['domain']}",
        "domain": data["domain"],
        "exchangers": sorted(host for host, found in data["mx"].items() if found),
        "lost": sorted(host for host, found in data["mx"].items() if not found),
        "spf_records": len(data["spf"]),
        "spf": spf,
        "spf_rest": spf_rest(spf),
        "dmarc": dmarc,
        "dmarc_policy": dict(reversed(_tags(dmarc))).get("p", "").lower() if dmarc else "",
    }
    yield MAIL.name, row


def spf_rest(record: str | None) -> str | None:
    """The qualifier of `all`; `?` when nothing is said of everybody else; NULL when another record decides, or none."""
    if record is None:
        return None
    for term in record.lower().split()[1:]:
        if term.lstrip("+-~?") == "all":
            return term[0] if term[0] in "+-~?" else "+"
        if term.startswith("redirect="):
            return None
    return "?"


FEEDS = (
    Feed("dns_hosts", "Addresses of public hostnames in DNS.", (HOST,), targets, fetch_host, shape_host),
    Feed("mail_domains", "Mail of domains: MX, SPF, DMARC.", (MAIL,), mail_targets, fetch_mail, shape_mail),
)
