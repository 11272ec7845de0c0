"""Load balancers: what listens, which TLS it speaks, what stands before the backends. Compute Engine API v1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from compliancectl.collectors.base import Row
from compliancectl.collectors.gcp.feed import Audited
from compliancectl.collectors.gcp.feeds.vpc import aggregated
from compliancectl.collectors.gcp.kinds import kinds_feed, link, percent
from compliancectl.collectors.gcp.redact import Drop
from compliancectl.collectors.gcp.session import GcpSession
from compliancectl.collectors.gcp.shaping import columns, describe, dig, project_column, resource_column, row
from compliancectl.model.table import BOOL, INT, TEXT, TIME, Column, ListOf, Table, struct

_f = describe("compute.v1#ForwardingRule")
_p = describe("compute.v1#TargetHttpsProxy")
_t = describe("compute.v1#SslPolicy")
_u = describe("compute.v1#UrlMap")
_b = describe("compute.v1#BackendService")
_w = describe("compute.v1#SecurityPolicy")
_c = describe("compute.v1#SslCertificate")
_PLACE = "//compute.googleapis.com/projects/P/PLACE"

RULE = Table(
    "gcp.forwarding_rule",
    "One row per forwarding rule: an address and ports that lead to a load balancer or endpoint.",
    columns(
        project_column(),
        resource_column(f"{_PLACE}/forwardingRules/R"),
        _f("name", TEXT, "name", "Name of the rule.", required=True),
        _f("scheme", TEXT, "loadBalancingScheme", "EXTERNAL, EXTERNAL_MANAGED: from the internet; INTERNAL …: not."),
        _f("port_range", TEXT, "portRange", "Ports it listens on, as `443-443`."),
        _f("ports", ListOf(TEXT), "ports", "Ports it listens on, one by one."),
        Column("target", TEXT, "Full resource name of the proxy it leads to.", "compute.v1#ForwardingRule:target"),
    ),
    key=("resource",),
    permissions=("compute.forwardingRules.list",),
    drops=("labels of names not listed in `label_names`: may name people",),
)

PROXY = Table(
    "gcp.target_proxy",
    "One row per HTTP or HTTPS proxy of a load balancer.",
    columns(
        project_column(),
        resource_column(f"{_PLACE}/targetHttpsProxies/T"),
        _p("name", TEXT, "name", "Name of the proxy.", required=True),
        Column("protocol", TEXT, "HTTP or HTTPS.", "derived: the kind of the proxy", required=True),
        Column("ssl_policy", TEXT, "Full resource name of its SSL policy.", "compute.v1#TargetHttpsProxy:sslPolicy"),
        Column("url_map", TEXT, "Full resource name of its URL map.", "compute.v1#TargetHttpsProxy:urlMap"),
    ),
    key=("resource",),
    permissions=("compute.targetHttpProxies.list", "compute.targetHttpsProxies.list"),
)

SSL_POLICY = Table(
    "gcp.ssl_policy",
    "One row per SSL policy: which TLS versions and features a proxy offers.",
    columns(
        project_column(),
        resource_column(f"{_PLACE}/sslPolicies/S"),
        _t("name", TEXT, "name", "Name of the policy.", required=True),
        _t("min_tls_version", TEXT, "minTlsVersion", "TLS_1_0, TLS_1_1, TLS_1_2 or TLS_1_3."),
        _t("profile", TEXT, "profile", "COMPATIBLE, MODERN, RESTRICTED, FIPS_202205 or CUSTOM."),
    ),
    key=("resource",),
    permissions=("compute.sslPolicies.list",),
)

URL_MAP = Table(
    "gcp.url_map",
    "One row per URL map: where a proxy sends requests.",
    columns(
        project_column(),
        resource_column(f"{_PLACE}/urlMaps/U"),
        _u("name", TEXT, "name", "Name of the map.", required=True),
        Column(
            "redirects_to_https",
            BOOL,
            "Every request is sent on to HTTPS and none is served: no backend, no host rule, no path.",
            "derived: compute.v1 UrlMap defaultUrlRedirect.httpsRedirect, defaultService, hostRules",
        ),
    ),
    key=("resource",),
    permissions=("compute.urlMaps.list",),
)

BACKEND = Table(
    "gcp.backend_service",
    "One row per backend service of a load balancer.",
    columns(
        project_column(),
        resource_column(f"{_PLACE}/backendServices/B"),
        _b("name", TEXT, "name", "Name of the service.", required=True),
        _b("scheme", TEXT, "loadBalancingScheme", "EXTERNAL, EXTERNAL_MANAGED: from the internet; INTERNAL …: not."),
        _b("protocol", TEXT, "protocol", "HTTP, HTTPS, HTTP2, TCP …: how the backend is spoken to."),
        Column(
            "security_policy", TEXT, "Full resource name of its policy.", "compute.v1#BackendService:securityPolicy"
        ),
        Column(
            "logging",
            BOOL,
            "Requests are recorded; false when nothing is set.",
            "derived: compute.v1 BackendService logConfig.enable",
        ),
        Column("log_sampling", INT, "Share of requests that is recorded, in percent.", "logConfig.sampleRate, x 100"),
    ),
    key=("resource",),
    permissions=("compute.backendServices.list",),
)

SECURITY_POLICY = Table(
    "gcp.security_policy",
    "One row per Cloud Armor policy.",
    columns(
        project_column(),
        resource_column(f"{_PLACE}/securityPolicies/S"),
        _w("name", TEXT, "name", "Name of the policy.", required=True),
        _w("type", TEXT, "type", "CLOUD_ARMOR, CLOUD_ARMOR_EDGE, CLOUD_ARMOR_NETWORK."),
        Column(
            "rules",
            ListOf(
                struct(
                    priority=INT,
                    action=TEXT,
                    preview=BOOL,
                    source_ranges=ListOf(TEXT),
                    expression=TEXT,
                    limit_count=INT,
                    limit_seconds=INT,
                    limit_key=TEXT,
                    exceed_action=TEXT,
                )
            ),
            "Rules by priority; the default rule has the priority 2147483647. A rule that limits (throttle, rate_based_ban) "
            "lets `limit_count` requests through in `limit_seconds` for each `limit_key`.",
            "compute.v1#SecurityPolicy:rules[]",
        ),
        _w(
            "adaptive_protection",
            BOOL,
            "adaptiveProtectionConfig.layer7DdosDefenseConfig.enable",
            "Attacks on the application are looked for.",
        ),
    ),
    key=("resource",),
    permissions=("compute.securityPolicies.list",),
    drops=("labels of names not listed in `label_names`: may name people",),
)

CERTIFICATE = Table(
    "gcp.ssl_certificate",
    "One row per certificate of a load balancer in Compute Engine.",
    columns(
        project_column(),
        resource_column(f"{_PLACE}/sslCertificates/C"),
        _c("name", TEXT, "name", "Name of the certificate.", required=True),
        _c("type", TEXT, "type", "MANAGED or SELF_MANAGED."),
        _c("managed_status", TEXT, "managed.status", "ACTIVE, PROVISIONING, RENEWAL_FAILED …; for managed ones."),
        _c("expires", TIME, "expireTime", "When it ends."),
    ),
    key=("resource",),
    permissions=("compute.sslCertificates.list",),
    drops=("privateKey: secret",),
)


def _base(record: Mapping[str, Any], project: str) -> dict[str, Any]:
    return {"project": project, "resource": link(record.get("selfLink"))}


def _rule(record: Mapping[str, Any], project: str) -> Iterator[Row]:
    given = {**_base(record, project), "target": link(record.get("target"))}
    yield "gcp.forwarding_rule", row(RULE, record, given)


def _proxy(record: Mapping[str, Any], project: str, protocol: str) -> Iterator[Row]:
    given = {
        **_base(record, project),
        "protocol": protocol,
        "ssl_policy": link(record.get("sslPolicy")),
        "url_map": link(record.get("urlMap")),
    }
    yield "gcp.target_proxy", row(PROXY, record, given)


def _ssl_policy(record: Mapping[str, Any], project: str) -> Iterator[Row]:
    yield "gcp.ssl_policy", row(SSL_POLICY, record, _base(record, project))


def _url_map(record: Mapping[str, Any], project: str) -> Iterator[Row]:
    serves = any(record.get(name) for name in ("defaultService", "hostRules", "pathMatchers"))
    redirects = dig(record, "defaultUrlRedirect.httpsRedirect") is True and not serves
    yield "gcp.url_map", row(URL_MAP, record, {**_base(record, project), "redirects_to_https": redirects})


def _backend(record: Mapping[str, Any], project: str) -> Iterator[Row]:
    given = {
        **_base(record, project),
        "security_policy": link(record.get("securityPolicy")),
        "logging": dig(record, "logConfig.enable") is True,
        "log_sampling": percent(dig(record, "logConfig.sampleRate")),
    }
    yield "gcp.backend_service", row(BACKEND, record, given)


def _security_policy(record: Mapping[str, Any], project: str) -> Iterator[Row]:
    rules = [
        {
            "priority": rule.get("priority"),
            "action": rule.get("action"),
            "preview": rule.get("preview", False),
            "source_ranges": dig(rule, "match.config.srcIpRanges"),
            "expression": dig(rule, "match.expr.expression"),
            "limit_count": dig(rule, "rateLimitOptions.rateLimitThreshold.count"),
            "limit_seconds": dig(rule, "rateLimitOptions.rateLimitThreshold.intervalSec"),
            "limit_key": dig(rule, "rateLimitOptions.enforceOnKey"),
            "exceed_action": dig(rule, "rateLimitOptions.exceedAction"),
        }
        for rule in sorted(record.get("rules", []), key=lambda rule: rule["priority"])
    ]
    yield "gcp.security_policy", row(SECURITY_POLICY, record, {**_base(record, project), "rules": rules})


def _certificate(record: Mapping[str, Any], project: str) -> Iterator[Row]:
    yield "gcp.ssl_certificate", row(CERTIFICATE, record, _base(record, project))


def _labels(session: GcpSession) -> tuple[Drop, ...]:
    return (Drop("labels", "label", session.labels), Drop("description", "free text"))


def _keys(session: GcpSession) -> tuple[Drop, ...]:
    return (Drop("privateKey", "secret"), Drop("certificate", "not needed"))


FEEDS = (
    kinds_feed(
        "load_balancers",
        "Load balancers: what listens, which TLS it speaks, and what stands before the backends.",
        (RULE, PROXY, SSL_POLICY, URL_MAP, BACKEND, SECURITY_POLICY, CERTIFICATE),
        (
            aggregated("forwardingRules", ".*ForwardingRule", "compute.forwardingRules.list", _rule, drops=_labels),
            aggregated(
                "targetHttpsProxies",
                ".*TargetHttpsProxy",
                "compute.targetHttpsProxies.list",
                lambda record, project: _proxy(record, project, "HTTPS"),
            ),
            aggregated(
                "targetHttpProxies",
                ".*TargetHttpProxy",
                "compute.targetHttpProxies.list",
                lambda record, project: _proxy(record, project, "HTTP"),
            ),
            aggregated("sslPolicies", ".*SslPolicy", "compute.sslPolicies.list", _ssl_policy),
            aggregated("urlMaps", ".*UrlMap", "compute.urlMaps.list", _url_map),
            aggregated("backendServices", ".*BackendService", "compute.backendServices.list", _backend),
            aggregated(
                "securityPolicies", ".*SecurityPolicy", "compute.securityPolicies.list", _security_policy, drops=_labels
            ),
            aggregated(
                "sslCertificates", ".*SslCertificate", "compute.sslCertificates.list", _certificate, drops=_keys
            ),
        ),
        Audited("compute", "v1.compute.forwardingRules.aggregatedList"),
    ),
)
