"""The assessment as a PDF: what is in it, that it is the same every time, and that nothing foreign gets in."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from html import unescape
from pathlib import Path

import pikepdf
import pypdf
import pytest
from hostile import HOSTILE

from compliancectl import canonical, clock, resources
from compliancectl.cli.app import run
from compliancectl.errors import FileError, OutputError, UsageError, VerifyError
from compliancectl.model.result import DisabledControl, LeftOut
from compliancectl.report import ReportRecord, pdf, render

FONTS = {"Inter", "Source-Serif-4", "IBM-Plex-Mono"}
BUNDLED = sorted((resources.reports_folder() / "shared" / "fonts").glob("*.ttf"))
FORBIDDEN = ("compliant", "certified", "passed soc", "effectively", "score", "%")


@pytest.fixture(scope="module")
def mixed(build, tmp_path_factory) -> tuple[Path, ReportRecord]:
    folder = build.write(build.mixed())
    return folder, render("assessment", folder, tmp_path_factory.mktemp("pdf") / "mixed.pdf")


@pytest.fixture(scope="module")
def quiet(build, tmp_path_factory) -> str:
    """The text of a report in which nothing deviates and nothing is missing."""
    folder = build.write(replace(build.quiet(), frameworks=("soc2",)))
    return whole(render("assessment", folder, tmp_path_factory.mktemp("pdf") / "quiet.pdf").path)


@pytest.fixture(scope="module")
def pages(mixed) -> list[str]:
    return texts(mixed[1].path)


def texts(path: Path) -> list[str]:
    return [" ".join(page.extract_text().split()) for page in pypdf.PdfReader(path).pages]


def whole(path: Path) -> str:
    return " ".join(texts(path))


def words(path: Path) -> str:
    """The text of an HTML report."""
    body = re.sub(r"<(style|script|title|desc)\b.*?</\1>", " ", path.read_text(), flags=re.DOTALL)
    return (
        " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())
        .replace(" .", ".")
        .replace(" ,", ",")
        .replace(" ;", ";")
    )


def attachments(path: Path) -> dict[str, bytes]:
    with pikepdf.open(path) as document:
        return {name: file.get_file().read_bytes() for name, file in document.attachments.items()}


def links(path: Path) -> list[str]:
    """Targets of links that lead out of the document."""
    found = []
    with pikepdf.open(path) as document:
        for page in document.pages:
            for note in page.get("/Annots", []):
                action = note.get("/A")
                if action is not None and "/URI" in action:
                    found.append(str(action["/URI"]))
    return found


def test_the_record_states_the_file(mixed) -> None:
    folder, record = mixed
    data = record.path.read_bytes()
    assert (record.sha256, record.bytes) == (canonical.sha256(data), len(data))
    assert record.bundle_digest == canonical.sha256((folder / "SHA256SUMS").read_bytes())
    assert record.pages == len(pypdf.PdfReader(record.path).pages)
    assert record.remarks == ()


def test_the_same_bundle_gives_the_same_bytes_anywhere(mixed, tmp_path) -> None:
    folder, record = mixed
    script = "import sys; from pathlib import Path; from compliancectl.report import render; render('assessment', Path(sys.argv[1]), Path(sys.argv[2]))"
    out = tmp_path / "again.pdf"
    surroundings = {"TZ": "Asia/Kolkata", "LANG": "tr_TR.UTF-8", "LC_ALL": "C", "PYTHONHASHSEED": "7"}
    environment = {**os.environ, **surroundings, "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", script, folder, out], check=True, env=environment, cwd=tmp_path)
    assert out.read_bytes() == record.path.read_bytes()


def test_it_is_tagged_archival_and_has_a_language_and_a_title(mixed) -> None:
    with pikepdf.open(mixed[1].path) as document:
        root = document.Root
        assert str(root.Lang) == "en"
        assert root.MarkInfo.Marked
        assert root.ViewerPreferences.DisplayDocTitle
        assert "/StructTreeRoot" in root
        meta = document.open_metadata()
        assert (meta["pdfaid:part"], meta["pdfaid:conformance"]) == ("3", "A")
        assert meta["pdfuaid:part"] == "1"
        assert meta["dc:title"].startswith("Control evidence and test results: Larkspur Study Companion")
        names = [str(name) for name in root.Names.EmbeddedFiles.Names][::2]
        assert names == ["SDL-04.changes-reviewed.csv", "SHA256SUMS", "results.json", "statement.json"]
        assert len(root.AF) == len(document.attachments)


def structure(document: pikepdf.Pdf) -> list[pikepdf.Dictionary]:
    found, open_nodes = [], [document.Root.StructTreeRoot]
    while open_nodes:
        node = open_nodes.pop()
        if isinstance(node, pikepdf.Array):
            open_nodes.extend(node)
        elif isinstance(node, pikepdf.Dictionary):
            if "/S" in node:
                found.append(node)
            if "/K" in node:
                open_nodes.append(node.K)
    return found


def test_every_page_can_be_drawn_and_every_mark_has_its_tag(mixed) -> None:
    with pikepdf.open(mixed[1].path) as document:
        for number, page in enumerate(document.pages, 1):
            marks = 0
            for operands, operator in pikepdf.parse_content_stream(page):
                marks += str(operator) in ("BDC", "BMC")
                if str(operator) == "BDC":
                    assert isinstance(operands[1], pikepdf.Dictionary), number
                marks -= str(operator) == "EMC"
            assert marks == 0, number
        assert document.check_pdf_syntax() == []


def test_every_figure_says_what_it_shows(mixed) -> None:
    with pikepdf.open(mixed[1].path) as document:
        figures = [node for node in structure(document) if str(node.S) == "/Figure"]
        said = [str(figure.Alt) for figure in figures]
    assert len(said) > 5
    assert all(said)
    assert len([text for text in said if text.startswith("82 items on 32 of 33 days")]) == 1  # a calendar


def test_every_header_cell_is_a_header(mixed) -> None:
    with pikepdf.open(mixed[1].path) as document:
        kinds = {str(node.S) for node in structure(document)}
    assert {"/Table", "/TR", "/TH", "/TD", "/H1", "/H2"} <= kinds


def test_all_fonts_are_embedded_and_are_the_shipped_ones(mixed) -> None:
    names = set()
    with pikepdf.open(mixed[1].path) as document:
        for page in document.pages:
            for font in page.resources.get("/Font", {}).values():
                inner = font.DescendantFonts[0]
                assert "/FontFile2" in inner.FontDescriptor, font.BaseFont
                names.add(str(inner.FontDescriptor.FontName).partition("+")[2])
    assert names
    assert all(any(name.startswith(family) for family in FONTS) for name in names), names
    assert len(BUNDLED) == 12


def test_the_seal_and_the_results_are_enclosed_byte_for_byte(mixed) -> None:
    folder, record = mixed
    found = attachments(record.path)
    assert found["results.json"] == (folder / "results" / "results.json").read_bytes()
    assert found["SHA256SUMS"] == (folder / "SHA256SUMS").read_bytes()
    assert found["statement.json"] == (folder / "seal" / "statement.json").read_bytes()


def test_counts_come_with_what_they_are_out_of(pages) -> None:
    text = " ".join(pages)
    assert (
        "1 of 5 controls shows no deviations. 1 shows deviations. 2 could not be determined. 1 had no occurrences."
        in text
    )
    assert "Of 5 items in the population, 1 fails, 1 is waived, 2 pass and 1 is excluded." in text
    assert "Not an attestation, audit opinion or legal advice" in text


def test_it_never_judges(pages) -> None:
    text = " ".join(pages).lower()
    assert [word for word in FORBIDDEN if word in text] == []


def test_an_incomplete_run_says_so_on_every_page(pages) -> None:
    assert [number for number, text in enumerate(pages[1:], start=2) if "Incomplete run" not in text] == []
    assert "Incomplete run" in pages[0]
    assert "Permission denied on larkspur-logs" in " ".join(pages)


def test_a_complete_run_does_not(quiet) -> None:
    assert "Incomplete run" not in quiet
    assert "No item fails in any test, and every control could be determined." in quiet
    assert "No alert was opened in the period" in quiet


def test_every_finding_waiver_and_evidence_item_is_there(mixed, pages) -> None:
    text = " ".join(pages).replace(" ", "")
    folder, _ = mixed
    results = json.loads((folder / "results" / "results.json").read_bytes())
    for control in results["controls"]:
        assert control["title"].replace(" ", "") in text
        for test in control["tests"]:
            for item in test["deviations"]:
                assert item["resource"] in text
    for word in ("W-7", "W-3", "31December2026", "2026-12-31"):
        assert word in text or word == "31December2026"
    for file in sorted(folder.glob("evidence/*/*/*/item.json")):
        assert canonical.sha256(file.read_bytes()) in text


def test_outline_leads_to_every_control(mixed) -> None:
    titles = []

    def walk(entries) -> None:
        for entry in entries:
            if isinstance(entry, list):
                walk(entry)
            else:
                titles.append(entry.title)

    walk(pypdf.PdfReader(mixed[1].path).outline)
    assert {"Summary", "Framework matrix", "Evidence index"} <= set(titles)
    for id in ("DB-01", "BCP-01", "IAM-05", "SDL-04", "SDL-08"):
        assert any(title.startswith(id) for title in titles), id


def test_hostile_text_stays_text(build, tmp_path) -> None:
    spec = build.mixed()
    control = spec.controls[0]
    items = [build.item(text, "fail", sentence=text, note=text) for text in HOSTILE.values()]
    control.tests = [
        build.test(
            "no-public-path", items, reason=HOSTILE["html"], sql=f"select '{HOSTILE['html']}'\n-- {HOSTILE['bidi']}"
        )
    ]
    control.title = control.objective = control.owner = control.remediation = HOSTILE["html"]
    first = spec.controls[1].tests[0]
    first.items = [build.item(text, note=text) for text in HOSTILE.values()]
    odd = HOSTILE["css"] + HOSTILE["bidi"] + HOSTILE["long"] + HOSTILE["html"]
    spec = replace(spec, organization=odd, system=odd, frameworks=("soc2",))
    record = render("assessment", build.write(spec), tmp_path / "hostile.pdf")
    text, outside = placed(record.path)
    assert links(record.path) == []
    for raw in ("\u202e", "\u202c", "\u200b", "\x00", "\x1b"):
        assert raw not in text
    squeezed = text.replace(" ", "")
    for shown in (
        "<script>alert(1)</script>",
        "safe\\u{202e}elif\\u{202c}.exe",
        "{{7*7}}",
        "zero\\u{200b}width\\u{0}nul\\u{1b}[31mred",
        "x" * 200,
        "\\u{1f680}",
        *(HOSTILE[script] for script in ("chinese", "japanese", "korean")),
        "&lt;b&gt;&#x202e;",
    ):
        assert shown.replace(" ", "") in squeezed, shown
    assert "root:" not in text
    assert set(attachments(record.path)) == {
        "SDL-04.changes-reviewed.csv",
        "SHA256SUMS",
        "results.json",
        "statement.json",
    }
    assert outside == []


def placed(path: Path) -> tuple[str, list[str]]:
    """The whole text, and the words that begin or end outside the margins (15 mm); the cover has its own layout.

    The width of a letter is taken as 0.3 em, less than any word of these fonts has on average.
    """
    cover, *pages = pypdf.PdfReader(path).pages
    said, outside = [cover.extract_text()], []
    for page in pages:
        wide = float(page.mediabox.width)

        def visit(text, cm, tm, _font, size, wide=wide) -> None:
            start = cm[0] * tm[4] + cm[4]
            end = start + len(text.strip()) * 0.3 * size * tm[0] * cm[0]
            if text.strip() and not 42 < start < end < wide - 42:
                outside.append(text)

        said.append(page.extract_text(visitor_text=visit))
    return " ".join(" ".join(said).split()), outside


def test_the_fetcher_reads_only_what_is_shipped(tmp_path) -> None:
    outside = tmp_path / "secret.css"
    outside.write_text("body { color: red }")
    reports = resources.reports_folder()
    created = clock.parse("2026-01-01T00:00:00Z")
    for url in (
        "http://127.0.0.1:9/x.css",
        "https://evil.example/x.css",
        outside.as_uri(),
        "../controls/x.css",
        "ftp://x/y",
    ):
        html = f'<html lang="en"><title>t</title><link rel="stylesheet" href="{url}"><p>text</p></html>'
        with pytest.raises(RuntimeError, match="outside the reports folder"):
            pdf.write(html, reports, identifier="x" * 32, created=created, enclosures=[])


@pytest.fixture(scope="module")
def narrowed(build) -> Path:
    """A run whose scope disables a control and leaves criteria out: one that a control serves, and one that none does."""
    spec = build.quiet()
    disabled = DisabledControl(
        id="VEN-09",
        title="Payment data stays with the processor",
        severity="high",
        satisfies={"soc2": ("CC9.2",)},
        reason="nothing is sold here; see `scope.yaml`",
    )
    left_out = LeftOut(framework="soc2", criteria=("A1.2", "P1.1"), reason="Not part of the engagement")
    return build.write(replace(spec, frameworks=("soc2",), disabled=(disabled,), left_out=(left_out,)))


@pytest.mark.parametrize("form", ["pdf", "html"])
def test_what_the_scope_leaves_out_is_printed_with_its_reason(narrowed, tmp_path, form) -> None:
    record = render("assessment", narrowed, tmp_path / f"narrow.{form}", form=form)
    text = whole(record.path) if form == "pdf" else words(record.path)
    assert "1 control of the catalogue was not judged: the scope says that it does not apply." in text
    assert "VEN-09 High Payment data stays with the processor Nothing is sold here; see scope.yaml." in text
    assert "SOC 2 2 criteria: A1.2, P1.1 Not part of the engagement." in text
    assert "1 of 61 criteria has at least one control; 58 have none; 2 are left out." in text
    assert "1 control of the catalogue is not among them: the scope disables it" in text
    matrix = text.partition("Subject, in our own words")[2]
    assert "– Left out Not part of the engagement. P1.1 " in matrix
    assert "No control P1.1" not in matrix


@pytest.mark.parametrize("form", ["pdf", "html"])
def test_a_scope_that_leaves_nothing_out_says_so(quiet, build, tmp_path, form) -> None:
    text = quiet
    if form == "html":
        text = words(render("assessment", build.write(build.quiet()), tmp_path / "whole.html", form="html").path)
    assert "No control was disabled by the scope. No criterion was left out by the scope." in text
    assert "left out" not in text.replace("left out by the scope", "").replace("Left out of this assessment", "")


def test_commands_in_texts_are_set_as_code(pages) -> None:
    text = " ".join(pages)
    for said in (
        "Run gcloud sql instances patch, then",
        "ran gcloud services enable",
        "Grant roles/cloudsql.viewer to",
    ):
        assert said in text
    assert "`" not in text


@pytest.mark.parametrize(
    ("style", "body", "expected"),
    [
        ("", "<ol><li>first</li><li>second</li></ol>", ["1.", "2.", "first", "second"]),
        ("i { float: footnote }", "<p>said<i>by whom</i></p>", ["1.", "by", "said1", "whom"]),
    ],
)
def test_lists_and_footnotes_of_an_own_template_are_drawn(style, body, expected) -> None:
    html = f'<html lang="en"><title>t</title><style>html {{ font-family: Inter }} {style}</style>{body}'
    created = clock.parse("2026-01-01T00:00:00Z")
    rendered = pdf.write(html, resources.reports_folder(), identifier="x" * 32, created=created, enclosures=[])
    (page,) = pypdf.PdfReader(io.BytesIO(rendered.data)).pages
    assert sorted(page.extract_text().split()) == expected
    assert rendered.remarks == ()


def test_a_long_population_is_enclosed_and_the_pages_do_not_grow(build, tmp_path) -> None:
    sizes = {}
    for count in (30, 5000):
        spec = replace(build.quiet(), frameworks=("soc2",))
        bad = build.item("//cloudsql/db-9999", "fail", sentence="It is open.", ipv4_enabled=True, region="mars")
        odd = build.item("=1+1", "fail", sentence="=cmd()")
        spec.controls[0].tests = [build.test("backups-enabled", [*build.instances(count), bad, odd])]
        record = render("assessment", build.write(spec), tmp_path / f"{count}.pdf")
        sizes[count] = record.pages
        text = whole(record.path)
        assert f"The first 25 of {count + 2:,} are shown, those that do not pass first." in text
        assert "//cloudsql/db-9999 It is open. ipv4_enabled true · region mars" in text
    assert sizes[30] == sizes[5000]
    table = attachments(record.path)["BCP-01.backups-enabled.csv"]
    assert canonical.sha256(table) in text.replace(" ", "")
    rows = list(csv.DictReader(io.StringIO(table.decode())))
    assert len(rows) == 5002
    assert rows[-1]["resource"] == "'=1+1"
    assert (rows[-1]["outcome"], rows[-1]["findings"], rows[-1]["check ipv4_off"]) == ("fail", "'=cmd()", "fail")
    assert [rows[n]["resource"][-7:] for n in (0, 1)] == ["db-9999", "db-0000"]


def test_nothing_at_all(build, tmp_path) -> None:
    record = render("assessment", build.write(build.run([], [], frameworks=("soc2",))), tmp_path / "empty.pdf")
    text = whole(record.path)
    assert "No control was selected" in text
    assert "The run holds no evidence." in text


def test_no_items_one_item_and_everything_inconclusive(build, tmp_path) -> None:
    spec = build.mixed()
    unread = spec.controls[2].tests[0]
    controls = [build.control(f"T-{n:02}", f"Promise {n}", [replace(unread)], satisfies={}) for n in range(3)]
    controls.append(build.control("T-90", "One", [build.test("one", build.instances(1, "unknown"))], satisfies={}))
    controls.append(build.control("T-91", "None", [build.test("none", [])], satisfies={}))
    spec = replace(spec, controls=controls, waivers=(), frameworks=("soc2",))
    record = render("assessment", build.write(spec), tmp_path / "open.pdf")
    text = whole(record.path)
    assert "0 of 5 controls show no deviations. 5 could not be determined." in text
    assert "The population was not determined." in text
    assert "The one item of the population is unknown." in text
    assert "The population has 0 items." in text


@pytest.mark.parametrize("name", ["run.json", "results/results.json", "catalog/frameworks/soc2.yaml"])
def test_a_changed_file_of_a_sealed_bundle_is_refused(build, tmp_path, name) -> None:
    folder = build.write(build.quiet())
    (folder / name).write_bytes((folder / name).read_bytes() + b" ")
    with pytest.raises(VerifyError, match=f"{name} was changed after the bundle was sealed"):
        render("assessment", folder, tmp_path / "no.pdf")
    assert list(tmp_path.iterdir()) == []


def test_added_evidence_is_refused(build, tmp_path) -> None:
    folder = build.write(build.quiet())
    added = folder / "evidence" / "gcp" / "sql_instances" / "stranger"
    added.mkdir()
    known = next(folder.glob("evidence/*/*/*/item.json"))
    (added / "item.json").write_bytes(known.read_bytes())
    with pytest.raises(VerifyError, match="was added to a sealed bundle"):
        render("assessment", folder, tmp_path / "no.pdf")


def test_items_that_are_not_those_of_the_results_are_refused(build, tmp_path) -> None:
    folder = build.write(replace(build.quiet(), sealed=False))
    items = next((folder / "results" / "items").glob("BCP-01*"))
    items.write_bytes(items.read_bytes().replace(b"db-0001", b"db-9999"))
    with pytest.raises(FileError, match="digest differs"):
        render("assessment", folder, tmp_path / "no.pdf")


def test_mistakes_have_one_clear_message(build, tmp_path) -> None:
    folder = build.write(build.quiet())
    with pytest.raises(UsageError, match="no report called 'asessment'"):
        render("asessment", folder, tmp_path / "x.pdf")
    with pytest.raises(UsageError, match="does not exist"):
        render("assessment", tmp_path / "nothing", tmp_path / "x.pdf")
    with pytest.raises(OutputError, match="is a folder"):
        render("assessment", folder, tmp_path)
    with pytest.raises(OutputError, match="does not exist"):
        render("assessment", folder, tmp_path / "no" / "x.pdf")


def test_the_command_refuses_a_bundle_that_does_not_verify(build, tmp_path, capsys) -> None:
    out = tmp_path / "report.pdf"
    folder = build.write(replace(build.quiet(), frameworks=("soc2",)))  # its seal has no signature
    assert run(["report", "assessment", str(folder), "--output", str(out)]) == 4
    assert not out.exists()
    assert "error: " in capsys.readouterr().err


def test_a_run_that_is_not_sealed_says_so(build, tmp_path, capsys) -> None:
    out = tmp_path / "run.pdf"
    folder = build.write(replace(build.quiet(), sealed=False, frameworks=("soc2",)))
    assert run(["report", "assessment", str(folder), "--paper", "Letter", "--output", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert "Not sealed." in texts(out)[0]
    assert not render("assessment", folder, tmp_path / "run.html", form="html").sealed
    assert set(attachments(out)) == {"results.json"}
    box = pypdf.PdfReader(out).pages[0].mediabox
    assert (round(float(box.width)), round(float(box.height))) == (612, 792)
