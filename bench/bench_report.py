"""Measure what the assessment of 100 controls and 2,000 items costs, beside WeasyPrint alone on the finished HTML.

    python bench/bench_report.py [CONTROLS] [ITEMS] [MANY]

Five lines: processor time of the whole report (bundle read, template filled, pages laid out, file written) against
`HTML(…).write_pdf()` without options; its memory against 800 MB; the time and the size with 100,000 items against
2,000; and the same content as HTML against two seconds.

Each measurement is a process of its own, and what is compared takes turns: on a busy machine processor time, too, grows
by a third and more for minutes, so that two measurements one after the other say little. The shortest of all turns counts.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

TURNS = 3
DATED = 10
"""Every so many controls have items with a date, which are drawn as a calendar."""
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "report"))  # the tests' maker of runs


def generate(folder: Path, controls: int, items: int) -> None:
    """A sealed run: so many controls, the items shared among them, one in a hundred of them failing."""
    from conftest import ControlSpec, RunSpec, TestSpec, evidence, item, write

    each = items // controls
    specs = [
        ControlSpec(
            f"T-{number:03}",
            f"Promise number {number} is kept by every instance of the company",
            [TestSpec("kept", [_item(item, number, n) for n in range(each)])],
            topic=("access", "backup", "change", "database", "logging")[number % 5],
        )
        for number in range(controls)
    ]
    write(RunSpec(specs, [evidence("gcp/sql_instances/larkspur-prod", rows=items)]), folder)


def _item(item, number: int, n: int):
    outcome = "fail" if (number * 31 + n) % 100 == 0 else "pass"
    dated = {"created": f"{date(2026, 8, 1) + timedelta(days=n % 90)}T08:00:00Z"} if number % DATED == 0 else {}
    return item(
        f"//cloudsql/projects/p-{number}/instances/db-{n:05}",
        outcome,
        region="europe-west3",
        ipv4_enabled=outcome == "fail",
        **dated,
    )


def measure(what: str, *arguments: Path) -> dict[str, float]:
    """Run one of those below in a process of its own."""
    done = subprocess.run([sys.executable, __file__, f"--{what}", *arguments], check=True, stdout=subprocess.PIPE)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def ours(folder: Path, out: Path) -> int:
    from compliancectl.report import render

    return render("assessment", folder, out).pages


def browser(folder: Path, out: Path) -> int:
    from compliancectl.report import render

    render("assessment", folder, out, form="html")
    return 0


def finished_html(folder: Path, out: Path) -> int:
    from compliancectl import resources
    from compliancectl.report import book, brand, pdf, source, template

    reports = resources.reports_folder().resolve()
    read = source.load(folder)
    content = book.compose(read, generated=read.results.as_of, paper="A4", classification="Confidential")
    glyphs = pdf.glyphs(reports / "shared" / "fonts")
    kind = template.find("assessment", reports)
    out.write_text(template.html(kind, reports, {"book": content}, glyphs, brand=brand.PLAIN))
    return 0


def plain(html: Path, out: Path) -> int:
    from compliancectl import resources

    reports = resources.reports_folder().resolve()
    os.environ["FONTCONFIG_FILE"] = str(reports / "shared" / "fonts" / "fonts.conf")
    import weasyprint

    weasyprint.HTML(string=html.read_text(), base_url=f"{reports.as_uri()}/").write_pdf(out)
    return 0


def main(controls: int = 100, items: int = 2000, many: int = 100_000) -> int:
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        generate(place / "run", controls, items)
        generate(place / "large", controls, many)
        measure("html", place / "run", place / "report.html")
        turns = {
            "ours": (place / "run", place / "a.pdf"),
            "plain": (place / "report.html", place / "b.pdf"),
            "large": (place / "large", place / "c.pdf"),
            "browser": (place / "run", place / "d.html"),
        }
        found: dict[str, list[dict[str, float]]] = {name: [] for name in turns}
        for _ in range(TURNS):
            for name, (source, out) in turns.items():
                found[name].append(measure("ours" if name == "large" else name, source, out))
        sizes = [(place / name).stat().st_size for name in ("a.pdf", "c.pdf")]
    took = {name: min(m["cpu"] for m in each) for name, each in found.items()}
    needed = {name: max(m["mb"] for m in each) for name, each in found.items()}
    cpu, memory = took["ours"], max(needed["ours"], needed["large"])
    title = f"report of {controls} controls, {items:,} items"
    pages, more = found["ours"][0]["pages"], found["large"][0]["pages"]
    lines = [
        (
            f"{title} against write_pdf",
            cpu / took["plain"],
            0.9,
            f"{pages:.0f} pages: {cpu:.1f} s against {took['plain']:.1f} s CPU",
        ),
        (f"{title}: memory", memory / 800, 1.0, f"{memory:.0f} MB of 800 MB, with {many:,} items, too"),
        (
            f"report of {many:,} items against {items:,}",
            took["large"] / cpu,
            1.2,
            f"{took['large']:.1f} s, {more:.0f} pages, {needed['large']:.0f} MB",
        ),
        (
            f"size of the report of {many:,} items against {items:,}",
            sizes[1] / sizes[0],
            1.2,
            f"{sizes[1] / 1000:,.0f} kB against {sizes[0] / 1000:,.0f} kB, with {many:,} lines of CSV in it",
        ),
        (f"{title} as HTML", took["browser"] / 2, 1.0, f"{took['browser']:.1f} s of 2 s CPU"),
    ]
    for name, ratio, limit, detail in lines:
        print(json.dumps({"name": name, "ratio": ratio, "limit": limit, "detail": detail}))
    return 0 if all(ratio <= limit for _, ratio, limit, _ in lines) else 1


if __name__ == "__main__":
    task = {"--ours": ours, "--html": finished_html, "--plain": plain, "--browser": browser}.get(
        sys.argv[1] if len(sys.argv) > 1 else ""
    )
    if task is None:
        sys.exit(main(*map(int, sys.argv[1:])))
    pages_made = task(*map(Path, sys.argv[2:]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(json.dumps({"cpu": time.process_time(), "mb": peak, "pages": pages_made}))
