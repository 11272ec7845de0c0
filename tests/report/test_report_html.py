"""The assessment as one HTML file, in a real browser: nothing is fetched, everything can be reached, found and linked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import browser as chromium
import pytest
from hostile import HOSTILE

from compliancectl.cli.app import run
from compliancectl.report import render

ITEMS = 400
MANY = 10_000


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    program = chromium.find()
    assert program, "there is no Chromium: requirements/system.sh dev installs it, or name one in CHROMIUM"
    made = chromium.Browser(program, tmp_path_factory.mktemp("profile"))
    made.look()
    yield made
    made.close()


@pytest.fixture(scope="module")
def mixed(build, tmp_path_factory) -> Path:
    """Every outcome; and a control with far more items than paper prints."""
    spec = build.mixed()
    many = [build.test("kept", [*build.instances(ITEMS), build.item("needle-4711", "fail", sentence="Found at last.")])]
    more = build.control(
        "T-01",
        "Every item is kept",
        many,
        satisfies={"gdpr": ("32(1)(a)",)},
        owner="operations",
        severity="low",
    )
    out = tmp_path_factory.mktemp("html") / "mixed.html"
    record = render("assessment", build.write(replace(spec, controls=[*spec.controls, more])), out, form="html")
    assert record.pages is None
    assert record.bytes == out.stat().st_size
    return out


@pytest.fixture
def page(browser, mixed):
    browser.open(mixed.as_uri())
    return browser


def shown(page) -> list[str]:
    return page.run("[...document.querySelectorAll('.entry:not([hidden])')].map(e => e.id.replace('control-', ''))")


def items(page, control: str) -> int:
    return page.run(f"document.querySelectorAll('#control-{control} .it:not([hidden])').length")


def choose(page, **fields: str) -> None:
    for name, value in fields.items():
        page.run(
            f"(() => {{ const f = document.getElementById('f-{name}'); f.value = {value!r}; f.dispatchEvent(new Event('input', {{bubbles: true}})); }})()"
        )
    settle(page)


def settle(page) -> None:
    page.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def status(page) -> str:
    return page.run("document.querySelector('.told-count').textContent")


def test_it_asks_for_nothing_but_itself_and_nothing_goes_wrong(page, mixed) -> None:
    assert [url for url in page.asked if not url.startswith("data:")] == [mixed.as_uri()]
    assert page.said == []
    assert page.run(
        "document.fonts.ready.then(() => [...document.fonts].filter(f => f.status === 'loaded').map(f => f.family.replaceAll('\"', ''))).then(a => [...new Set(a)].sort())"
    ) == ["IBM Plex Mono", "Inter", "Source Serif 4"]
    assert page.run("document.documentElement.lang") == "en"


def test_it_filters_by_outcome_framework_owner_severity_and_text(page) -> None:
    everything = ["BCP-01", "DB-01", "IAM-05", "SDL-04", "SDL-08", "T-01"]
    assert shown(page) == everything
    assert status(page) == "6 of 6 controls, 498 of 498 items"
    choose(page, outcome="inconclusive")
    assert shown(page) == ["IAM-05", "SDL-04"]
    choose(page, outcome="", framework="ferpa")
    assert shown(page) == ["DB-01", "SDL-08"]
    choose(page, framework="", owner="operations")
    assert shown(page) == ["T-01"]
    choose(page, owner="", severity="critical")
    assert shown(page) == ["DB-01"]
    choose(page, severity="", text="needle-4711")
    assert (shown(page), items(page, "T-01")) == (["T-01"], 1)
    assert status(page) == "1 of 6 controls, 1 of 498 items"
    choose(page, text="no such thing anywhere")
    assert (shown(page), status(page)) == ([], "Nothing fits. Clear the filter to see all 6 controls.")
    page.run("document.querySelector('.filters button[type=reset]').click()")
    assert shown(page) == everything
    assert items(page, "T-01") == ITEMS + 1


def test_it_filters_items_by_their_own_outcome(page) -> None:
    choose(page, outcome="fail")
    assert shown(page) == ["DB-01", "SDL-04", "T-01"]
    assert (items(page, "DB-01"), items(page, "T-01")) == (1, 1)
    choose(page, text="pull request")
    assert shown(page) == ["SDL-04"]


def test_ten_thousand_items_are_searched(browser, build, tmp_path) -> None:
    spec = build.quiet()
    spec.controls[0].tests = [build.test("kept", [*build.instances(MANY), build.item("needle-4711")])]
    out = tmp_path / "many.html"
    render("assessment", build.write(spec), out, form="html")
    browser.open(out.as_uri())
    choose(browser, text="needle-4711")
    assert (shown(browser), items(browser, "BCP-01")) == (["BCP-01"], 1)
    assert status(browser) == "1 of 2 controls, 1 of 10,001 items"


LANDED = "new Promise(done => { let n = 6; const next = () => n-- ? requestAnimationFrame(next) : done(); next(); })"
"""Six frames on: a deep link has come to rest."""


def test_the_filter_is_part_of_the_address(page, mixed) -> None:
    choose(page, severity="critical", text="app-db")
    address = page.run("location.href")
    assert address.endswith("?text=app-db&severity=critical")
    page.open(address)
    assert shown(page) == ["DB-01"]
    assert page.run("document.getElementById('f-text').value") == "app-db"


def test_a_deep_link_opens_what_it_leads_to(page, mixed) -> None:
    anchor = page.run("document.querySelector('#control-T-01 .it').id")
    page.open(f"{mixed.as_uri()}?text=app-db#{anchor}")
    assert page.run("document.querySelector('#control-T-01').open")
    assert page.run(f"document.getElementById('{anchor}').checkVisibility()")
    assert "needle-4711" in page.run("document.activeElement.textContent")
    page.look(900, 700)  # so narrow that the bar of filters has several lines
    page.open(f"{mixed.as_uri()}#control-DB-01")
    assert page.run("[...document.querySelectorAll('details[open]')].map(d => d.id)") == ["control-DB-01"]
    page.run(LANDED)
    assert page.run(
        "document.querySelector('#control-DB-01').getBoundingClientRect().top"
        " - document.querySelector('.filters').getBoundingClientRect().bottom"
    ) == pytest.approx(12, abs=2)
    page.look()


def test_deep_links_stay_the_same_in_the_next_report(build, tmp_path) -> None:
    first, second = tmp_path / "1.html", tmp_path / "2.html"
    spec = build.quiet()
    render("assessment", build.write(spec), first, form="html")
    control = spec.controls[0]
    control.tests[0].items = [*control.tests[0].items, build.item("a-new-one")]
    render("assessment", build.write(spec), second, form="html")
    anchors = [
        {part.split('"')[0] for part in file.read_text().split('class="it" id="')[1:]} for file in (first, second)
    ]
    assert len(anchors[0]) == 6
    assert anchors[0] < anchors[1]


def test_it_is_worked_by_keyboard_alone(page) -> None:
    page.press("Tab")
    assert page.run("document.activeElement.className") == "skip"
    page.press("/", text="/")
    assert page.run("document.activeElement.id") == "f-text"
    page.run("document.querySelector('#control-DB-01 summary').focus()")
    page.press("Enter", text="\r")
    assert page.run("document.querySelector('#control-DB-01').open")
    page.press("Tab")
    assert page.run("document.activeElement.closest('#control-DB-01') !== null")
    assert page.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_screen_reader_is_told_everything(page) -> None:
    nodes = [node for node in page.tree() if not node["ignored"]]
    roles = {node["role"]["value"] for node in nodes}
    assert {"main", "navigation", "search", "status", "heading", "table", "rowheader", "columnheader"} <= roles
    named = [
        n
        for n in nodes
        if n["role"]["value"] in ("textbox", "searchbox", "combobox", "button", "link", "image", "navigation", "search")
    ]
    assert [n["role"]["value"] for n in named if not n.get("name", {}).get("value")] == []
    assert len([n for n in nodes if n["role"]["value"] == "image"]) > 5


CONTRAST = """(() => {
  const parse = c => { const m = c.match(/[\\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m; };
  const light = ([r, g, b]) => { const f = [r, g, b].map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * f[0] + 0.7152 * f[1] + 0.0722 * f[2]; };
  const ground = el => { for (; el; el = el.parentElement) { const c = parse(getComputedStyle(el).backgroundColor); if (c[3] === 1) return c; } return [255, 255, 255, 1]; };
  document.querySelectorAll('details').forEach(d => { d.open = d.id !== 'control-T-01'; });
  const bad = new Set();
  for (const el of document.querySelectorAll('body *')) {
    if (![...el.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || !el.checkVisibility() || el.closest('svg')) continue;
    const style = getComputedStyle(el), a = light(parse(style.color)), b = light(ground(el));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) bad.add(`${el.tagName}.${el.className} ${style.color} ${ratio.toFixed(2)}`);
  }
  return [...bad];
})()"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_can_be_read_in_light_and_dark(browser, mixed, dark) -> None:
    browser.look(dark=dark)
    browser.open(mixed.as_uri())
    grounds = browser.run("getComputedStyle(document.documentElement).backgroundColor")
    assert grounds == ("rgb(15, 20, 31)" if dark else "rgb(255, 255, 255)")
    assert browser.run(CONTRAST) == []
    browser.look()


def test_a_narrow_window_has_nothing_to_scroll_sideways(browser, mixed) -> None:
    browser.look(360, 740)
    browser.open(mixed.as_uri())
    browser.run("document.querySelectorAll('details').forEach(d => { d.open = d.id !== 'control-T-01'; })")
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    browser.look()


def test_on_paper_everything_is_open(browser, build, tmp_path) -> None:
    import pypdf

    out, printed = tmp_path / "quiet.html", tmp_path / "printed.pdf"
    render("assessment", build.write(build.quiet()), out, form="html")
    browser.open(out.as_uri())
    browser.print(printed)
    text = " ".join(" ".join(page.extract_text().split()) for page in pypdf.PdfReader(printed).pages)
    assert "from gcp.sql_instance as instance" in text
    assert "Open all" not in text


def test_hostile_text_stays_text(browser, build, tmp_path) -> None:
    spec = build.mixed()
    control = spec.controls[0]
    found = [build.item(text, "fail", sentence=text, note=text) for text in HOSTILE.values()]
    control.tests = [build.test("no-public-path", found, reason=HOSTILE["html"])]
    control.title = control.objective = control.owner = control.remediation = HOSTILE["html"]
    odd = HOSTILE["css"] + HOSTILE["bidi"] + HOSTILE["html"] + "</script></style>"
    out = tmp_path / "hostile.html"
    render("assessment", build.write(replace(spec, organization=odd, system=odd)), out, form="html")
    browser.open(out.as_uri())
    assert [url for url in browser.asked if not url.startswith("data:")] == [out.as_uri()]
    assert browser.said == []
    assert browser.run("document.querySelectorAll('script').length") == 1
    assert browser.run("document.querySelectorAll('img, iframe, object, embed, link, base').length") == 0
    assert (
        browser.run("[...document.querySelectorAll('a')].filter(a => !a.getAttribute('href').startsWith('#')).length")
        == 0
    )
    text = browser.run("document.body.textContent")
    assert "safe\\u{202e}elif\\u{202c}.exe" in text
    assert not {"\u202e", "\u202c", "\u200b", "\x1b"} & set(text)
    assert HOSTILE["chinese"] in text  # a browser has the fonts


def test_without_scripts_everything_is_still_there(mixed) -> None:
    text = mixed.read_text()
    assert text.count("<script>") == 1
    assert "needle-4711" in text
    assert text.count('class="it"') == ITEMS + 98
    assert '<form class="filters" role="search" aria-label="Filter" hidden>' in text


def test_the_same_bundle_gives_the_same_bytes(build, tmp_path) -> None:
    folder = build.write(build.mixed())
    first = render("assessment", folder, tmp_path / "1.html", form="html")
    assert first.sha256 == render("assessment", folder, tmp_path / "2.html", form="html").sha256


def test_more_items_than_a_browser_likes_are_cut_fairly(build, tmp_path) -> None:
    from compliancectl.report.source import ON_SCREEN, share

    assert share([5, 10, 100_000], ON_SCREEN) == ON_SCREEN - 15
    assert share([100_000, 100_000], ON_SCREEN) == ON_SCREEN // 2
    assert share([3, 4], ON_SCREEN) >= 4
    assert share([], ON_SCREEN) >= 25


def test_the_command_writes_it(build, tmp_path, capsys) -> None:
    out = tmp_path / "a.html"
    folder = build.write(replace(build.quiet(), sealed=False))
    assert run(["report", "assessment", str(folder), "--html", "--output", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert out.read_text().startswith("<!DOCTYPE html>")
    assert "Not sealed." in out.read_text()
