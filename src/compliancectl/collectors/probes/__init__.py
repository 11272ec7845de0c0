"""Probes: what anybody on the internet sees of public hostnames, without credentials.

TLS versions and certificates, redirects and headers, DNS, security.txt, public pages, and whether what stands behind
the edge refuses whoever comes past it. Where the scope declares canaries, also how the product answers accounts that were
made for this. Nothing is sent but DNS queries, TLS handshakes and GET requests.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from compliancectl.collectors.base import Collector, Context
from compliancectl.collectors.probes import canaries, dns_feeds, origins, pages, routes, statements, tls, web
from compliancectl.collectors.probes.config import ProbesConfig
from compliancectl.collectors.probes.session import ProbesSession


class ProbesCollector(Collector[ProbesConfig, ProbesSession]):
    """The collector called `probes`."""

    name = "probes"
    system = "Public edge"
    config = ProbesConfig
    feeds = (
        *canaries.FEEDS,
        *dns_feeds.FEEDS,
        *origins.FEEDS,
        *pages.FEEDS,
        *routes.FEEDS,
        *statements.FEEDS,
        *tls.FEEDS,
        *web.FEEDS,
    )
    workers = 8

    @contextmanager
    def open(self, config: ProbesConfig, context: Context) -> Iterator[ProbesSession]:
        """Open a session; nothing is sent yet."""
        yield ProbesSession(config, context)

    def permissions(self) -> str:
        """What the machine needs."""
        return _PERMISSIONS


_PERMISSIONS = """\
# Public edge

No credentials, unless the scope declares canaries. The machine that runs the collector needs to reach, as any visitor does:

- a DNS server, over UDP and TCP port 53 (the system's, or `resolver` in the scope)
- ports 80 and 443 of the hostnames, the pages and the origins

Run it from outside your own network: from inside, an origin may answer that refuses everybody else. To ask whether TLS
1.0 and 1.1 are refused, its TLS library must be able to offer them; `compliancectl doctor` says whether it can.

Probe only hostnames, pages and addresses of your own.

A canary is a GET request to your product with an account that was made for it: give it the least role, an organisation of its
own, and content that is made up. Its credential stands in an environment variable, as the value of the header (`Bearer …`); it
never enters the evidence, nor do the answers' bodies. Routes of an API are asked for without credentials, and only with GET.
"""


collector = ProbesCollector()
