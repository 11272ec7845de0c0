"""Make one report of each kind, but for `type2`, from the company in a box, and the pictures of them that the README shows.

    python bench/samples.py

Writes `reports/samples/*.pdf` and `docs/pictures/*.png`. The company has a few faults, so that there is something to see.
Pictures need poppler (`pdftoppm`) and Chromium.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SAMPLES, PICTURES = ROOT / "reports" / "samples", ROOT / "docs" / "pictures"
FAULTS = ("policy-second-permissive", "backups-in-same-region", "firewall-open-to-the-internet", "audit-logs-unlocked")
PAGES = {"assessment": 5, "gaps": 2, "isolation": 2, "trust": 1}
"""Kind → the page that the picture shows."""


def main() -> int:
    from compliancectl.cli.app import run
    from compliancectl.report import kinds, render
    from compliancectl.report.subject import PERIOD

    SAMPLES.mkdir(exist_ok=True)
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        run(["demo", "-o", str(place / "good")])
        run(["demo", "-o", str(place / "bad"), *(word for fault in FAULTS for word in ("--fault", fault))])
        bundle, earlier = place / "bad" / "bundle", (place / "good" / "bundle",)
        for kind in kinds():
            if PERIOD in kind.views:
                continue  # it tells of a year of runs, which the box does not have
            record = render(kind.name, bundle, SAMPLES / f"{kind.name}.pdf", earlier=earlier)
            print(f"{record.path.relative_to(ROOT)}  {record.pages} pages, {record.bytes / 1000:,.0f} kB")
        page = place / "assessment.html"
        render("assessment", bundle, page, form="html")
        pictures(page, place)
    return 0


def pictures(page: Path, scratch: Path) -> None:
    """Photograph a page of some kinds, and the HTML report in light and dark."""
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    from browser import Browser, find

    for kind, number in PAGES.items():
        part = ["-f", str(number), "-l", str(number), "-r", "60", "-png", "-singlefile"]
        subprocess.run(["pdftoppm", *part, SAMPLES / f"{kind}.pdf", PICTURES / kind], check=True)
    browser = Browser(find() or "chromium", scratch / "profile")
    try:
        for name, dark in (("html-light", False), ("html-dark", True)):
            browser.look(1100, 760, dark=dark)
            browser.open(f"{page.as_uri()}#control-NET-02")
            browser.run("new Promise(done => setTimeout(done, 800))")
            browser.picture(PICTURES / f"{name}.png")
    finally:
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
