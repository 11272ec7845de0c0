"""A public page held against the register: what nobody registered, and what has gone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from claimed import Call

from compliancectl.webpage import pieces

REGISTER = """\
pages:
  security: {title: Security page, url: "https://larkspur.example/security"}
  privacy: {title: Privacy page}
claims:
  - {id: C-1, text: "backed up daily", page: security, testable: automatic, controls: [BCP-01]}
  - {id: C-2, text: "We don't sell data - ever", page: security, testable: attested}
  - {id: C-3, text: "Identity First & Last Name", page: security, testable: automatic}
  - {id: C-4, text: "Our engineers review every change before it ships to customers", page: security, testable: automatic}
  - {id: C-5, text: "daily backups of the moon", page: security, testable: hybrid}
  - {id: C-6, text: "on another page", page: privacy, testable: hybrid}
"""
PAGE = """\
<!doctype html><html><head><title>We promise the stars in our title, truly.</title>
<style>p { content: "we style every single thing" }</style>
<body><nav><a href="/">Home</a> <a href="/x">Read more</a></nav>
<h1>Security at Larkspur</h1>
<p>Your database is <b>backed</b>&nbsp;<i>up
   Daily</i>, e.g. at night. We hold Art. 32 in great esteem. We don\u2019t sell data \u2013 ever!</p>
<table><tr><td>Identity</td><td>First &amp; Last Name</td></tr></table>
<p>Our engineers review every change twice before it ships to all customers.</p>
<script>var promise = "We never ever log anything at all.";</script>
</body></html>
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """The register and the saved page."""
    (tmp_path / "claims.yaml").write_text(REGISTER)
    (tmp_path / "page.html").write_text(PAGE)
    return tmp_path / "claims.yaml", tmp_path / "page.html"


def test_what_nobody_registered_and_what_has_gone(files: tuple[Path, Path], call: Call) -> None:
    register, page = files
    said = call("claims", "check", "--page", page, "--as", "security", "--register", register, "--format", "json")
    assert said.code == 1
    assert said.data["registered"] == ["C-1", "C-2", "C-3"]
    assert said.data["unregistered"] == [
        "We hold Art. 32 in great esteem.",
        "Our engineers review every change twice before it ships to all customers.",
    ]
    assert said.data["gone"] == [
        {"id": "C-4", "text": "Our engineers review every change before it ships to customers",
         "perhaps": "Our engineers review every change twice before it ships to all customers."},
        {"id": "C-5", "text": "daily backups of the moon", "perhaps": None},
    ]  # fmt: skip
    assert said.data["labels"] == ["Home Read more", "Security at Larkspur"]


def test_the_text_says_the_same(files: tuple[Path, Path], call: Call) -> None:
    register, page = files
    out = call("claims", "check", "--page", page, "--as", "security", "--register", register, "--labels").out
    assert "IN NO REGISTER  2" in out and "“We hold Art. 32 in great esteem.”" in out
    assert "GONE  2" in out and "perhaps now: “Our engineers review every change twice" in out
    assert "3 of 5 registered sentences stand on the page; 2 of its sentences are in no register." in out
    assert "Home Read more · Security at Larkspur" in out and "stars" not in out


def test_a_page_that_says_what_is_registered_ends_well(tmp_path: Path, files: tuple[Path, Path], call: Call) -> None:
    page = tmp_path / "privacy.txt"
    page.write_text("This stands\non another   page.\n")
    said = call("claims", "check", "--page", page, "--as", "privacy", "--register", files[0])
    assert said.code == 0 and "1 of 1 registered sentences stand on the page; 0 of its" in said.out


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One thing is so. Another is not.", ["One thing is so.", "Another is not."]),
        ("We use e.g. Google. Acme Inc. Holds it.", ["We use e.g. Google.", "Acme Inc. Holds it."]),
        ("It holds 1.2 or higher! “Really?” Yes.", ["It holds 1.2 or higher!", "“Really?”", "Yes."]),
        ("<p>One<p>Two<br>Three <em>and</em> four", ["One", "Two", "Three and four"]),
        ("<div>a<template>b</template><noscript>c</noscript>d</div>", ["ad"]),
        ("<p>a</p></template><p>b</p>", ["a", "b"]),
        ("", []),
    ],
)
def test_how_a_page_is_cut(text: str, expected: list[str]) -> None:
    assert list(pieces(text)) == expected


def test_a_word_within_a_word_is_no_quotation(tmp_path: Path, call: Call) -> None:
    register = tmp_path / "claims.yaml"
    register.write_text(
        "pages: {p: {title: P}}\nclaims: [{id: C-1, text: port is closed, page: p, testable: hybrid}]\n"
    )
    page = tmp_path / "page.txt"
    page.write_text("The airport is closed.")
    assert call("claims", "check", "--page", page, "--register", register, "--format", "json").data["registered"] == []


class Pages(BaseHTTPRequestHandler):
    """A site with one page."""

    def do_GET(self) -> None:
        found = self.path == "/security"
        body = PAGE.encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_page_of_the_web_is_the_one_whose_address_the_register_gives(
    site: str, files: tuple[Path, Path], call: Call
) -> None:
    register = files[0]
    register.write_text(REGISTER.replace("https://larkspur.example/security", f"{site}/security/"))
    said = call("claims", "check", "--url", f"{site}/security", "--register", register, "--format", "json")
    assert said.code == 1 and said.data["page"]["id"] == "security"
    assert said.data["registered"] == ["C-1", "C-2", "C-3"], "UTF-8 is what a page is in that does not say"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name one page"),
        (["--page", "{page}", "--url", "http://x.example"], "name one page"),
        (["--page", "{page}"], "the register has several pages"),
        (["--page", "{page}", "--as", "securty"], 'the register has no page "securty"'),
        (["--page", "nowhere.html", "--as", "security"], "nowhere.html: The page cannot be read: No such file"),
        (["--url", "{site}/other", "--as", "security"], "/other answers 404 Not Found"),
        (["--url", "http://127.0.0.1:1/", "--as", "security"], "http://127.0.0.1:1/ cannot be read"),
        (["--url", "file:///etc/passwd", "--as", "security"], "is no web address"),
        (["--page", "{binary}", "--as", "security"], "The page is not UTF-8."),
    ],
)
def test_a_page_that_cannot_be_read_is_no_page_without_promises(
    arguments: list[str], message: str, site: str, files: tuple[Path, Path], call: Call
) -> None:
    register, page = files
    binary = page.with_name("binary.html")
    binary.write_bytes(b"\xff\xfe<")
    given = [a.format(page=page, site=site, binary=binary) for a in arguments]
    said = call("claims", "check", "--register", register, *given)
    assert said.code == 2 and said.out == "" and message in said.err and "hint: " in said.err
