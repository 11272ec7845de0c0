"""`redactions`: what was removed or replaced, proving one value, and forgetting a person."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compliancectl.cli import checked, console, pipeline
from compliancectl.cli.checked import BundlePath, SignerKey, TrustFile
from compliancectl.cli.events import LedgerFolder, LedgerKey, enter
from compliancectl.cli.options import Format, OutputFormat
from compliancectl.errors import FileError, UsageError, VerifyError
from compliancectl.numbers import counted

if TYPE_CHECKING:
    from compliancectl.model.evidence import EvidenceItem
    from compliancectl.model.redaction import Disclosure

app = typer.Typer(no_args_is_help=True)

Openings = Annotated[
    Path,
    typer.Option("--openings", help="Folder of the openings.", envvar=pipeline.OPENINGS_VARIABLE, metavar="DIR"),
]


@app.callback()
def redactions() -> None:
    """Show what was removed or replaced in a bundle; prove one value, or forget a person.

    `compliancectl run --openings DIR` replaces e-mail addresses and names by pseudonyms and commits to the values in the
    bundle. Only DIR tells whom a pseudonym stands for: keep it apart, as you keep the data themselves. Secrets are never
    replaced: they are removed.
    """


@app.command("list", epilog="Example: compliancectl redactions list bundle.zip")
def list_(bundle: BundlePath, format: OutputFormat = Format.text) -> int:
    """Count what was removed or replaced, per class, and list the pseudonyms."""
    found = _read(bundle)
    counts: dict[str, int] = {}
    for item in found.items:
        for kind, count in item.redactions.items():
            counts[kind] = counts.get(kind, 0) + count
    names: dict[str, int] = {}
    for item in found.items:
        for entry in item.pseudonyms:
            names[entry.pseudonym] = names.get(entry.pseudonym, 0) + entry.count
    if format is Format.json:
        typer.echo(json.dumps({"by_class": counts, "pseudonyms": names}, indent=2, sort_keys=True))
        return 0
    typer.echo("Removed or replaced before hashing, per class:" if counts else "Nothing was removed or replaced.")
    for kind in sorted(counts):
        typer.echo(f"{counts[kind]:>8}  {console.printable(kind)}")
    known = {entry.pseudonym for item in found.items for entry in item.pseudonyms if entry.commitment}
    if names:
        typer.echo("Pseudonyms, and how often each occurs; `redactions open` proves whom one stands for:")
    for name in sorted(names):
        typer.echo(
            f"{names[name]:>8}  {name}" + ("" if name in known else "  (without a commitment: it cannot be opened)")
        )
    return 0


@app.command(
    "open", epilog="Example: compliancectl redactions open bundle.zip person-4ksb… --openings ~/openings -o p.json"
)
def open_(
    bundle: BundlePath,
    pseudonym: Annotated[str, typer.Argument(help="The pseudonym, as the evidence has it.")],
    openings: Openings,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; must be new. Default: print.", metavar="FILE")
    ] = None,
    ledger: LedgerFolder = None,
    ledger_key: LedgerKey = None,
) -> int:
    """Write what proves to an auditor which value one pseudonym stands for, and says nothing about any other.

    The auditor runs `compliancectl redactions check BUNDLE FILE`. With --ledger the disclosure is entered there.
    """
    from compliancectl import canonical, disk, redaction
    from compliancectl.model.redaction import Disclosure

    found = _read(bundle)
    opening = next((o for o in redaction.read(openings) if o.pseudonym == pseudonym), None)
    if opening is None:
        hint = "`compliancectl redactions list` shows the pseudonyms; an opening may have been destroyed."
        raise UsageError(f"there is no opening of {pseudonym!r} in {openings}", hint=hint)
    text = redaction.disclosure(opening)
    if redaction.commitment(text) not in found.commitments(pseudonym):
        raise UsageError(f"the bundle does not commit to {pseudonym}", hint="Was it made with these openings?")
    data = Disclosure(run_id=found.run_id, statement_sha256=found.statement, pseudonym=pseudonym, disclosure=text)
    line = canonical.to_lines([data.to_json()])
    enter(ledger, ledger_key, "disclose", bundle, f"opened {pseudonym}")
    if output is None:
        typer.echo(line.decode(), nl=False)
        return 0
    disk.refuse_sealed(output)
    with disk.output_errors(output), output.open("xb") as stream:
        stream.write(line)
    typer.echo(output)
    return 0


@app.command(epilog="Example: compliancectl redactions check bundle.zip person.json --key signer.pub.pem")
def check(
    bundle: BundlePath,
    file: Annotated[Path, typer.Argument(help="What `redactions open` wrote.", metavar="FILE")],
    key: SignerKey = None,
    trust: TrustFile = None,
) -> int:
    """Check which value a pseudonym stands for, by the commitment under the bundle's seal.

    Exit code 0: it is so. 4: the bundle does not verify, or it does not commit to this value.
    """
    from compliancectl import redaction

    said = _disclosure(file)
    checked.check(bundle, key, trust)
    found = _read(bundle)
    if (said.run_id, said.statement_sha256) != (found.run_id, found.statement):
        raise VerifyError("it was made for another bundle", step=0, file=file, hint=_ASK)
    opened = redaction.disclosed(said.disclosure)
    if opened is None or opened[0] != said.pseudonym:
        raise VerifyError(f"it does not open {said.pseudonym}", step=0, file=file, hint=_ASK)
    if redaction.commitment(said.disclosure) not in found.commitments(said.pseudonym):
        message = f"the bundle does not commit {said.pseudonym} to this value"
        raise VerifyError(message, step=0, file=file, hint=_ASK)
    places = [(i.id, entry) for i in found.items for entry in i.pseudonyms if entry.pseudonym == said.pseudonym]
    typer.echo(f"● {said.pseudonym} stands for the {places[0][1].kind} {console.printable(opened[1])!r}")
    for id, entry in places:
        typer.echo(f"  {counted(entry.count, 'time')} in {console.printable(id)}")
    return 0


@app.command(epilog="Example: compliancectl redactions destroy --openings ~/openings --value jo@example.org")
def destroy(
    openings: Openings,
    value: Annotated[list[str] | None, typer.Option("--value", help="The value itself; may be repeated.")] = None,
    pseudonym: Annotated[
        list[str] | None, typer.Option("--pseudonym", help="The pseudonym; may be repeated.", metavar="NAME")
    ] = None,
    all: Annotated[bool, typer.Option("--all", help="Every opening there is.")] = False,
) -> int:
    """Destroy openings for good: nobody can tell any more whom the pseudonyms stood for. Every bundle still verifies.

    Copies and backups of the folder, disclosures that were handed out, and what the storage below keeps of old files are
    yours to destroy.
    """
    from compliancectl import redaction

    if not (value or pseudonym or all):
        raise UsageError("it is not said which openings to destroy", hint="Give --value, --pseudonym, or --all.")
    gone = redaction.destroy(openings, lambda o: all or o.value in (value or ()) or o.pseudonym in (pseudonym or ()))
    missing = {*(value or ()), *(pseudonym or ())} - {part for o in gone for part in (o.value, o.pseudonym)}
    typer.echo(f"{counted(len(gone), 'opening')} destroyed")
    if missing:
        raise UsageError(f"there was none of {', '.join(sorted(missing))}", hint="Look for another spelling.")
    return 0


_ASK = "Ask the preparer for the opening of this pseudonym in this very bundle."


@dataclass(frozen=True)
class _Found:
    run_id: str
    statement: str
    items: tuple[EvidenceItem, ...]

    def commitments(self, pseudonym: str) -> set[str | None]:
        """What the items commit a pseudonym to."""
        return {e.commitment for i in self.items for e in i.pseudonyms if e.pseudonym == pseudonym} - {None}


def _read(bundle: Path) -> _Found:
    """The items of a sealed bundle, and what names the bundle."""
    from compliancectl import canonical
    from compliancectl.seal import Problem, archive, container, names, records, statement

    if not bundle.exists():
        raise UsageError(f"{bundle} does not exist", hint="Name a bundle: the folder, or its ZIP.")
    member, limit = "seal/statement.json", 256 * 1024**2
    try:
        with archive.opened(bundle) as members:
            data = container.read(members, member, limit=limit)
            run_id = statement.parse(data, member=member).predicate.run.id
            kept = {
                name: container.read(members, name, limit=limit)
                for name in members.sizes
                if name.startswith("evidence/") and names.is_record(name)
            }
        items = records.load(records.Files({}, {}, kept)).items
    except Problem as problem:
        raise FileError(problem.message, file=f"{bundle}/{problem.member or ''}", hint=problem.hint) from problem
    return _Found(run_id, canonical.sha256(data), tuple(items.values()))


def _disclosure(file: Path) -> Disclosure:
    from compliancectl.model.redaction import Disclosure

    try:
        return Disclosure.model_validate_json(file.read_bytes())
    except OSError as error:
        raise FileError(f"it cannot be read: {error.strerror}", file=file, hint="Check the path.") from error
    except ValueError as error:
        raise FileError("this is not what `redactions open` writes", file=file, hint=_ASK) from error
