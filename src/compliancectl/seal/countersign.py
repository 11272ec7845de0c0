"""Countersignatures: who else vouches for the same statement, each with a key of their own."""

from __future__ import annotations

from compliancectl.seal import Problem, additions, container, dsse, keys

_MOST = 64 * 1024


def read(members: container.Container, envelope: dsse.Envelope) -> tuple[dsse.Envelope, ...]:
    """Check every countersignature with the key that is enclosed; returns the same statement as each of them signed it.

    Raises:
        Problem: if one is not by its key over this statement, or is the signer's own.
    """
    found = []
    for key_id in additions.countersigners(members.sizes):
        signature, pem = additions.countersign_names(key_id)
        data = container.read(members, pem, limit=_MOST)
        key = keys.parse_public(data)
        if key is None or keys.public_pem(key) != data or dsse.key_id(key) != key_id:
            raise Problem("is not the ECDSA P-256 public key that its name says, plainly written", member=pem)
        if key_id == envelope.key_id:
            raise Problem("is by the signer's own key, which countersigns nothing", member=signature)
        made = dsse.Envelope(envelope.payload, key_id, container.read(members, signature, limit=_MOST))
        if not dsse.verify(made, key):
            raise Problem("is not by its key over this statement", member=signature)
        found.append(made)
    return tuple(found)
