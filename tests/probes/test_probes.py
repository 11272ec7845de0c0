"""The probes against real servers on loopback that take or refuse each TLS version, fall silent, cut off, or say nonsense."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compliancectl import load, plugins, store
from compliancectl.cli import app
from compliancectl.collect import collect
from compliancectl.collectors.base import Reply
from compliancectl.collectors.probes import pages, tls
from compliancectl.model.evidence import EvidenceItem
from compliancectl.query.rows import read_rows
from compliancectl.sandbox import company as definition
from compliancectl.sandbox.run import Sandbox, running, write_scope

SPANS = {
    "1.0": ["1.0", "1.0"],
    "1.1": ["1.1", "1.1"],
    "1.2": ["1.2", "1.2"],
    "1.3": ["1.3", "1.3"],
    "all": ["1.0", "1.3"],
}


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The company's edge, with one more host for each span of versions."""
    company = definition.load()
    hosts = company.sections["edge"]["hosts"]
    for name, span in SPANS.items():
        hosts[f"tls-{name.replace('.', '-')}.larkspur.example"] = {**hosts["www.larkspur.example"], "tls": span}
    hosts["closed.larkspur.example"] = {**hosts["www.larkspur.example"], "plain": None}
    with running(company, tmp_path_factory.mktemp("edge") / "company", only=("probes",)) as sandbox:
        yield sandbox


def look(edge: Sandbox, folder: Path, *tables: str, **config: Any) -> dict[str, EvidenceItem]:
    """Collect tables from the edge with another scope; the items by feed and target."""
    part: Any = edge.parts["probes"]
    empty: dict[str, Any] = {
        key: []
        for key in ("hostnames", "origins", "mail_domains", "security_txt", "pages", "statements", "canaries", "apis")
    }
    write_scope(edge, sources={"probes": {**part.scope, **empty, "timeout_s": 0.4, **config}})
    collect(load.load_scope(edge.scope_file), {"probes": plugins.collector("probes")}, tables, folder / "run")
    return {f"{item.feed.partition('.')[2]}/{item.target}": item for item in store.read_items(folder / "run")}


def row(folder: Path, item: EvidenceItem, table: str) -> dict[str, Any]:
    (only,) = read_rows(folder / "run" / "evidence" / item.id / f"{table}.parquet")
    return only


@contextmanager
def listener(behave: Any) -> Iterator[str]:
    """A server that does one thing with each connection; its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        stopping = threading.Event()

        def serve() -> None:
            while not stopping.is_set():
                try:
                    stream, _ = server.accept()
                except OSError:
                    return
                with stream:
                    behave(stream, stopping)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        stopping.set()
        server.shutdown(socket.SHUT_RDWR)


def test_each_version_is_seen_as_the_server_really_has_it(edge: Sandbox, tmp_path: Path) -> None:
    hosts = {name: f"tls-{name.replace('.', '-')}.larkspur.example" for name in SPANS}
    found = look(edge, tmp_path, "probes.tls", hostnames=list(hosts.values()))
    versions = ["1.0", "1.1", "1.2", "1.3"]
    for name, host in hosts.items():
        seen = row(tmp_path, found[f"tls/{host}"], "probes.tls")
        took = [v for v in versions if seen[f"tls{v.replace('.', '')}"]]
        assert took == (versions if name == "all" else [name])
        refused = {seen[f"tls{v.replace('.', '')}_answer"] for v in versions if v not in took}
        assert refused <= {"alert protocol_version", f"hello {name}"}, "an older server answers with its own version"


def test_what_was_sent_and_answered_is_evidence(edge: Sandbox, tmp_path: Path) -> None:
    host = "tls-1-2.larkspur.example"
    item = look(edge, tmp_path, "probes.tls", hostnames=[host])[f"tls/{host}"]
    kept = json.loads((tmp_path / "run" / "evidence" / item.id / item.replies[0].path).read_bytes())
    old, new = kept["offers"][0], kept["offers"][2]
    assert old["client_hello"].startswith("160301") and old["client_hello"][18:22] == "0301"
    assert bytes.fromhex(old["first_record"])[-2:] == b"\x02\x46"  # fatal, protocol_version (RFC 8446, section 6)
    assert new["chosen"] == "1.2" and kept["certificate"]["pem"].startswith("-----BEGIN CERTIFICATE-----")


def test_a_version_that_could_not_be_offered_is_not_refused() -> None:
    offers = [
        {"version": v, "outcome": o, "alert": a, "chosen": c}
        for v, o, a, c in [
            ("1.0", "not offered", None, None),
            ("1.1", "alert", "internal_error", None),
            ("1.2", "hello", None, "1.2"),
            ("1.3", "closed", None, None),
        ]
    ]
    seen = {
        "hostname": "a.example",
        "address": "192.0.2.1",
        "offers": offers,
        "certificate": {"outcome": "silent", "detail": "no answer in time"},
    }
    from compliancectl import clock

    reply = Reply(json.dumps(seen).encode(), "x", clock.now(), clock.now())
    (_, one), (_, certificate) = tls.shape(reply)
    assert (one["tls10"], one["tls11"], one["tls12"], one["tls13"]) == (None, None, True, False)
    assert "trusted" not in certificate and certificate["distrust"] == "silent: no answer in time"


def test_a_server_that_ends_every_connection_leaves_all_unknown(edge: Sandbox, tmp_path: Path) -> None:
    with listener(lambda stream, stopping: stream.recv(5)) as address:
        found = look(edge, tmp_path, "probes.tls", hostnames=["a.example"], connect_to={"a.example:443": address})
    seen = row(tmp_path, found["tls/a.example"], "probes.tls")
    assert {seen[f"tls{v}"] for v in (10, 11, 12, 13)} == {None} and seen["tls12_answer"] == "closed"


def test_silence_leaves_all_unknown_and_is_tried_again(edge: Sandbox, tmp_path: Path) -> None:
    with listener(lambda stream, stopping: stopping.wait(5)) as address:
        found = look(
            edge, tmp_path, "probes.tls", hostnames=["a.example"], connect_to={"a.example:443": address}, timeout_s=0.05
        )
    item = found["tls/a.example"]
    seen = row(tmp_path, item, "probes.tls")
    assert {seen[f"tls{v}"] for v in (10, 11, 12, 13)} == {None} and seen["tls10_answer"] == "silent"
    assert [a.outcome for a in item.replies[0].attempts[:2]] == ["silent", "silent"]


def test_a_warning_before_the_hello_is_passed_over(edge: Sandbox, tmp_path: Path) -> None:
    hello = bytes.fromhex("0200002603 03".replace(" ", "")) + bytes(32) + bytes((0, 0xC0, 0x2F, 0))
    record = b"\x15\x03\x01\x00\x02\x01\x70" + b"\x16\x03\x03" + len(hello).to_bytes(2, "big") + hello

    def behave(stream: socket.socket, stopping: threading.Event) -> None:
        stream.recv(2000)
        stream.sendall(record)

    with listener(behave) as address:
        found = look(edge, tmp_path, "probes.tls", hostnames=["a.example"], connect_to={"a.example:443": address})
    seen = row(tmp_path, found["tls/a.example"], "probes.tls")
    assert (seen["tls11"], seen["tls12"], seen["tls12_answer"]) == (False, True, "hello")


def test_nobody_listening_and_not_http(edge: Sandbox, tmp_path: Path) -> None:
    with listener(lambda stream, stopping: stream.sendall(b"SSH-2.0-x\r\n")) as address:
        found = look(
            edge,
            tmp_path,
            "probes.site",
            "probes.tls",
            hostnames=["closed.larkspur.example", "a.example"],
            connect_to={**edge.parts["probes"].scope["connect_to"], "a.example:80": address, "a.example:443": address},
        )
    closed = row(tmp_path, found["sites/closed.larkspur.example"], "probes.site")
    assert (closed["plain_outcome"], closed["status"], closed["hsts_max_age"]) == ("refused", 200, 31536000)
    garbage = row(tmp_path, found["sites/a.example"], "probes.site")
    assert (garbage["plain_outcome"], garbage["status"], garbage["hsts_max_age"]) == ("garbage", None, None)
    assert row(tmp_path, found["tls/a.example"], "probes.tls")["tls12_answer"] == "garbage"


def test_who_takes_no_connection_is_not_looked_at(edge: Sandbox, tmp_path: Path) -> None:
    found = look(edge, tmp_path, "probes.tls", hostnames=["a.example"], connect_to={"a.example:443": "127.0.0.1:1"})
    item = found["tls/a.example"]
    assert (item.status, item.reason) == ("failed", "a.example took no connection: nobody listens")


def test_a_name_server_that_fails_is_no_answer(edge: Sandbox, tmp_path: Path) -> None:
    names = edge.parts["probes"].names  # type: ignore[attr-defined]
    names.failing.add(("_dmarc.larkspur.example", "TXT"))
    try:
        found = look(edge, tmp_path, "probes.mail_domain", mail_domains=["larkspur.example", "gone.example"])
    finally:
        names.failing.clear()
    item = found["mail_domains/larkspur.example"]
    assert item.status == "failed" and "DNS failed for _dmarc.larkspur.example TXT" in str(item.reason)
    gone = row(tmp_path, found["mail_domains/gone.example"], "probes.mail_domain")
    assert (gone["exchangers"], gone["lost"], gone["spf_records"], gone["dmarc_policy"]) == ([], [], 0, "")


def test_a_page_over_a_distrusted_connection_is_read_and_said_so(edge: Sandbox, tmp_path: Path) -> None:
    url = "https://elsewhere.example/contact"
    connect = edge.parts["probes"].scope["connect_to"]
    there = {**connect, "elsewhere.example:443": connect["www.larkspur.example:443"]}
    found = look(edge, tmp_path, "probes.page", pages=[{"url": url, "purpose": "contact"}], connect_to=there)
    page = row(tmp_path, found[f"pages/{url}"], "probes.page")
    assert (page["status"], page["secure"], page["title"]) == (200, False, "Contact")


def test_redirects_are_followed_to_the_page(edge: Sandbox, tmp_path: Path) -> None:
    url = "http://www.larkspur.example/privacy"
    found = look(edge, tmp_path, "probes.page", pages=[{"url": url, "purpose": "privacy-notice"}])
    page = row(tmp_path, found[f"pages/{url}"], "probes.page")
    assert (page["final_url"], page["status"], page["secure"]) == ("https://www.larkspur.example/privacy", 200, False)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("Last updated: March 4, 2026", "2026-03-04"),
        ("LAST UPDATED 4 Mar 2026.", "2026-03-04"),
        ("Effective date: 2026-03-04", "2026-03-04"),
        ("Last modified on the 31st", None),
        ("Last updated: Smarch 4, 2026", None),
        ("Last updated: February 30, 2026", None),
    ],
)
def test_the_day_on_a_page(text: str, day: str | None) -> None:
    found = pages.updated(text)
    assert (found.isoformat() if found else None) == day


def test_fields_of_a_signed_security_txt() -> None:
    text = (
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n# Contact: old\nContact: mailto:a@b\ncontact: https://b/r\n"
        "-----BEGIN PGP SIGNATURE-----\nContact: mailto:forged@b\n"
    )
    assert pages.fields_of(text)["contact"] == ["mailto:a@b", "https://b/r"]


def test_doctor_names_what_is_missing(edge: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    part: Any = edge.parts["probes"]
    part = replace(part, scope={**part.scope, "canaries": []})
    write_scope(edge, sources={"probes": part.scope})
    assert app.run(["doctor", "--scope", str(edge.scope_file), "--source", "probes", "--format", "json"]) == 0
    good = {line["subject"]: line["outcome"] for line in json.loads(capsys.readouterr().out)["probes"]}
    assert set(good.values()) == {"ok"} and {"offering TLS 1.0", "trusted roots", "www.larkspur.example:443"} <= set(
        good
    )
    write_scope(edge, sources={"probes": {**part.scope, "ca_file": "edge/none.pem", "hostnames": ["nowhere.example"]}})
    assert app.run(["doctor", "--scope", str(edge.scope_file), "--source", "probes", "--format", "json"]) == 3
    bad = {line["subject"]: line["detail"] for line in json.loads(capsys.readouterr().out)["probes"]}
    assert bad["nowhere.example:443"] == "nowhere.example has no address in DNS"
    assert bad["trusted roots"].startswith("the trusted roots in edge/none.pem cannot be used")


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({}, "name hostnames, origins"),
        ({"hostnames": ["https://a.example"]}, "hostnames"),
        ({"pages": [{"url": "ftp://a.example", "purpose": "x"}]}, "is not an http"),
        ({"pages": [{"url": "https://u:p@a.example", "purpose": "x"}]}, "without credentials"),
        ({"hostnames": ["a.example"], "edge_networks": ["203.0.113.0/33"]}, "edge_networks"),
    ],
)
def test_a_section_that_cannot_be_used(section: dict[str, Any], said: str) -> None:
    import pydantic

    with pytest.raises(pydantic.ValidationError, match=said):
        plugins.collector("probes").collector.config.model_validate(section)


def test_a_page_is_held_against_a_register_sentence_by_sentence(edge: Sandbox, tmp_path: Path) -> None:
    part: Any = edge.parts["probes"]
    register = edge.folder / "edge" / "claims.yaml"
    register.write_text(
        """\
pages: {security: {title: Security}, other: {title: Other}}
claims:
  - {id: A-1, text: "connections use TLS 1.2 or newer", page: security, testable: automatic}
  - {id: A-2, text: We never sleep at all, page: security, testable: statement}
  - {id: A-3, text: This stands elsewhere, page: other, testable: statement}
""",
        encoding="utf-8",
    )
    (page,) = part.scope["statements"]
    item = look(edge, tmp_path, "probes.statement", statements=[page])[f"statements/{page['url']}"]
    found = read_rows(tmp_path / "run" / "evidence" / item.id / "probes.statement.parquet")
    assert {r["claim"]: r["on_page"] for r in found if r["claim"]} == {"A-1": True, "A-2": False}
    loose = {r["text"] for r in found if r["claim"] is None}
    assert "Every school's rows are kept apart in the database." in loose and len(loose) == 4


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"register": "none.yaml"}, "there is no register of claims none.yaml"),
        ({"page": "nowhere"}, 'has no page "nowhere"'),
        ({"url": "https://www.larkspur.example/nothing"}, "answered 404"),
        ({"register": "edge/ca.pem"}, "edge/ca.pem"),
    ],
)
def test_a_page_that_cannot_be_compared_is_no_page_without_faults(
    edge: Sandbox, tmp_path: Path, change: dict[str, str], said: str
) -> None:
    part: Any = edge.parts["probes"]
    page = {**part.scope["statements"][0], **change}
    item = look(edge, tmp_path, "probes.statement", statements=[page])[f"statements/{page['url']}"]
    assert item.status != "collected" and said in str(item.reason)
