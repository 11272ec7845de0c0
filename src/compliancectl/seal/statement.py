"""The statement: what the signer says, as an in-toto Statement v1 about SHA256SUMS.

One subject, not one per file: verifiers of this format may match a single subject and never notice that a file is
missing, and some refuse more than 1,024. Whoever holds SHA256SUMS holds the digest of everything.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from compliancectl import __version__, canonical
from compliancectl.model.evidence import RunRecord
from compliancectl.model.manifest import (
    BundleInfo,
    Digest,
    Observation,
    Operator,
    Predicate,
    Producer,
    Redaction,
    Resource,
    RunInfo,
    Statement,
    Totals,
)
from compliancectl.model.result import Results
from compliancectl.seal import Problem, sums


def make(
    *,
    run: RunRecord,
    results: Results,
    operator: Operator,
    totals: Totals,
    redaction: Redaction,
    digests: Mapping[str, str],
) -> bytes:
    """Write the statement about a bundle as RFC 8785 bytes. Every time in it comes from the records."""
    subject = Resource(name=sums.NAME, digest=Digest(sha256=canonical.sha256(sums.write(digests))))
    predicate = Predicate(
        bundle=BundleInfo(id=run.id, spec_version=1),
        run=_run(run, results),
        observation=Observation(start=run.period.start, end=run.period.end),
        producer=_producer(run, results),
        operator=operator,
        inputs=_inputs(digests),
        totals=totals,
        redaction=redaction,
    )
    return canonical.to_bytes(Statement(subject=(subject,), predicate=predicate).to_json())


def parse(data: bytes, *, member: str) -> Statement:
    """Read a statement.

    Raises:
        Problem: if it is not RFC 8785 JSON, holds a fraction, or is not a statement of our type.
    """
    from pydantic import ValidationError

    try:
        value = json.loads(data, parse_float=_no_fraction, parse_constant=_no_fraction)
        exact = canonical.to_bytes(value) == data
    except (ValueError, RecursionError) as error:
        raise Problem(f"is not JSON as a statement has it: {error}", member=member) from error
    if not exact:
        raise Problem("is not in RFC 8785 form", member=member)
    try:
        return Statement.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Problem(f"{where}: {first['msg']}", member=member) from error


def _no_fraction(text: str) -> NoReturn:
    raise ValueError(f"the number {text} is not an integer")


def _run(run: RunRecord, results: Results) -> RunInfo:
    if run.finished_at is None or run.status == "open":
        raise Problem("says that the run is still open", member="run.json")
    return RunInfo(
        id=run.id,
        organization=run.organization,
        system=run.system,
        environment=run.environment,
        scope_file=run.scope_file,
        scope_sha256=run.scope_sha256,
        status=run.status,
        started_at=run.started_at,
        finished_at=run.finished_at,
        evaluated_at=results.as_of,
    )


def _producer(run: RunRecord, results: Results) -> Producer:
    return Producer(
        name="compliancectl",
        version=__version__,
        source_digest=Digest(sha256=source_digest()),
        collected_with=run.tool_version,
        evaluated_with=results.tool_version,
        engine=results.engine,
        python=run.python,
        platform=run.platform,
    )


def _inputs(digests: Mapping[str, str]) -> tuple[Resource, ...]:
    chosen = [name for name in sorted(digests) if name == "run.json" or name.startswith("catalog/")]
    return tuple(Resource(name=name, digest=Digest(sha256=digests[name])) for name in chosen)


@functools.cache
def source_digest() -> str:
    """Digest of this program's own Python files, so that a released wheel can be told from an altered one."""
    package = Path(__file__).resolve().parents[1]
    files = {path.relative_to(package).as_posix(): canonical.sha256_file(path) for path in package.rglob("*.py")}
    return canonical.sha256(sums.write(files))
