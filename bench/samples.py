"""Make one report of each kind from the company in a box, and the pictures of them that the README shows.

    python bench/samples.py

Writes `reports/samples/*.pdf` and `docs/pictures/*.png`. The company has a few faults, so that there is something to see.
`type2` tells of the one day of both runs, in which the company got its faults, and of a few controls: a whole year of every
control has thousands of pages. What evidence about events says ends with the last run, so that those controls are inconclusive.
Pictures need poppler (`pdftoppm`) and Chromium.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SAMPLES, PICTURES = ROOT / "reports" / "samples", ROOT / "docs" / "pictures"
FAULTS = ("policy-second-permissive", "backups-in-same-region", "firewall-open-to-the-internet", "audit-logs-unlocked")
OVER_A_DAY = ("BCP-01", "BCP-03", "DB-01", "ENC-01", "LOG-02", "NET-02", "RLS-01", "SDL-02", "SDL-04")
AT_REST = """new Promise(done => {
  let before, still = 0;
  const look = () => {
    const box = document.getElementById("control-NET-02"), top = box.open && box.getBoundingClientRect().top;
    still = box.open && top === before ? still + 1 : 0;
    before = top;
    if (still < 10) requestAnimationFrame(look); else done();
  };
  document.fonts.ready.then(look);
})"""
"""Until the control of the picture is open and nothing moves any more."""
PAGES = {"assessment": "PI-01", "gaps": "Summary", "isolation": "Access matrix", "trust": ""}
"""Kind → how the outline's entry begins whose page the picture shows; nothing for the first page."""


def main() -> int:
    from compliancectl.cli.app import run

    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        run(["demo", "-o", str(place / "good")])
        run(["demo", "-o", str(place / "bad"), *(word for fault in FAULTS for word in ("--fault", fault))])
        write(place / "good", place / "bad", place)
    return 0


def write(good: Path, bad: Path, place: Path) -> None:
    """Write samples and pictures from the folders of two demos; `place` is for what is not kept."""
    from compliancectl.report import kinds, render
    from compliancectl.report.subject import PERIOD

    SAMPLES.mkdir(exist_ok=True)
    PICTURES.mkdir(parents=True, exist_ok=True)
    bundle, earlier = bad / "bundle", (good / "bundle",)
    period = package((good, bad), place)
    for kind in kinds():
        about = (period, ()) if PERIOD in kind.views else (bundle, earlier)
        record = render(kind.name, about[0], SAMPLES / f"{kind.name}.pdf", earlier=about[1])
        print(f"{record.path.relative_to(ROOT)}  {record.pages} pages, {record.bytes / 1000:,.0f} kB")
    page = place / "assessment.html"
    render("assessment", bundle, page, form="html")
    pictures(page, place)


def package(demos: tuple[Path, ...], place: Path) -> Path:
    """Judge a few controls once more on the evidence of each demo, seal that, and make a package of the day."""
    from compliancectl.cli.app import run
    from compliancectl.model.result import Results

    days = set()
    run(["keys", "new", str(place / "period")])
    key = str(place / "period.pem")
    for number, demo in enumerate(demos):
        copy = place / f"run-{number}"
        shutil.copytree(demo / "run", copy)
        shutil.copy(demo / "compliancectl.yaml", copy.with_suffix(".yaml"))
        shutil.copy(demo / "run" / "catalog" / "waivers.yaml", place)  # it stands beside the scope file
        only = [word for id in OVER_A_DAY for word in ("--only", id)]
        if run(["evaluate", str(copy), "--scope", str(copy.with_suffix(".yaml")), *only]) not in (0, 1):
            raise SystemExit("the controls of the sample could not be judged")
        run(["bundle", str(copy), "-o", str(place / "bundles" / str(number)), "--key", key])
        results = Results.model_validate_json((copy / "results" / "results.json").read_bytes())
        days.add(results.as_of.date())
    span = ["--from", str(min(days)), "--to", str(max(days) + timedelta(days=1))]
    sealed = ["--package", str(place / "period"), "--sign-with", key, "--key", str(place / "period.pub.pem")]
    run(["period", str(place / "bundles"), *span, *sealed])
    return place / "period"


def pictures(page: Path, scratch: Path) -> None:
    """Photograph a page of some kinds, and the HTML report in light and dark."""
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    from browser import Browser, find

    for kind, entry in PAGES.items():
        number = _page(SAMPLES / f"{kind}.pdf", entry)
        part = ["-f", str(number), "-l", str(number), "-r", "60", "-png", "-singlefile"]
        subprocess.run(["pdftoppm", *part, SAMPLES / f"{kind}.pdf", PICTURES / kind], check=True)
    browser = Browser(find() or "chromium", scratch / "profile")
    try:
        for name, dark in (("html-light", False), ("html-dark", True)):
            browser.look(1100, 760, dark=dark)
            browser.open(f"{page.as_uri()}#control-NET-02")
            browser.run(AT_REST)
            browser.picture(PICTURES / f"{name}.png")
    finally:
        browser.close()


def _page(file: Path, entry: str) -> int:
    """Number of the page that an entry of the outline leads to."""
    import pypdf

    reader = pypdf.PdfReader(file)
    left = list(reader.outline)
    while left:
        found = left.pop(0)
        if isinstance(found, list):
            left = found + left
        elif entry and str(found.title).startswith(entry):
            return int(reader.get_destination_page_number(found) or 0) + 1
    if entry:
        raise SystemExit(f"{file} has no part that begins with {entry}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
