"""What a trust policy makes of countersignatures, time stamps and the run: the last three steps of verification."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from compliancectl import clock
from compliancectl.model.manifest import RunInfo, Signer, TimeStamp
from compliancectl.model.trust import Trust
from compliancectl.seal import Problem, Skipped, additions, container, countersign, dsse, timestamp

_MOST = 1024**2


def countersigned(
    members: container.Container, envelope: dsse.Envelope, trust: Trust | None, run: RunInfo, signer: Signer | None
) -> tuple[tuple[Signer, ...], str]:
    """Check every countersignature, and that all signed whom the policy names.

    Returns:
        Whose they are (the name only if the policy trusts the key for the time of the run), and a sentence.

    Raises:
        Problem: if a countersignature is not what it seems, or one that the policy demands is not there.
    """
    ids = countersign.read(members, envelope)
    found = tuple(Signer(key_id=id, name=_name(id, trust, run.finished_at)) for id in ids)
    names = {s.name for s in (*found, *([signer] if signer else [])) if s.name}
    missing = [name for name in (trust.require.signers if trust else ()) if name not in names]
    if missing:
        raise Problem(
            f"There is no signature of {_and(missing)}, which you ask for",
            hint="Ask for the countersigned bundle: what is removed from a seal leaves no trace but this.",
        )
    if not found:
        return found, "Nobody countersigned, and you do not ask for it."
    trusted = [repr(s.name) for s in found if s.name]
    strangers = [s.key_id[:16] + "…" for s in found if not s.name]
    parts = [
        f"by {_and(trusted)}" if trusted else "",
        f"by a key that you do not trust: {_and(strangers)}" if strangers else "",
    ]
    return found, f"Countersigned {'; '.join(part for part in parts if part)}."


def stamped(
    members: container.Container, signature: bytes, trust: Trust | None, run: RunInfo, signer: Signer | None
) -> tuple[tuple[TimeStamp, ...], str]:
    """Check every time stamp, and that the policy's authorities say what it demands.

    Returns:
        The stamps, sorted by time (with the authority only if the policy trusts it), and a sentence.

    Raises:
        Problem: if a stamp is about another signature, comes from nobody whom the policy trusts, is earlier than the
            run or too late, or the key was not trusted any more when it was made.
    """
    found = []
    for name in additions.timestamps(members.sizes):
        data = container.read(members, name, limit=_MOST)
        stamp = timestamp.read(data, signature, member=name)
        found.append(TimeStamp(time=stamp.time, authority=_authority(data, signature, trust, name)))
    found.sort(key=lambda stamp: stamp.time)
    if trust is None or not trust.authorities:
        if not found:
            return (), "There is none: the times are the signer's own."
        return tuple(
            found
        ), f"{len(found)} enclosed, about this signature. You name no authority, so they prove nothing."
    sure = [stamp for stamp in found if stamp.authority]
    if found and not sure:
        raise Problem("None of the time stamps is by an authority that you trust, or they were altered")
    _check_times(sure, trust, run, signer)
    if not sure:
        return tuple(found), "There is none, and you do not ask for one: the times are the signer's own."
    first = sure[0]
    others = (
        f" {len(found) - len(sure)} more are by authorities that you do not name." if len(found) > len(sure) else ""
    )
    return tuple(found), f"Sealed by {clock.text(first.time)} at the latest, says {first.authority!r}.{others}"


def demanded(trust: Trust | None, run: RunInfo, now: datetime | None) -> str:
    """Hold the run against what the policy demands of it; returns a sentence.

    Raises:
        Problem: if it is about something else, partial, or too old.
        Skipped: if its age cannot be told.
    """
    if trust is None:
        return "Nothing: you gave no trust policy."
    asked = trust.require
    for name in ("organization", "system", "environment"):
        wanted, stated = getattr(asked, name), getattr(run, name)
        if wanted is not None and stated != wanted:
            raise Problem(f"The bundle is about the {name} {stated!r}; you ask for {wanted!r}")
    if asked.complete and run.status != "complete":
        raise Problem("The run is partial; you ask for a complete one")
    if asked.max_age_days is not None:
        _check_age(asked.max_age_days, run.finished_at, now)
    met = ", ".join(name.replace("_", " ") for name in type(asked).model_fields if getattr(asked, name))
    return f"The bundle meets what your trust policy asks for: {met}." if met else "Your trust policy asks no more."


def _name(key_id: str, trust: Trust | None, finished: datetime) -> str | None:
    known = trust.find(key_id) if trust else ()
    return next((key.name for key in known if key.covers(finished)), None)


def _authority(data: bytes, signature: bytes, trust: Trust | None, member: str) -> str | None:
    from cryptography.x509 import load_pem_x509_certificates

    for authority in trust.authorities if trust else ():
        if timestamp.is_by(data, signature, load_pem_x509_certificates(authority.certificates.encode()), member=member):
            return authority.name
    return None


def _check_times(sure: list[TimeStamp], trust: Trust, run: RunInfo, signer: Signer | None) -> None:
    authorities = {stamp.authority for stamp in sure}
    if len(authorities) < trust.require.timestamps:
        raise Problem(
            f"There are time stamps by {len(authorities)} of your authorities; you ask for {trust.require.timestamps}"
        )
    hours = trust.require.stamped_within_hours
    if not sure:
        if hours is not None:
            raise Problem(f"There is no time stamp; you ask for one within {hours} hours of the run")
        return
    first, finished = sure[0].time, run.finished_at
    # Authorities state whole seconds, some of them cut off.
    if first < finished - timedelta(seconds=1):
        raise Problem(f"The run says it finished {clock.text(finished)}, after it was sealed ({clock.text(first)})")
    if hours is not None and first - finished > timedelta(hours=hours):
        raise Problem(
            f"The run finished {clock.text(finished)}, but its seal existed only {clock.text(first)}, "
            f"more than {hours} hours later: it may be dated back"
        )
    keys = trust.find(signer.key_id) if signer else ()
    if keys and not any(key.covers(first) for key in keys):
        raise Problem(f"The seal was made {clock.text(first)}, when you did not trust the key {keys[0].name!r}")


def _check_age(days: int, finished: datetime, now: datetime | None) -> None:
    if now is None:
        raise Skipped("The age of the bundle was not looked at: it is not known what time it is now.", "")
    if finished > now:
        raise Problem(f"The run says that it finished {clock.text(finished)}, which is in the future")
    if now - finished > timedelta(days=days):
        raise Problem(
            f"The run finished {clock.text(finished)}, more than {days} days ago",
            hint="Ask for a newer bundle: this one may be handed over in place of one that shows something else.",
        )


def _and(names: Iterable[str]) -> str:
    return " and ".join(names)
