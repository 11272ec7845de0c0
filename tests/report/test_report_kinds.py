"""Every kind of report: what its reader needs is in it, and nothing that its reader must not see."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pikepdf
import pypdf
import pytest

from compliancectl import clock
from compliancectl.collectors.documents.registers import REGISTERS
from compliancectl.collectors.documents.tables import AGREEMENT, ATTESTATION, VENDOR
from compliancectl.collectors.postgres.isolation_tables import ISOLATION_PROBE, ISOLATION_RULE
from compliancectl.errors import FileError, UsageError
from compliancectl.model.result import WaiverUse
from compliancectl.model.table import TEXT, TIME, Column, Table
from compliancectl.report import kinds, render

AS_OF = clock.parse("2026-11-24T04:10:05Z")
KINDS = tuple(kind.name for kind in kinds())
FORBIDDEN = ("compliant", "certified", "passed soc", "effectively", "score", "%")


def columns(*names: str, kind=TEXT) -> tuple[Column, ...]:
    return tuple(Column(name, kind, name) for name in names)


def table(name: str, *found: Column) -> Table:
    return Table(f"document.{name}", name, found, ("resource",))


PROCESSING = table(
    "processing",
    *columns("resource", "id", "title", "role", "purposes", "people", "data", "recipients", "transfers", "retention"),
    *columns("security", "basis", "on_behalf_of", "screening"),
    *columns("reviewed", kind=TIME),
)
REQUEST = table(
    "request", *columns("resource", "id", "kind", "asked_by"), *columns("received", "forwarded", "answered", kind=TIME)
)
REVIEW = table("vendor_review", *columns("resource", "id", "tier"), *columns("reviewed", kind=TIME))
DISCLOSURE = table(
    "disclosure",
    *columns("resource", "id", "title", "recipient", "basis"),
    *columns("demanded", "institution_told", "disclosed", kind=TIME),
)
CLAIMS = """\
pages:
  security: {title: Security}
claims:
  - {id: C-1, text: "Our databases are not exposed", page: security, section: Network, testable: automatic, controls: [DB-01]}
  - {id: C-2, text: "backed up every day", page: security, section: Backups, testable: automatic, controls: [BCP-01]}
  - {id: C-3, text: "nothing is open to everyone", page: security, testable: automatic, controls: [IAM-05]}
  - {id: C-4, text: "we watch the weather", page: security, testable: automatic, controls: [SKY-01]}
  - {id: C-5, text: "A certificate is coming", page: security, testable: automatic, basis: plan, controls: [BCP-01]}
  - {id: C-6, text: "we care", page: security, testable: statement}
"""


def at(days: float) -> str:
    return (AS_OF + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def probe(operation: str, verdict: str, *, relation: str = "public.notes", context: str = "aldermoor", **more) -> dict:
    kind = "tenant" if context == "aldermoor" else context
    row = {
        "database": "app", "resource": f"app/predicate:app/{context}/{relation}/{operation}", "level": "predicate",
        "relation": relation, "operation": operation, "role": "app", "context": context, "context_kind": kind,
        "statement": "select …", "expected": "no row of another tenant", "observed": "0 of 6 rows accepted",
        "foreign_rows": 0, "denominator": 6, "verdict": verdict, "policies": [], "references_accepted": [],
    }  # fmt: skip
    return {**row, **more}


def documents() -> dict:
    register = REGISTERS["milestone-register"].table
    papers = [
        {"resource": f"{kind}.csv", "kind": kind, "subject": kind, "title": f"The {kind}", "owner": "legal", "issued": at(-9), "sha256": "0" * 64, "bytes": 9, "media_type": "text/csv", "expires": expires}
        for kind, expires in (
            ("processing-register", None), ("request-register", at(12)), ("breach-register", at(-3)), ("disclosure-register", at(300)),
        )
    ]  # fmt: skip
    vendor = {"resource": "v.md#cloud", "vendor": "cloud", "personal_data": True, "ai": True}
    other = {"resource": "v.md#shop", "vendor": "shop", "personal_data": True, "ai": False}
    agreement = {"resource": "a.md", "vendor": "cloud", "kind": "dpa", "signed": at(-200), "expires": at(25), "scc_module": "module 3", "breach_notice_hours": 24, "audit_right": True, "deletion_term": False, "no_training": True, "personal_data": True, "ai": True}  # fmt: skip
    record = {"resource": "p.csv#V-1", "id": "V-1", "title": "Conversations", "role": "processor", "purposes": "answer questions", "people": "students", "data": "texts", "recipients": "cloud; stranger", "transfers": "USA (clauses)", "retention": "365 days after deletion, backups 30 days, logs 9 months", "security": "encryption", "on_behalf_of": "institutions", "reviewed": at(-40), "screening": "needed"}  # fmt: skip
    requests = [
        {"resource": "q#1", "id": "Q-1", "kind": "access", "received": at(-60), "answered": at(-50)},
        {"resource": "q#2", "id": "Q-2", "kind": "access", "received": at(-90), "answered": at(-40)},
        {"resource": "q#3", "id": "Q-3", "kind": "inspection", "received": at(-50)},
    ]
    breach = {
        "resource": "b#1",
        "id": "B-1",
        "title": "Mail to the wrong customer",
        "aware": at(-20),
        "risk": "risk",
        "customers_told": at(-19.5),
        "authority_due": True,
        "authority_told": at(-16),
    }
    found = {
        "attestations": (ATTESTATION, papers), "vendors": (VENDOR, [vendor, other]), "agreements": (AGREEMENT, [agreement]),
        "processings": (PROCESSING, [record]), "requests": (REQUEST, requests), "reviews": (REVIEW, [{"resource": "r#1", "id": "cloud", "tier": "critical", "reviewed": at(-60)}]),
        "breaches": (REGISTERS["breach-register"].table, [breach]),
        "disclosures": (DISCLOSURE, [{"resource": "d#1", "id": "L-1", "title": "Subpoena about one account", "recipient": "a court", "basis": "court order", "demanded": at(-50)}]),
        "milestones": (register, [{"resource": "m#1", "id": "M-1", "title": "SOC 2 Type 1 report", "owner": "security lead", "due": at(60)}, {"resource": "m#2", "id": "M-2", "title": "Auditor engaged", "due": at(-9), "done": at(-12)}]),
    }  # fmt: skip
    return {f"documents/{name}/papers": made for name, made in found.items()}


def isolation() -> dict:
    rows = [
        probe("SELECT", "open", foreign_rows=6, rule="policy.second_permissive", sentence="Rows of messages can be read.", policies=["CREATE POLICY support ON notes USING (true)"], repair="DROP POLICY support ON notes;"),
        probe("INSERT", "isolated"),
        probe("SELECT", "isolated", context="unset"),
        probe("SELECT", "inconclusive", relation="public.empty", observed="no row was there"),
        probe("DELETE", "no access", relation="public.empty"),
    ]  # fmt: skip
    rules = [
        {"database": "app", "resource": "app/rls.disabled:public.notes", "rule": "rls.disabled", "kind": "gap", "object": "public.notes", "broken": False},
        {"database": "app", "resource": "app/unique:public.notes", "rule": "unique.existence_oracle", "kind": "weakness", "object": "public.notes/slug", "broken": True, "sentence": "A refusal tells what others have.", "repair": "CREATE UNIQUE INDEX ON notes (tenant, slug);"},
    ]  # fmt: skip
    return {"postgres/isolation/app": (ISOLATION_PROBE, rows), "postgres/rules/app": (ISOLATION_RULE, rules)}


def full(build):
    """The mixed company with statements, registers, probes, and ages of what is kept."""
    spec = build.mixed()
    aged = [build.item(f"app/table-{n}", limit_hours=8760, oldest=at(-days)) for n, days in enumerate((90, 200))]
    purge = build.control(
        "PRIV-07",
        "Deleted data is purged within a year",
        [build.test("overdue", aged)],
        topic="privacy",
        satisfies={"gdpr": ("5(1)(e)", "17(1)"), "ferpa": ("PTAC-DESTROY",)},
    )
    waiver = WaiverUse(
        id="W-9",
        control="IAM-05",
        checks=("x",),
        items=("y",),
        approver="amara",
        reason="Soon over.",
        approved=date(2026, 11, 1),
        expires=date(2026, 12, 1),
        expired=False,
        applied=0,
    )
    return replace(
        spec,
        controls=[*spec.controls, purge],
        waivers=(*spec.waivers, waiver),
        claims=CLAIMS,
        rows={**documents(), **isolation()},
    )


@pytest.fixture(scope="module")
def company(build) -> Path:
    return build.write(full(build))


@pytest.fixture(scope="module")
def said(company, tmp_path_factory):
    """Kind → the words of its HTML report, tags left out."""
    folder, made = tmp_path_factory.mktemp("kinds"), {}

    def words(kind: str, bundle: Path = company, **more) -> str:
        if (kind, bundle, str(more)) not in made:
            out = folder / f"{len(made)}.html"
            render(kind, bundle, out, form="html", **more)
            body = re.sub(r"<(script|style)\b.*?</\1>", " ", out.read_text(), flags=re.DOTALL)
            made[kind, bundle, str(more)] = " ".join(re.sub(r"<[^>]+>", " ", body).split())
        return made[kind, bundle, str(more)]

    return words


# isolation: with a brand, below; type2: of a period, not of a run
@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"assessment", "isolation", "type2"}))
def test_every_kind_is_a_tagged_archival_pdf_that_never_judges(company, tmp_path, kind) -> None:
    record = render(kind, company, tmp_path / "report.pdf", paper="Letter")
    assert record.remarks == ()
    pages = [" ".join(page.extract_text().split()) for page in pypdf.PdfReader(record.path).pages]
    assert [n for n, text in enumerate(pages) if "Incomplete run" not in text] == []
    text = " ".join(pages)
    assert "Prepared by management" in text
    assert [word for word in FORBIDDEN if word in text.lower()] == []
    with pikepdf.open(record.path) as document:
        meta = document.open_metadata()
        assert (meta["pdfaid:part"], meta["pdfaid:conformance"], meta["pdfuaid:part"]) == ("3", "A", "1")
        assert str(document.Root.Lang) == "en"
        enclosed = set(document.attachments)
    assert enclosed == (
        set()
        if kind in ("trust", "measures")
        else {"SDL-04.changes-reviewed.csv", "SHA256SUMS", "results.json", "statement.json"}
    )


def test_claims_say_what_stands_behind_each(said) -> None:
    text = said("claims")
    assert (
        "1 of 6 statements is supported by this evidence. 1 is contradicted, 2 are not shown, 1 is announced for later and 1 is beyond what evidence can decide."
        in text
    )
    assert "Instance app-db has a public address." in text
    assert "SKY-01 1" in text  # the control that is missing
    assert re.search(r"C-2 “backed up every day” ● Evidenced .*? ● BCP-01 6 of 6 items pass\. .*?Evidence E-\d\d", text)


def test_trust_repeats_only_what_is_shown_and_nothing_internal(said, company, tmp_path) -> None:
    text = said("trust")
    assert "backed up every day" in text
    assert "A certificate is coming" in text
    assert (
        "Of 6 registered statements, 1 is supported. 1 is announced for later. 2 were not shown by this assessment, 1 cannot be decided by evidence, and evidence contradicts 1"
        in text
    )
    for inner in ("not exposed", "nothing is open", "weather", "BCP-01", "app-db", "larkspur-prod", "E-0", "owner"):
        assert inner not in text, inner
    assert render("trust", company, tmp_path / "t.pdf").pages <= 2


def test_what_a_waiver_accepts_is_marked_as_contradicting(said, build) -> None:
    spec = full(build)
    spec.controls[0].tests = [build.test("no-public-path", build.instances(3, "waived"))]
    text = said("claims", build.write(spec))
    assert re.search(r"C-1 .*? ✗ Contradicted .*? ✗ DB-01 3 of 3 items: .*? Waiver W-7 accepts it\.", text)


def test_trust_keeps_to_two_pages_and_counts_what_has_no_room(build, tmp_path) -> None:
    line = '  - {{id: C-{0}, text: "Promise {0}, which is about as long as a sentence on a page", page: security, section: Part {1}, testable: automatic, controls: [BCP-01]}}\n'
    claims = "pages:\n  security: {title: Security}\nclaims:\n" + "".join(line.format(n, n // 9) for n in range(200))
    spec = replace(full(build), claims=claims)
    before = write_at(build, spec, AS_OF - timedelta(days=40))
    record = render("trust", build.write(spec), tmp_path / "t.pdf", earlier=(before,), paper="Letter")
    text = " ".join(" ".join(page.extract_text().split()) for page in pypdf.PdfReader(record.path).pages)
    shown = text.count("Promise ")
    assert record.pages == 2 and 40 < shown < 200 and text.count("since 15 October 2026") == shown
    assert f"{200 - shown} more are supported as well" in text
    assert "since" not in " ".join(
        p.extract_text() for p in pypdf.PdfReader(render("trust", build.write(spec), tmp_path / "u.pdf").path).pages
    )


def test_gaps_say_what_changed_and_what_ends(said, company, build) -> None:
    spec = full(build)
    spec.controls[0].tests[0].items[0] = build.item(
        "//cloudsql/gone", "fail", sentence="Instance gone has a public address."
    )
    before = write_at(build, spec, AS_OF - timedelta(days=40))
    fixed = full(build)
    fixed.controls[0].tests = [build.test("no-public-path", build.instances(5))]
    middle = write_at(build, fixed, AS_OF - timedelta(days=10))
    text = said("gaps", earlier=(before, middle))
    assert "2 findings are open in 2 controls" in text
    assert "Held against the assessment of 14 November 2026." in text
    assert re.search(r"New 1 DB-01 Instance app-db has a public address", text)
    assert re.search(r"SDL-04 .*? overdue", text, re.IGNORECASE)  # open for forty days, and thirty are allowed
    assert "Agreement with cloud" in text and "in 25 days" in text
    assert "The breach-register" in text and "ended 3 days ago" in text
    assert "Waiver W-9 of IAM-05" in text
    assert "SOC 2 Type 1 report" in text and "in 60 days" in text
    assert "disclosure-register" not in text
    nothing = said("gaps")
    assert "nothing can be said about what is new" in nothing


def write_at(build, spec, moment) -> Path:
    """The same company, judged at another time."""
    import json

    from compliancectl import canonical

    folder = build.write(replace(spec, sealed=False))
    file = folder / "results" / "results.json"
    results = json.loads(file.read_bytes())
    results["as_of"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    file.write_bytes(canonical.to_bytes(results) + b"\n")
    return folder


def test_a_finding_that_comes_back_is_called_so_and_a_lost_test_is_not_called_fixed(said, build) -> None:
    old = write_at(build, full(build), AS_OF - timedelta(days=30))
    good = full(build)
    good.controls[0].tests = [build.test("no-public-path", build.instances(5))]
    middle = write_at(build, good, AS_OF - timedelta(days=20))
    text = said("gaps", earlier=(old, middle))
    assert re.search(r"Regressed 1 .*?DB-01 Instance app-db has a public address", text)
    blind = full(build)
    blind.controls[0].tests = [build.test("no-public-path", ran=False, status="denied", reason="Denied.")]
    text = said("gaps", write_at(build, blind, AS_OF), earlier=(middle, old))
    assert "Out of sight" not in text  # it was closed in the assessment before
    text = said("gaps", write_at(build, blind, AS_OF), earlier=(old,))
    assert re.search(r"Out of sight 2 .*?Instance app-db has a public address", text)
    assert "Nothing is new, regressed or fixed." in text


def test_of_a_check_that_was_open_before_only_the_new_items_are_new(said, build) -> None:
    now = full(build)
    more = [build.item(f"//cloudsql/{n}", "fail", sentence=f"Instance {n} has a public address.") for n in ("b", "c")]
    now.controls[0].tests[0].items += more
    text = said("gaps", build.write(now), earlier=(write_at(build, full(build), AS_OF - timedelta(days=9)),))
    assert re.search(r" 2 new 0 regressed 0 fixed ", text)
    assert re.search(
        r"Nothing is regressed or fixed\. New 2 DB-01 Instance [bc] has a public address\. and 1 more", text
    )
    assert "; 2 new . 3 of 6 items in test no-public-path" in text


def test_isolation_shows_the_matrix_and_what_would_mend_it(said) -> None:
    text = said("isolation")
    assert "1 way leads to rows of another tenant. 1 could not be judged." in text
    assert re.search(r"public\.notes ✗ open, 6 of 6 rows of others ● isolated, 0 of 6 rows of others", text)
    assert re.search(r"public\.empty ▲ inconclusive", text)
    assert "DROP POLICY support ON notes;" in text
    assert "Weaknesses 1" in text and "A refusal tells what others have." in text
    assert "1 of 2 rules that hold" in text


def test_isolation_without_evidence_states_nothing(said, build) -> None:
    text = said("isolation", build.write(build.quiet()))
    assert "Nothing follows from that about isolation." in text
    assert "No way" not in text


def test_records_stand_beside_what_was_measured(said) -> None:
    text = said("gdpr")
    assert "On behalf of institutions" in text
    assert "not in the vendor register: stranger" in text
    assert re.search(
        r"365 days after deletion, backups 30 days, logs 9 months 200 days \(the oldest of 2 items, PRIV-07, E-\d\d \) ● No deviations",
        text,
    )
    assert "No test measures a limit of 30 days. □ No measurement" in text
    assert "No test measures a limit of 9 months." in text
    assert re.search(
        r"cloud AI models E-\d\d(?: E-\d\d)* 2026-05-08 to 2026-12-19 module 3 24 h ● yes ✗ no ● yes 2026-09-25", text
    )
    assert re.search(r"shop .*?✗ none not stated not stated", text)
    assert re.search(r"Access 2 2 0 30(\.0)? 50 1 of 2", text)
    assert re.search(r"Inspection 1 0 1 – 50 1 of 1", text)
    assert re.search(r"Mail to the wrong customer \S+ risk 12 hours 96 hours", text)


def test_the_annex_for_everybody_holds_no_internals(said) -> None:
    text = said("measures")
    assert "Every production database is backed up every day." in text
    assert "cloud yes 2026-05-08 no: the agreement forbids it" in text
    assert (
        "3 further measures were not free of deviations, or could not be determined" in text
        or "further measure" in text
    )
    for inner in ("No path leads from the internet", "DB-01", "larkspur-prod", "platform", "E-0"):
        assert inner not in text, inner


def test_an_institution_finds_conditions_recipients_and_a_page_to_sign(said) -> None:
    text = said("ferpa")
    assert "99.31(a)(1)(i)(B)(2) Direct control" in text
    assert re.search(r"DB-01 No path leads .*?: deviations", text)
    assert "Subpoena about one account a court court order 2026-10-05 not told no" in text
    assert re.search(r"Inspection 1 0 1 – 50 1 of 1", text)
    assert re.search(r"Exceptions ✗ Deviations DB-01", text)
    assert "SOC 2 Type 1 report, announced for 2027-01-23" in text
    assert "Auditor engaged" not in text
    assert "Certificate of destruction" in text


def test_nothing_collected_is_said_and_never_looks_good(said, build) -> None:
    bundle = build.write(build.run([], []))
    assert "0 of" not in said("claims", bundle) and "No statement is in the register of this bundle." in said(
        "claims", bundle
    )
    assert "nothing is known" in said("gdpr", bundle)
    assert "No register of vendors was collected, so nobody can be named." in said("ferpa", bundle)
    assert "No statement was supported by evidence on that day." in said("trust", bundle)
    assert "No measure was shown by evidence on that day." in said("measures", bundle)


def test_rows_that_are_not_those_of_their_evidence_are_refused(build, tmp_path) -> None:
    folder = build.write(replace(full(build), sealed=False))
    rows = folder / "evidence" / "postgres" / "isolation" / "app" / "t.parquet"
    rows.write_bytes(rows.read_bytes() + b" ")
    with pytest.raises(FileError, match="digest differs"):
        render("isolation", folder, tmp_path / "x.html", form="html")


def brand(folder: Path, text: str = "", **files: str | bytes) -> Path:
    folder.mkdir(exist_ok=True)
    if text:
        (folder / "brand.yaml").write_text(text)
    for name, data in files.items():
        file = folder / name.replace("_", ".", 1)
        file.write_bytes(data.encode() if isinstance(data, str) else data)
    return folder


LOGO = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><rect width="40" height="20" fill="#7a1f5c"/></svg>'
)


def test_an_organisation_brings_logo_colour_line_and_words(company, tmp_path) -> None:
    said = 'logo: mark.svg\naccent: "#7a1f5c"\nconfidentiality: Under our agreement only\n'
    folder = brand(tmp_path / "brand", said, mark_svg=LOGO, style_css=".lead { font-style: italic }")
    (folder / "trust.html.j2").write_text(
        '{% extends "trust/template.html.j2" %}{% block closing %}<p id="own">Ask {{ book.organization }}.</p>{% endblock %}'
    )
    out = tmp_path / "a.html"
    render("trust", company, out, form="html", brand=folder)
    page = out.read_text()
    assert '<p id="own">Ask Larkspur Learning, Inc..</p>' in page
    assert "--link: #7a1f5c" in page and "#2b3f8f" not in page.partition("<body")[2]
    assert 'src="data:image/svg+xml;base64,' in page
    assert "backed up every day" in page  # what is not replaced stays
    record = render("isolation", company, tmp_path / "a.pdf", brand=folder)
    text = " ".join(pypdf.PdfReader(record.path).pages[1].extract_text().split())
    assert record.remarks == ()
    assert "Under our agreement only" in text and "Confidential" not in text


@pytest.mark.parametrize(
    ("said", "files", "message"),
    [
        ('accent: "#ffd700"\n', {}, "brand.yaml:1: Text in #ffd700 on white has a contrast of 1.4:1"),
        ("accent: red\n", {}, 'brand.yaml:1: "red" is no colour'),
        ("colour: red\n", {}, "colour"),
        ("logo: ../secret.png\n", {}, "cannot be the logo"),
        ("logo: mark.svg\n", {}, "cannot be read"),
        ("logo: mark.svg\n", {"mark_svg": "<svg><script>alert(1)</script></svg>"}, "holds scripts"),
        ("logo: mark.svg\n", {"mark_svg": '<svg><image href="http://evil.example/x"/></svg>'}, "leads to other files"),
        ("logo: mark.png\n", {"mark_png": "GIF89a"}, "This is no PNG"),
        ("", {"style_css": "</style><script>"}, "A style cannot hold"),
        ("", {"trust_html.j2": "{{ ''.__class__.__mro__ }}"}, "unsafe"),
        ("", {"trust_html.j2": "{% block %}"}, "trust.html.j2:1: "),
    ],
)
def test_a_brand_that_cannot_be_used_says_why_and_where(company, tmp_path, said, files, message) -> None:
    with pytest.raises(FileError) as error:
        render("trust", company, tmp_path / "a.html", form="html", brand=brand(tmp_path / "brand", said, **files))
    assert message in str(error.value)
    assert not (tmp_path / "a.html").exists()


def test_the_guide_names_every_block() -> None:
    reports, guide = Path(__file__).parents[2] / "reports", Path(__file__).parents[2] / "docs" / "reports.md"
    rows = dict(re.findall(r"^\| `?([\w ]+)`? \| (.*) \|$", guide.read_text(), re.MULTILINE))
    said = {kind: set(re.findall(r"`(\w+)`", rows.get(kind, ""))) for kind in KINDS}
    every = set(re.findall(r"`(\w+)`", rows["every kind"]))
    assert every == set(re.findall(r"{% block (\w+) %}", (reports / "shared" / "document.html.j2").read_text()))
    for kind in KINDS:
        assert (
            said[kind]
            == set(re.findall(r"{% block (\w+) %}", (reports / kind / "template.html.j2").read_text())) - every
        )


def test_a_brand_folder_has_to_exist(company, tmp_path) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        render("trust", company, tmp_path / "a.html", form="html", brand=tmp_path / "none")


def test_a_style_of_ones_own_fetches_nothing(company, tmp_path) -> None:
    folder = brand(tmp_path / "brand", style_css='body { background: url("http://127.0.0.1:9/x.png") }')
    with pytest.raises(RuntimeError, match="outside the reports folder"):
        render("trust", company, tmp_path / "a.pdf", brand=folder)
