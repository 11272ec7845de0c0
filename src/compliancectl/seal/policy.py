"""What a trust policy makes of the signer, countersignatures, time stamps and the run."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from compliancectl import clock
from compliancectl.model.manifest import RunInfo, Signer, TimeStamp
from compliancectl.model.trust import Trust
from compliancectl.seal import Problem, Skipped, additions, container, countersign, dsse, identity, timestamp

_MOST = 1024**2
_SKEW = timedelta(minutes=5)
"""By so much a verifier's clock may be behind an authority's."""


def signed(
    members: container.Container, envelope: dsse.Envelope, trust: Trust | None, finished: datetime
) -> tuple[Signer, str]:
    """Say who signed, if the policy trusts the key or the identity for what was finished at an instant.

    Returns:
        The signer, and a sentence.

    Raises:
        Problem: if the policy trusts neither, or not for that time, or what is enclosed does not prove the identity.
        Skipped: if there is no policy, or the identity cannot be checked here.
    """
    key_id, enclosed = envelope.key_id, identity.read(members, envelope)
    claim = (
        f" Its certificate, which was not checked, names {_and(enclosed.names)}." if enclosed and enclosed.names else ""
    )
    if trust is None:
        lists = "list their identity in a trust file" if enclosed else "give it with --key, or list it in a trust file"
        obtain = "Ask the signer who signs" if enclosed else "Obtain the signer's public key from them"
        raise Skipped(f"Signed by key {key_id}, which you have not said you trust.{claim}", f"{obtain}, and {lists}.")
    known = trust.find(key_id)
    if known:
        valid = [key for key in known if key.covers(finished)]
        if not valid:
            raise Problem(f"You trust the key {known[0].name!r}, but not for a run of {clock.text(finished)}")
        return Signer(key_id=key_id, name=valid[0].name), f"You trust this key as {valid[0].name!r}."
    signer = _identified(enclosed, key_id, trust, finished) if enclosed else None
    if signer is None:
        raise Problem(
            f"Signed by key {key_id}, which is not one that you trust.{claim}",
            hint="Ask the signer whether this is theirs, by another way than the one the bundle came by.",
        )
    return signer, f"Signed by {signer.identity}, says {signer.issuer}; you trust it as {signer.name!r}."


def _identified(enclosed: identity.Enclosed, key_id: str, trust: Trust, finished: datetime) -> Signer | None:
    """Whose the key was; None if the certificate is for nobody whom the policy names."""
    known = identity.candidates(enclosed, trust.identities)
    problem: Problem | None = None
    for one in known:
        if not (one.covers(finished) and one.covers(enclosed.not_before)):
            problem = problem or Problem(
                f"You trust the identity {one.name!r}, but not for a run of {clock.text(finished)} "
                f"that was signed {clock.text(enclosed.not_before)}"
            )
            continue
        try:
            identity.prove(enclosed, one)
        except Problem as found:
            problem = found
            continue
        return Signer(
            key_id=key_id,
            name=one.name,
            identity=one.identity,
            issuer=one.issuer,
            signed_after=enclosed.not_before,
            signed_before=enclosed.not_after,
        )
    if problem:
        raise problem
    return None


def refuse_strays(names: Iterable[str], signers: set[str]) -> None:
    """Refuse an identity that is enclosed about a key with which nothing was signed here.

    Raises:
        Problem: naming it.
    """
    for key_id in sorted(additions.identities(names) - signers):
        raise Problem("is about a key that signed nothing here", member=additions.identity_name(key_id))


def countersigned(
    members: container.Container, envelope: dsse.Envelope, trust: Trust | None, run: RunInfo, signer: Signer | None
) -> tuple[tuple[Signer, ...], str]:
    """Check every countersignature, and that all signed whom the policy names.

    Returns:
        Whose they are (the name only if the policy trusts the key for the time of the run), and a sentence.

    Raises:
        Problem: if a countersignature is not what it seems, or one that the policy demands is not there.
        Skipped: if it is by an identity that the policy trusts, which cannot be checked here.
    """
    made = countersign.read(members, envelope)
    refuse_strays(members.sizes, {envelope.key_id, *(one.key_id for one in made)})
    found = tuple(_countersigner(members, one, trust, run) for one in made)
    if signer and signer.identity and any(one.identity and one.name == signer.name for one in found):
        raise Problem(f"{signer.name!r} countersigned their own signature, which adds nothing")
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
        f"by a key that you do not trust, or whose owner: {_and(strangers)}" if strangers else "",
    ]
    return found, f"Countersigned {'; '.join(part for part in parts if part)}."


def stamped(
    members: container.Container,
    signature: bytes,
    trust: Trust | None,
    run: RunInfo,
    signer: Signer | None,
    now: datetime | None,
) -> tuple[tuple[TimeStamp, ...], str]:
    """Check every time stamp, and that the policy's authorities say what it demands.

    Returns:
        The stamps, sorted by time (with the authority only if the policy trusts it), and a sentence.

    Raises:
        Problem: if a stamp is about another signature, comes from nobody whom the policy trusts, is of the future,
            earlier than the run or too late, or the key was not trusted any more when it was made.
    """
    found = []
    for name in additions.timestamps(members.sizes):
        data = container.read(members, name, limit=_MOST)
        stamp = timestamp.read(data, signature, member=name)
        found.append(TimeStamp(time=stamp.time, authority=_authority(data, signature, trust, name)))
    found.sort(key=lambda stamp: stamp.time)
    sure = [stamp for stamp in found if stamp.authority]
    if found and not sure and trust and trust.authorities:
        raise Problem("None of the time stamps is by an authority that you trust, or they were altered")
    if sure and now is not None and sure[-1].time > now + _SKEW:
        raise Problem(f"A time stamp by {sure[-1].authority!r} is of the future: {clock.text(sure[-1].time)}")
    if trust is not None:
        _check_times(sure, trust, run, signer)
    if signer and signer.signed_before and not sure:
        return tuple(found), f"Sealed by {clock.text(signer.signed_before)} at the latest, as certificate and log show."
    if found and not sure:
        return (
            tuple(found),
            f"{len(found)} enclosed, about this signature. You name no authority, so they prove nothing.",
        )
    if not sure:
        asked = ", and you do not ask for one" if trust and trust.authorities else ""
        return (), f"There is none{asked}: the times are the signer's own."
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
        check_age(asked.max_age_days, run.finished_at, now, f"The run finished {clock.text(run.finished_at)}")
    met = ", ".join(name.replace("_", " ") for name in type(asked).model_fields if getattr(asked, name))
    return f"The bundle meets what your trust policy asks for: {met}." if met else "Your trust policy asks no more."


def _countersigner(members: container.Container, made: dsse.Envelope, trust: Trust | None, run: RunInfo) -> Signer:
    """Whose a countersignature is; the name only if the policy trusts the key, or the identity whose key it was."""
    enclosed = identity.read(members, made)
    name = _name(made.key_id, trust, run.finished_at)
    known = _identified(enclosed, made.key_id, trust, run.finished_at) if enclosed and trust and not name else None
    return known or Signer(key_id=made.key_id, name=name)


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
    times = [stamp.time for stamp in sure]
    if signer and signer.signed_before:
        times.append(signer.signed_before)
    if not times:
        if hours is not None:
            raise Problem(f"There is no time stamp; you ask for one within {hours} hours of the run")
        return
    first, finished = min(times), run.finished_at
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


def check_age(days: int, then: datetime, now: datetime | None, said: str) -> None:
    """Refuse what is older than so many days, or of the future; `said` is the sentence about `then`.

    Raises:
        Problem: if it is.
        Skipped: if it is not known what time it is now.
    """
    if now is None:
        raise Skipped("The age of the bundle was not looked at: it is not known what time it is now.", "")
    if then > now:
        raise Problem(f"{said}, which is in the future")
    if now - then > timedelta(days=days):
        raise Problem(
            f"{said}, more than {days} days ago",
            hint="Ask for a newer one: this may be handed over in place of one that shows something else.",
        )


def _and(names: Iterable[str]) -> str:
    return " and ".join(names)
