"""The company's public edge in a box: one TLS server per hostname and origin, plain HTTP beside it, and a name server.

The servers really take the TLS versions that the definition gives them, and refuse the others with an alert.
"""

from __future__ import annotations

import ssl
import warnings
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compliancectl import clock
from compliancectl.sandbox.edge.nameserver import NameServer
from compliancectl.sandbox.google.tls import Authority
from compliancectl.sandbox.web import Request, Response, WebServer
from compliancectl.sandbox.yamlfile import write_yaml

if TYPE_CHECKING:
    from compliancectl.sandbox.company import Company

_PRODUCT = "https://app.larkspur.example"
_VERSIONS = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}


@dataclass
class Part:
    """The running edge."""

    scope: dict[str, Any]
    names: NameServer
    servers: dict[str, WebServer]
    """`https://HOST`, `http://HOST` and `origin NAME` → server."""
    env: dict[str, str] = field(default_factory=dict)
    web: WebServer | None = None

    def stop(self) -> None:
        """Stop all servers."""
        for server in self.servers.values():
            server.stop()
        self.names.stop()


def start(company: Company, folder: Path) -> Part:
    """Start the edge of a company; keys and the roots go into `folder`."""
    facts = company.sections["edge"]
    authority, stranger = Authority(), Authority()
    (folder / "ca.pem").write_bytes(authority.certificate_pem)
    servers: dict[str, WebServer] = {}
    for host, said in facts["hosts"].items():
        own = authority if said["certificate"]["trusted"] else stranger
        context = _context(own, folder, host, said["tls"], said["certificate"])
        servers[f"https://{host}"] = WebServer(_Site(facts, said), tls=context).start()
        if said["plain"]:
            servers[f"http://{host}"] = WebServer(_Plain(host, said["plain"])).start()
    for name, said in facts["origins"].items():
        context = _context(stranger, folder, _origin(name), ["1.2", "1.3"], {})
        servers[f"origin {name}"] = WebServer(_Origin(said["status"]), tls=context).start()
    names = NameServer(facts["dns"])
    write_yaml(folder / "openapi.yaml", facts["api_description"])
    write_yaml(folder / "claims.yaml", facts["register"])
    env = {_variable(name): sent for name, sent in facts["accounts"].items()}
    return Part(_scope(facts, servers, names), names, servers, env)


def _context(authority: Authority, folder: Path, host: str, span: list[str], said: dict[str, Any]) -> ssl.SSLContext:
    expires = clock.parse(said["expires"]) if "expires" in said else None
    key, certificate = authority.server(folder, host, (), tuple(said.get("names", [host])), expires=expires)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old versions are here to be found
        context.minimum_version, context.maximum_version = (_VERSIONS[version] for version in span)
    if span[0] < "1.2":
        context.set_ciphers("ALL:@SECLEVEL=0")
    return context


@dataclass
class _Site:
    """A hostname over HTTPS."""

    facts: dict[str, Any]
    said: dict[str, Any]
    asked: Counter[str] = field(default_factory=Counter)
    """How often each route with a limit was asked for."""

    def __call__(self, request: Request) -> Response:
        for route in self.said.get("routes", {}).values():
            if route["path"] == request.path:
                return self._product(route, request)
        page = next((page for page in self.said["pages"].values() if page["path"] == request.path), None)
        headers = {name: value for name, value in self.said["headers"].items() if value is not None}
        if page is None:
            return Response(404, b"nothing here\n", {"Content-Type": "text/plain", **headers})
        text = self.facts["files"][page["file"]]
        text = text.replace("{security_txt_expires}", self.facts["security_txt_expires"])
        text = text.replace("{privacy_updated}", _day(clock.parse(self.facts["privacy_updated"])))
        kind = page.get("type", "text/html; charset=utf-8")
        return Response(page.get("status", 200), text.encode(), {"Content-Type": kind, **headers})

    def _product(self, route: dict[str, Any], request: Request) -> Response:
        """What stands behind a login: answers by who asks, and 401 for everybody else."""
        sent = request.headers.get("authorization")
        who = next((name for name, value in self.facts["accounts"].items() if value == sent), "nobody")
        headers = {"Content-Type": "text/html; charset=utf-8"}
        said = route["answers"].get(who)
        if said is None:
            return Response(401, b"", {**headers, "WWW-Authenticate": "Bearer"})
        limit = route.get("limit")
        if limit:
            self.asked[route["path"]] += 1
            if self.asked[route["path"]] > limit["after"]:
                return Response(429, b"", {**headers, **limit["headers"]})
        return Response(said["status"], said.get("body", "").encode(), {**headers, **said.get("headers", {})})


@dataclass
class _Plain:
    """A hostname over plain HTTP."""

    host: str
    said: dict[str, Any]

    def __call__(self, request: Request) -> Response:
        if self.said["status"] >= 400 or self.said["status"] < 300:
            return Response(self.said["status"], b"plain\n", {"Content-Type": "text/plain"})
        return Response(self.said["status"], b"", {"Location": f"https://{self.host}{request.path}"})


@dataclass
class _Origin:
    """What stands behind the edge."""

    status: int

    def __call__(self, request: Request) -> Response:
        return Response(self.status, b"", {"Content-Type": "text/plain"})


def _origin(name: str) -> str:
    """The name under which an origin is reached directly."""
    return f"{name}-4f2kq.a.run.example"


def _day(instant: datetime) -> str:
    return f"{instant:%B} {instant.day}, {instant.year}"


def _promises(said: dict[str, Any]) -> dict[str, Any]:
    """The page with promises as the scope file declares it."""
    return {"url": f"https://{said['host']}{said['path']}", "register": "edge/claims.yaml", "page": said["page"]}


def _canary(said: dict[str, Any]) -> dict[str, Any]:
    """A canary of the definition as the scope file declares it."""
    declared = {key: value for key, value in said.items() if key not in ("path", "as", "proof")}
    declared |= _asked(said)
    if "proof" in said:
        declared["proof"] = _asked(said["proof"])
    return declared


def _asked(said: dict[str, Any]) -> dict[str, Any]:
    credential = {"credential": _variable(said["as"])} if "as" in said else {}
    return {"url": f"{_PRODUCT}{said['path']}", **credential}


def _variable(account: str) -> str:
    """The environment variable that holds what an account sends."""
    return f"LARKSPUR_CANARY_{account.upper()}"


def _scope(facts: dict[str, Any], servers: dict[str, WebServer], names: NameServer) -> dict[str, Any]:
    connect = {}
    for name, server in servers.items():
        scheme, _, host = name.partition("://")
        if host:
            connect[f"{host}:{443 if scheme == 'https' else 80}"] = f"{server.host}:{server.port}"
    for name in facts["origins"]:
        server = servers[f"origin {name}"]
        connect[f"{_origin(name)}:443"] = f"{server.host}:{server.port}"
    for host, said in facts["hosts"].items():
        if not said["plain"]:
            connect[f"{host}:80"] = "127.0.0.1:1"  # where nobody listens
    return {
        "hostnames": sorted(facts["hosts"]),
        "origins": [
            {"url": f"https://{_origin(name)}/", "host": said["host"]} for name, said in facts["origins"].items()
        ],
        "mail_domains": facts["mail_domains"],
        "security_txt": facts["security_txt"],
        "pages": [{"url": f"https://{p['host']}{p['path']}", "purpose": p["purpose"]} for p in facts["pages"]],
        "statements": [_promises(facts["promises"])],
        "canaries": [_canary(said) for said in facts["canaries"]],
        "apis": [{"openapi": "edge/openapi.yaml", "url": _PRODUCT}],
        "edge_networks": facts["edge_networks"],
        "resolver": names.address,
        "ca_file": "edge/ca.pem",
        "connect_to": connect,
    }
