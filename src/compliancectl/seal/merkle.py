"""The Merkle tree of RFC 6962, section 2.1: root, inclusion proof, consistency proof, and how each is checked.

Written here because it is forty lines; the trees that packages offer keep their own storage and proof formats. Hashes
are of domain-separated bytes, so that a leaf can never pass for a node.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def leaf(data: bytes) -> bytes:
    """The hash of one entry."""
    return hashlib.sha256(b"\0" + data).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes; that of no leaf is the hash of nothing."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    split = _split(len(leaves))
    return _node(root(leaves[:split]), root(leaves[split:]))


def inclusion(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The hashes that lead from the leaf at `index` to the root, nearest first."""
    if len(leaves) == 1:
        return []
    split = _split(len(leaves))
    if index < split:
        return [*inclusion(leaves[:split], index), root(leaves[split:])]
    return [*inclusion(leaves[split:], index - split), root(leaves[:split])]


def root_by_inclusion(hash: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes | None:
    """The root that a leaf hash and its proof lead to; None if the proof has another length than it must have."""
    if not 0 <= index < size:
        return None
    if size == 1:
        return hash if not proof else None
    if not proof:
        return None
    split, rest, last = _split(size), proof[:-1], proof[-1]
    if index < split:
        left = root_by_inclusion(hash, index, split, rest)
        return _node(left, last) if left is not None else None
    right = root_by_inclusion(hash, index - split, size - split, rest)
    return _node(last, right) if right is not None else None


def consistency(leaves: Sequence[bytes], old: int) -> list[bytes]:
    """The hashes that show that the tree of the first `old` leaves (at least one) is the beginning of this one."""
    return _consistency(leaves, old, whole=True)


def _consistency(leaves: Sequence[bytes], old: int, *, whole: bool) -> list[bytes]:
    if old == len(leaves):
        return [] if whole else [root(leaves)]
    split = _split(len(leaves))
    if old <= split:
        return [*_consistency(leaves[:split], old, whole=whole), root(leaves[split:])]
    return [*_consistency(leaves[split:], old - split, whole=False), root(leaves[:split])]


def is_consistent(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """True if the proof shows that a tree of `old` leaves (at least one) is the beginning of one of `new` leaves."""
    if not 0 < old <= new:
        return False
    found = _roots(old, new, list(proof), old_root)
    return found == (old_root, new_root)


def _roots(old: int, new: int, proof: list[bytes], whole: bytes | None) -> tuple[bytes, bytes] | None:
    """Old and new root as the proof has them; `whole` is the old root while the old tree is a whole left part."""
    if old == new:
        if whole is not None:
            return (whole, whole) if not proof else None
        return (proof[0], proof[0]) if len(proof) == 1 else None
    if not proof:
        return None
    split, rest, last = _split(new), proof[:-1], proof[-1]
    if old <= split:
        found = _roots(old, split, rest, whole)
        return (found[0], _node(found[1], last)) if found else None
    found = _roots(old - split, new - split, rest, None)
    return (_node(last, found[0]), _node(last, found[1])) if found else None


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)
