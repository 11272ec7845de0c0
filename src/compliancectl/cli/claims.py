"""`claims`: which public sentences today's evidence supports, which it contradicts, and which nobody registered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from compliancectl.cli.options import DEFAULT_SCOPE, Format, OutputFormat, ScopeFile

if TYPE_CHECKING:
    from compliancectl.assessed import Assessed
    from compliancectl.model.claim import Claim, ClaimPage, ClaimRegister, ClaimResult, ClaimsResult
    from compliancectl.webpage import Comparison


class ShowByDefault(TyperGroup):
    """`claims BUNDLE` means `claims show BUNDLE`: the thing people ask for needs no further word."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `show` in front of arguments that begin with no command."""
        if not args or (args[0] not in self.commands and args[0] not in ("--help", "-h")):
            args = ["show", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=ShowByDefault)

Register = Annotated[
    Path | None,
    typer.Option("--register", help="Register of claims (claims.yaml) instead of the usual one.", metavar="FILE"),
]


@app.callback()
def claims() -> None:
    """Show which public sentences the evidence supports, and find those that are in no register.

    `compliancectl claims BUNDLE` is short for `compliancectl claims show BUNDLE`.
    """


@app.command(epilog="Example: compliancectl claims show bundles/today.zip --earlier bundles/last-month.zip")
def show(
    assessed: Annotated[
        Path | None,
        typer.Argument(help="Bundle (folder or ZIP) or evaluated run; absent: the register alone.", metavar="BUNDLE"),
    ] = None,
    earlier: Annotated[
        list[Path] | None,
        typer.Option("--earlier", help="An assessment of before: says since when. May be repeated.", metavar="BUNDLE"),
    ] = None,
    status: Annotated[
        list[str] | None,
        typer.Option("--status", help="Only claims of this status; may be repeated.", metavar="STATUS"),
    ] = None,
    register: Register = None,
    scope: ScopeFile = DEFAULT_SCOPE,
    format: OutputFormat = Format.text,
) -> int:
    """Show what the evidence makes of each public sentence.

    contradicted: something that it names fails, accepted by a waiver or not. unproven: something that it names was not
    judged. evidenced: all that it names was judged and holds; inherited, when a vendor keeps the promise; planned, when
    it is announced for later. not testable: it says nothing that could be false.

    The register is the one kept in the bundle. Exit code 0 when nothing is contradicted or unproven, 1 when something is
    contradicted, 3 when something is unproven; the highest counts.
    """
    from compliancectl import assessed as reader
    from compliancectl.claims import judge_claims

    wanted = _statuses(status)
    if assessed is None:
        return _register_alone(_register(register, scope), format)
    today = reader.read(assessed)
    chosen = _register(register, scope) if register is not None else today.claims() or _register(None, scope)
    judged = judge_claims(
        chosen, today.results, [same_system(today, reader.read(path)).results for path in earlier or ()]
    )
    if format is Format.json:
        shown = judged.model_copy(update={"claims": tuple(c for c in judged.claims if c.status in wanted)})
        typer.echo(json.dumps(shown.to_json(), indent=2, ensure_ascii=False))
    else:
        _print(judged, chosen, wanted)
    return judged.exit_code


@app.command(epilog="Example: compliancectl claims check --url https://example.com/security --register claims.yaml")
def check(
    page: Annotated[Path | None, typer.Option("--page", help="A saved page: HTML or text.", metavar="FILE")] = None,
    url: Annotated[str | None, typer.Option("--url", help="A page to read from the web.", metavar="URL")] = None,
    id: Annotated[
        str | None, typer.Option("--as", help="Which page of the register it is, if there are several.", metavar="ID")
    ] = None,
    labels: Annotated[
        bool, typer.Option("--labels", help="Also list pieces of fewer than four words that no claim quotes.")
    ] = False,
    register: Register = None,
    scope: ScopeFile = DEFAULT_SCOPE,
    format: OutputFormat = Format.text,
) -> int:
    """Compare a page with the register: sentences that are in no register, registered sentences that have gone.

    Case, white space, quotation marks and markup make no difference. Exit code 1 when the two differ.
    """
    from compliancectl.errors import UsageError
    from compliancectl.webpage import compare, pieces

    if (page is None) == (url is None):
        raise UsageError("name one page", hint="Use either --page FILE or --url URL.")
    chosen = _register(register, scope)
    target = _page(chosen, id, url)
    text = _read_page(page, url)
    found = compare(pieces(text), [claim for claim in chosen.claims if claim.page == target.id])
    if format is Format.json:
        typer.echo(json.dumps(_comparison_json(found, target), indent=2, ensure_ascii=False))
    else:
        _print_comparison(found, target, chosen, labels=labels)
    return 1 if found.gone or found.unregistered else 0


def _statuses(given: list[str] | None) -> tuple[str, ...]:
    from compliancectl.claims import ORDER
    from compliancectl.errors import UsageError
    from compliancectl.load.problems import suggestion

    for status in given or ():
        if status not in ORDER:
            raise UsageError(f'no claim has the status "{status}"', hint=suggestion(status, ORDER))
    return tuple(status for status in ORDER if not given or status in given)


def _register(file: Path | None, scope_file: Path) -> ClaimRegister:
    """The register that is named; else the scope's; else the one that ships."""
    from compliancectl import load
    from compliancectl.cli.project import catalogue, claims_of

    if file is not None:
        return load.load_claims(file, catalogue().controls)
    scope = load.load_scope(scope_file) if scope_file.is_file() or scope_file != DEFAULT_SCOPE else None
    folders = [scope.folder / folder for folder in scope.controls.folders] if scope is not None else []
    return claims_of(scope, catalogue(folders))


def same_system(today: Assessed, before: Assessed) -> Assessed:
    """Hold an earlier assessment to the same system.

    Raises:
        UsageError: if it is about another.
    """
    from compliancectl.errors import UsageError

    for name in ("organization", "system", "environment"):
        mine, theirs = getattr(today.results, name), getattr(before.results, name)
        if mine != theirs:
            raise UsageError(
                f"{before.path} is not about the same {name}: {theirs}, not {mine}",
                hint="Give --earlier assessments of the same system.",
            )
    return before


def _page(register: ClaimRegister, id: str | None, url: str | None) -> ClaimPage:
    from compliancectl.errors import UsageError
    from compliancectl.load.problems import suggestion

    if id is not None:
        page = register.page(id)
        if page is None:
            raise UsageError(f'the register has no page "{id}"', hint=suggestion(id, [p.id for p in register.pages]))
        return page
    if len(register.pages) == 1:
        return register.pages[0]
    by_url = [
        p for p in register.pages if url is not None and p.url is not None and p.url.rstrip("/") == url.rstrip("/")
    ]
    if len(by_url) != 1:
        raise UsageError(
            "the register has several pages", hint=f"Say which with --as: {', '.join(p.id for p in register.pages)}."
        )
    return by_url[0]


def _read_page(page: Path | None, url: str | None) -> str:
    from compliancectl.errors import FileError
    from compliancectl.webpage import decode, fetch

    if page is None:
        assert url is not None
        return fetch(url)
    try:
        return decode(page.read_bytes(), str(page))
    except OSError as error:
        raise FileError(f"The page cannot be read: {error.strerror}.", file=page, hint="Check the path.") from None


def _register_alone(register: ClaimRegister, format: Format) -> int:
    from compliancectl.cli.console import out, safe

    if format is Format.json:
        data = register.model_dump(mode="json", exclude={"claims": {"__all__": {"line", "controls"}}})
        for entry, claim in zip(data["claims"], register.claims, strict=True):
            entry["controls"] = [str(reference) for reference in claim.controls]
        typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
        return 0
    section = None
    for claim in register.claims:
        if (claim.page, claim.section) != section:
            section = (claim.page, claim.section)
            out().print(f"\n[bold]{safe(_heading(claim, register))}[/bold]")
        controls = " ".join(str(reference) for reference in claim.controls)
        out().print(f"  {claim.id:<6} {safe(claim.text)}  [dim]{claim.testable} · {controls}[/dim]")
    out().print(
        f"\n{len(register.claims)} public sentences. `compliancectl claims BUNDLE` says what evidence makes of them."
    )
    return 0


def _heading(claim: Claim, register: ClaimRegister) -> str:
    page = register.page(claim.page)
    title = page.title if page is not None else claim.page
    return f"{title}: {claim.section}" if claim.section else title


_SAYS = {
    "contradicted": "the evidence says otherwise",
    "unproven": "nobody can show it today",
    "evidenced": "the evidence supports it",
    "inherited": "a vendor keeps it, and its evidence is in order",
    "planned": "announced, and in order so far",
    "not testable": "says nothing that could be false",
}


def _print(judged: ClaimsResult, register: ClaimRegister, wanted: tuple[str, ...]) -> None:
    from compliancectl.cli.console import SYMBOLS, out, safe

    console = out()
    console.print(f"[bold]{safe(judged.organization)} · {safe(judged.system)} · {safe(judged.environment)}[/bold]")
    console.print(f"What the evidence of {judged.as_of:%Y-%m-%d %H:%M} UTC makes of what is said in public.")
    console.print(f"\n{_headline(judged)}")
    for status in wanted:
        mine = [claim for claim in judged.claims if claim.status == status]
        if not mine:
            continue
        shape, colour = SYMBOLS[status]
        console.print(f"\n[{colour}]{shape} {status.upper()}[/{colour}]  {len(mine)}  [dim]{_SAYS[status]}[/dim]")
        if status == "unproven":
            _print_unproven(mine)
        else:
            for claim in mine:
                _print_claim(claim)
    console.print(f"\n{sentence(judged)}")


def _headline(judged: ClaimsResult) -> str:
    """`✕ 2 contradicted   ● 23 evidenced   …` in the order that follows below."""
    from collections import Counter

    from compliancectl.claims import ORDER
    from compliancectl.cli.console import SYMBOLS

    counts = Counter(claim.status for claim in judged.claims)
    parts = [(*SYMBOLS[status], counts[status], status) for status in ORDER]
    return "   ".join(f"[{colour}]{shape} {count} {status}[/{colour}]" for shape, colour, count, status in parts)


def _print_claim(claim: ClaimResult) -> None:
    from compliancectl.cli.console import out, safe

    since = f"  [dim]since {claim.since:%Y-%m-%d}[/dim]" if claim.since is not None else ""
    held = [ground for ground in claim.grounds if ground.bearing == "supports"]
    if claim.status == "contradicted":
        out().print(f"  {claim.id:<6} “{safe(claim.text)}”{since}")
        for ground in claim.grounds:
            if ground.bearing == "contradicts":
                out().print(f"         [red]✕[/red] {ground.reference}  {safe(ground.sentence)}")
        if claim.note:
            out().print(f"         [dim]{safe(claim.note)}[/dim]")
        return
    names = ", ".join(ground.reference for ground in held) if claim.status != "not testable" else ""
    out().print(f"  {claim.id:<6} “{safe(claim.text)}”  [dim]{names}[/dim]{since}")


def _print_unproven(mine: list[ClaimResult]) -> None:
    """Grouped by the first thing that is wanting, so that a reader sees what would prove most."""
    from compliancectl.cli.console import out, safe

    groups: dict[str, list[ClaimResult]] = {}
    for claim in mine:
        wanting = next((g.sentence for g in claim.grounds if g.bearing in ("silent", "absent")), None)
        groups.setdefault(wanting or "No control is named.", []).append(claim)
    for reason, members in sorted(groups.items(), key=lambda group: (-len(group[1]), group[0])):
        out().print(f"  [yellow]{safe(reason)}[/yellow]")
        for claim in members:
            since = f"  [dim]since {claim.since:%Y-%m-%d}[/dim]" if claim.since is not None else ""
            out().print(f"  {claim.id:<6} “{safe(claim.text)}”{since}")


def sentence(judged: ClaimsResult) -> str:
    """Say how many claims came out how, with the denominator."""
    from collections import Counter

    counts = Counter(claim.status for claim in judged.claims)
    testable = len(judged.claims) - counts["not testable"]
    parts = [f"Of {testable} public sentences that can be true or false the evidence supports {counts['evidenced']}"]
    parts.append(f"contradicts {counts['contradicted']}")
    tail = [f"{counts['unproven']} are unproven"]
    tail += [
        f"{counts[status]} {'is' if counts[status] == 1 else 'are'} {status}" for status in ("inherited", "planned")
    ]
    return f"{' and '.join(parts)}; {', '.join(tail)}. {counts['not testable']} say nothing that can be tested."


def _comparison_json(found: Comparison, page: ClaimPage) -> dict[str, Any]:
    return {
        "version": 1,
        "page": page.model_dump(mode="json", exclude_none=True),
        "registered": [claim.id for claim in found.found],
        "gone": [{"id": g.claim.id, "text": g.claim.text, "perhaps": g.perhaps} for g in found.gone],
        "unregistered": list(found.unregistered),
        "labels": list(found.labels),
    }


def _print_comparison(found: Comparison, page: ClaimPage, register: ClaimRegister, *, labels: bool) -> None:
    from compliancectl.cli.console import out, safe

    console = out()
    console.print(f"[bold]{safe(page.title)}[/bold]  held against {safe(register.file)}")
    if found.unregistered:
        console.print(
            f"\n[yellow]○ IN NO REGISTER[/yellow]  {len(found.unregistered)}  [dim]said in public, tracked by nobody[/dim]"
        )
        for text in found.unregistered:
            console.print(f"  “{safe(text)}”")
    if found.gone:
        console.print(f"\n[red]✕ GONE[/red]  {len(found.gone)}  [dim]registered, and no longer on the page[/dim]")
        for gone in found.gone:
            console.print(f"  {gone.claim.id:<6} “{safe(gone.claim.text)}”")
            if gone.perhaps:
                console.print(f"         [dim]perhaps now: “{safe(gone.perhaps)}”[/dim]")
    if labels and found.labels:
        console.print(f"\n[dim]– LABELS  {len(found.labels)}  of fewer than four words[/dim]")
        console.print(f"  [dim]{safe(' · '.join(found.labels))}[/dim]")
    total = len(found.found) + len(found.gone)
    console.print(
        f"\n{len(found.found)} of {total} registered sentences stand on the page; {len(found.unregistered)} of its "
        f"sentences are in no register. {len(found.labels)} labels of fewer than four words were not counted."
    )
