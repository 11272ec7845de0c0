"""Google Cloud in a box: REST APIs, OAuth, Cloud Logging over gRPC, and Cloud SQL's proxy, all on loopback."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compliancectl.sandbox.company import Company
from compliancectl.sandbox.google.analysis import Analysis
from compliancectl.sandbox.google.cloud import Cloud
from compliancectl.sandbox.google.contacts import Contacts
from compliancectl.sandbox.google.history import History
from compliancectl.sandbox.google.inventory import Inventory
from compliancectl.sandbox.google.linked import LinkedDatasets
from compliancectl.sandbox.google.logserver import LogServer
from compliancectl.sandbox.google.measures import Measures
from compliancectl.sandbox.google.network import Networks
from compliancectl.sandbox.google.perimeters import Perimeters
from compliancectl.sandbox.google.profiles import Profiles
from compliancectl.sandbox.google.proxy import Backend, SqlProxy
from compliancectl.sandbox.google.resources import Resources
from compliancectl.sandbox.google.security import Security
from compliancectl.sandbox.google.server import GoogleServer
from compliancectl.sandbox.google.sql import CloudSql
from compliancectl.sandbox.google.state import State
from compliancectl.sandbox.google.supply import Supply
from compliancectl.sandbox.google.tls import Authority
from compliancectl.sandbox.google.tokens import TokenService
from compliancectl.sandbox.web import WebServer


@dataclass
class Part:
    """The running sandbox of Google Cloud."""

    env: dict[str, str]
    """Ordinary credential variables."""
    scope: dict[str, Any]
    """The `gcp` section of the scope file."""
    web: WebServer
    server: GoogleServer
    state: State
    tokens: TokenService
    logs: LogServer
    linked: LinkedDatasets
    proxy: SqlProxy
    sqladmin_endpoint: str
    """What the Cloud SQL connector takes as `sqladmin_api_endpoint`."""

    def connect_database(self, backend: Backend) -> None:
        """Let Cloud SQL's proxy forward to a PostgreSQL: the path of its socket, or host and port."""
        self.proxy.backend = backend

    def move(self, company: Company) -> None:
        """Hold what the company has at another moment.

        Cloud Logging's and Cloud SQL's certificates were made when the servers started, and are good for a day.
        """
        self.state.move(company)
        self.web.log.clear()
        self.logs.log.clear()

    def stop(self) -> None:
        """Stop all servers."""
        self.logs.stop()
        self.proxy.stop()
        self.web.stop()


def start(company: Company, folder: Path, database_socket: Backend | None = None) -> Part:
    """Start Google Cloud for a company.

    Args:
        company: what the cloud holds.
        folder: an empty folder for keys and certificates.
        database_socket: the PostgreSQL that stands for Cloud SQL, if there is one already.
    """
    state = State(company)
    authority = Authority()
    token_service = TokenService(state.data["service_account"], next(iter(state.projects)))
    sql = CloudSql(state, authority)
    cloud = Cloud(state)
    resources = Resources(state)
    inventory = Inventory(state, sql, cloud, resources)
    linked = LinkedDatasets(state)
    small = (
        linked,
        Analysis(state),
        History(state, inventory),
        Networks(state),
        Supply(state),
        Contacts(state),
        Measures(state),
        Perimeters(state),
        Profiles(state),
        Security(state),
    )
    parts = (sql, cloud, resources, inventory, *small)
    answers = {name: answer for part in parts for name, answer in part.answers.items()}
    server = GoogleServer(state, token_service, answers)
    server.web.start()
    logs = LogServer(state, token_service, server.web, authority, folder)
    proxy = SqlProxy(authority, folder, database_socket)
    sql.proxy_address = proxy.address
    key = token_service.write_key(folder / "service-account.json", server.web.url)
    roots = folder / "ca.pem"
    roots.write_bytes(authority.certificate_pem)
    return Part(
        env={
            "GOOGLE_APPLICATION_CREDENTIALS": str(key),
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(roots),
            "NO_GCE_CHECK": "true",
        },
        scope=_scope(company, state, server.web.url, logs.url),
        web=server.web,
        server=server,
        state=state,
        tokens=token_service,
        logs=logs,
        linked=linked,
        proxy=proxy,
        sqladmin_endpoint=f"{server.web.url}/sqladmin.googleapis.com",
    )


def _scope(company: Company, state: State, url: str, logs_url: str) -> dict[str, Any]:
    from compliancectl.collectors.gcp.services import SERVICES

    endpoints = {name: f"{url}/{service.host}" for name, service in sorted(SERVICES.items())} | {"logging": logs_url}
    named = {} if company.projects else {"projects": sorted(state.projects, reverse=True)}
    return {
        **named,
        "organization": state.data["organization"],
        "data_profiles": ["europe-west3"],
        "staff_domains": [company.sections["company"]["domain"]],
        "endpoints": endpoints,
    }
