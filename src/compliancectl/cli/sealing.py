"""`timestamp`, `countersign`: add a third party's word to a sealed bundle. `sigstore`: its envelope for other programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compliancectl.cli import console, pipeline

if TYPE_CHECKING:
    from compliancectl.seal.container import Container

app = typer.Typer()

Bundle = Annotated[Path, typer.Argument(help="Bundle: folder or ZIP. It is only read.")]
Folder = Annotated[
    Path | None, typer.Option("--output", "-o", help="Folder for the new bundle; must be new.", metavar="DIR")
]
Zip = Annotated[Path | None, typer.Option("--zip", help="Write the new bundle as this ZIP.", metavar="FILE")]
Key = Annotated[
    Path | None, typer.Option("--signer", help="Public key of the signer, to verify with first.", metavar="FILE")
]
Trust = Annotated[Path | None, typer.Option("--trust", help="Trust policy, to verify by first.", metavar="FILE")]


@app.command(epilog="Example: compliancectl timestamp bundle.zip --authority https://tsa.example/tsr --zip stamped.zip")
def timestamp(
    bundle: Bundle,
    authority: Annotated[
        str,
        typer.Option(
            "--authority",
            help="Address of an RFC 3161 time stamp authority.",
            envvar=pipeline.AUTHORITY_VARIABLE,
            metavar="URL",
        ),
    ],
    output: Folder = None,
    archive: Zip = None,
) -> int:
    """Add a time stamp over the seal's signature; only the signature's digest is sent.

    It shows that the seal existed at that instant, so that nobody, the holder of the key included, can date it back
    any further. A bundle is never changed: this writes a new one with the same files and the time stamp.
    """
    from compliancectl.seal import additions
    from compliancectl.seal import timestamp as stamping

    def make(members: Container, signature: bytes) -> dict[str, bytes]:
        name = additions.next_timestamp(members.sizes)
        with console.step("asking for a time stamp"):
            return {name: stamping.ask(authority, signature)}

    return _extend(bundle, output, archive, None, None, make)


@app.command(epilog="Example: compliancectl countersign bundle.zip --key lead.pem --signer ci.pub.pem --zip final.zip")
def countersign(
    bundle: Bundle,
    key: Annotated[
        str, typer.Option("--key", "-k", help="Your signing key: a PEM file, gcpkms://…, or sigstore:.", metavar="KEY")
    ],
    output: Folder = None,
    archive: Zip = None,
    signer: Key = None,
    trust: Trust = None,
) -> int:
    """Sign the statement of a sealed bundle with a second key, as whoever reviewed it.

    The bundle is verified first, by --signer or --trust: countersign nothing that you have not verified. A bundle is
    never changed: this writes a new one with the same files and your signature. Whoever wants both signatures says so
    in their trust policy: `require: {signers: [...]}`.
    """
    from compliancectl.errors import UsageError
    from compliancectl.seal import additions, dsse, signers

    if signer is None and trust is None:
        raise UsageError("it is not said who must have signed the bundle", hint="Give --signer or --trust.")
    mine = signers.load(key)

    def make(members: Container, signature: bytes) -> dict[str, bytes]:
        sealed = dsse.parse(_read(members, "seal/evidence.intoto.jsonl"), member="seal/evidence.intoto.jsonl")
        with console.step("countersigning"):
            made = mine.sign(sealed.payload)
        if made.envelope.key_id in (sealed.key_id, *additions.countersigners(members.sizes)):
            raise UsageError("this key has signed the bundle already", hint="Countersign with another person's key.")
        return made.countersignature()

    return _extend(bundle, output, archive, signer, trust, make)


@app.command(epilog="Example: compliancectl sigstore bundle.zip -o evidence.sigstore.json")
def sigstore(
    bundle: Bundle,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write; must be new.", metavar="FILE")],
    by: Annotated[
        str | None, typer.Option("--by", help="Key id of a countersigner, instead of the signer's.", metavar="KEY-ID")
    ] = None,
) -> int:
    """Write the signed statement as a Sigstore bundle v0.3, for cosign and other programs.

    It holds the same signature, and is about SHA256SUMS; where an identity signed, it is what the bundle encloses. With
    the signer's key, for example:

    \b
    cosign verify-blob-attestation --bundle evidence.sigstore.json --key signer.pub.pem --insecure-ignore-tlog
      --type https://compliancectl.dev/attestation/evidence-bundle/v1 SHA256SUMS
    """  # noqa: D301 - the \\b keeps click from filling the example's lines
    from compliancectl import disk
    from compliancectl.errors import FileError, UsageError
    from compliancectl.seal import Problem, additions, dsse, identity
    from compliancectl.seal import archive as zip_archive
    from compliancectl.seal import sigstore as form

    if not bundle.exists():
        raise UsageError(f"{bundle} does not exist", hint="Name a bundle: the folder, or its ZIP.")
    disk.refuse_sealed(output)
    try:
        with zip_archive.opened(bundle) as members:
            envelope = dsse.parse(_read(members, "seal/evidence.intoto.jsonl"), member="seal/evidence.intoto.jsonl")
            stamps = [_read(members, name) for name in additions.timestamps(members.sizes)]
            if by is not None and by != envelope.key_id:
                name, _ = additions.countersign_names(by)
                envelope, stamps = dsse.Envelope(envelope.payload, by, _read(members, name)), []
            enclosed = identity.read(members, envelope)
    except Problem as problem:
        raise FileError(problem.message, file=f"{bundle}/{problem.member}", hint=problem.hint) from problem
    with disk.output_errors(output), output.open("xb") as stream:
        stream.write(enclosed.data if enclosed else form.write(envelope, stamps))
    typer.echo(output)
    return 0


def _extend(
    bundle: Path,
    folder: Path | None,
    packed: Path | None,
    key: Path | None,
    trust: Path | None,
    make: Callable[[Container, bytes], dict[str, bytes]],
) -> int:
    from compliancectl.cli.verification import check_first
    from compliancectl.errors import FileError, NotReadyError, UsageError
    from compliancectl.seal import Problem, additions, statement
    from compliancectl.seal import archive as zip_archive

    if not bundle.exists():
        raise UsageError(f"{bundle} does not exist", hint="Name a bundle: the folder, or its ZIP.")
    if folder is None and packed is None:
        raise UsageError("there is nowhere to write to", hint="Give --output, --zip, or both.")
    code = check_first(bundle, key, trust)
    if code and (key or trust):
        raise NotReadyError(f"{bundle} is not fully verified", hint="`compliancectl verify` says what is missing.")
    try:
        with zip_archive.opened(bundle) as members:
            added = make(members, _read(members, "seal/statement.sig"))
            said = statement.parse(_read(members, "seal/statement.json"), member="seal/statement.json")
        with console.step("writing the new bundle"):
            additions.extend(bundle, added, said.predicate.bundle.id, folder=folder, packed=packed)
    except Problem as problem:
        raise FileError(problem.message, file=f"{bundle}/{problem.member}", hint=problem.hint) from problem
    for place in (folder, packed):
        if place is not None:
            typer.echo(place)
    return 0


def _read(members: Container, name: str) -> bytes:
    from compliancectl.seal import container

    return container.read(members, name, limit=16 * 1024**2)
