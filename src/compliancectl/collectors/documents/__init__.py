"""Documents: a folder of files that people supply, each with a small YAML file beside it that says what it is.

The evidence is the digest of each document and what its sidecar says. The document itself stays where it is, because
contracts and reports hold more than an assessor of one control may see; whoever is handed it can compute its SHA-256 and
compare. Kinds that the scope names are enclosed, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import Field

from compliancectl import canonical, clock
from compliancectl.collectors.base import Collector, Context, Diagnosis, Feed, Fetched, Reply, Session, Target
from compliancectl.collectors.documents import folder as reader
from compliancectl.collectors.documents.kinds import REGISTERS
from compliancectl.collectors.documents.shape import ENCLOSED, shape
from compliancectl.collectors.documents.tables import ALL
from compliancectl.errors import CollectError
from compliancectl.model.base import Model
from compliancectl.model.evidence import Completeness, Principal


class DocumentsConfig(Model):
    """The section `sources.documents` of the scope file."""

    folder: str = Field(min_length=1)
    """Where the documents are, relative to the scope file."""
    enclose: tuple[str, ...] = ()
    """Kinds of documents whose bytes become evidence too: everyone who is given the bundle can read them."""


class DocumentsSession(Session):
    """One folder."""

    def __init__(self, config: DocumentsConfig, context: Context) -> None:
        self.config = config
        self.context = context

    @property
    def folder(self) -> Path:
        """The folder, absolute."""
        return self.context.folder / self.config.folder

    def principal(self) -> Principal:
        """The account that runs the collector."""
        import getpass

        try:
            account = getpass.getuser()
        except (KeyError, OSError):
            account = "an account without a name"
        return Principal(
            subject=account,
            authentication="account of the operating system",
            read_only="files are opened for reading only; whether the account could write is not examined",
        )

    def doctor(self) -> Iterator[Diagnosis]:
        """Read the folder as collect would."""
        subject = f"folder {self.config.folder}"
        try:
            listing = reader.walk(self.folder, self.context.as_of)
        except CollectError as error:
            yield Diagnosis(subject, "missing" if error.status == "denied" else "unknown", error.message, error.hint)
            return
        bare = [document["path"] for document in listing.documents if document["sidecar"] is None]
        yield Diagnosis(subject, "ok", f"{len(listing.documents)} documents, {len(bare)} of them without a sidecar")
        for kind in self.config.enclose:
            there = len(reader.of_kinds(listing, [kind]))
            if there:
                yield Diagnosis(f"enclosed {kind}", "ok", f"documents that become part of the bundle: {there}")
            else:
                fix = f"Correct sources.documents.enclose, or add a document with kind: {kind}."
                yield Diagnosis(f"enclosed {kind}", "missing", "no document is of this kind", fix)

    def close(self) -> None:
        """Nothing is held open."""


def targets(session: DocumentsSession) -> Iterator[Target]:
    """The one folder."""
    yield Target("folder", session.config.folder)


def fetch(session: DocumentsSession, target: Target) -> Fetched:
    """The listing of the whole folder as one reply, and each document to be enclosed as one more."""
    asked = clock.now()
    listing = reader.walk(session.folder, session.context.as_of)
    enclosed = reader.of_kinds(listing, session.config.enclose)
    reader.check_sizes(enclosed)
    body = canonical.to_bytes({"folder": session.config.folder, "documents": listing.documents})
    yield Reply(
        body=body,
        operation=f"read every file in {session.config.folder}",
        status="read",
        requested_at=asked,
        completed_at=clock.now(),
    )
    for document in enclosed:
        asked = clock.now()
        yield Reply(
            body=reader.contents(session.folder, document),
            operation=f"read {document['path']}",
            status="read",
            media_type=document["media_type"],
            requested_at=asked,
            completed_at=clock.now(),
            context={ENCLOSED: document["path"]},
        )
    filters = ["names that begin with a dot are left out"]
    if session.config.enclose:
        filters.append(f"documents enclosed: {len(enclosed)}, of the kinds {', '.join(session.config.enclose)}")
    return Completeness(
        method="a second walk of the folder, after every file was read",
        pages=1 + len(enclosed),
        items=len(listing.documents),
        independent_count=listing.counted,
        filters=tuple(filters),
    )


class DocumentsCollector(Collector[DocumentsConfig, DocumentsSession]):
    """A folder of documents with sidecars."""

    name = "documents"
    system = "Documents"
    config = DocumentsConfig
    feeds = (
        Feed(
            name="files",
            description="Every document in the folder, with its digest and what its sidecar says.",
            tables=ALL,
            targets=targets,
            fetch=fetch,
            shape=shape,
        ),
    )
    workers = 1

    @contextmanager
    def open(self, config: DocumentsConfig, context: Context) -> Iterator[DocumentsSession]:
        """Open a session; nothing is read yet."""
        yield DocumentsSession(config, context)

    def permissions(self) -> str:
        """What the account needs."""
        return _PERMISSIONS + "".join(f"- {kind}: {REGISTERS[kind].header}\n" for kind in sorted(REGISTERS))


_PERMISSIONS = """\
# Documents

The account that runs the collector needs to read the folder and every file in it, and nothing else. Symbolic links
that lead out of the folder are refused.

Beside `restore-2026.pdf` put `restore-2026.pdf.yaml`:

```yaml
kind: restore-test
subject: //cloudsql.googleapis.com/projects/my-project/instances/my-db
title: Restore test 2026
owner: platform
issued: 2026-09-22
restore_test: {performed: 2026-09-21T08:30:00Z, rto_minutes: 41, rpo_minutes: 5, checks_passed: true, signed_by: Head of engineering}
```

The document itself is not copied: its digest, its size and what the sidecar says are the evidence. With
`enclose: [penetration-test]` under `sources.documents`, documents of these kinds become part of the bundle, byte for byte and
with nothing removed, for everyone who is given it. Of a register (a CSV
whose kind ends in -register and is listed below) the declared columns are evidence too; `compliancectl documents new KIND`
begins one. People stand in registers by number or login, not by name.

"""


collector = DocumentsCollector()
