"""The tree, its proofs and the notes, against published vectors, a second way to compute them, and openssl."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compliancectl.errors import FileError
from compliancectl.seal import Problem, merkle, note

ENTRIES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
LEAVES = [merkle.leaf(bytes([number])) for number in range(40)]


def bottom_up(leaves: list[bytes]) -> bytes:
    """The root as one computes it level by level; an odd node moves up as it is."""
    while len(leaves) > 1:
        pairs = [hashlib.sha256(b"\1" + a + b).digest() for a, b in zip(leaves[::2], leaves[1::2], strict=False)]
        leaves = pairs + ([leaves[-1]] if len(leaves) % 2 else [])
    return leaves[0]


def test_the_root_is_that_of_certificate_transparency() -> None:
    leaves = [merkle.leaf(bytes.fromhex(entry)) for entry in ENTRIES]
    assert merkle.root([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert merkle.root(leaves[:1]).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert merkle.root(leaves).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


def test_every_proof_up_to_forty_leaves_holds_and_only_for_its_place() -> None:
    for size in range(1, len(LEAVES) + 1):
        root = merkle.root(LEAVES[:size])
        assert root == bottom_up(LEAVES[:size])
        for index in range(size):
            proof = merkle.inclusion(LEAVES[:size], index)
            assert merkle.root_by_inclusion(LEAVES[index], index, size, proof) == root
            assert merkle.root_by_inclusion(LEAVES[(index + 1) % 40], index, size, proof) != root
            assert merkle.root_by_inclusion(LEAVES[index], index, size, [*proof, root]) != root
        for old in range(1, size + 1):
            shown = merkle.consistency(LEAVES[:size], old)
            before = merkle.root(LEAVES[:old])
            assert merkle.is_consistent(old, before, size, root, shown)
            assert not merkle.is_consistent(old, merkle.leaf(b"other"), size, root, shown)
            assert not merkle.is_consistent(old, before, size, merkle.leaf(b"other"), shown)
            assert not merkle.is_consistent(old, before, size, root, [*shown, root])


@given(st.integers(2, 40), st.data())
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine proves nothing
def test_a_forged_proof_of_consistency_does_not_hold(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, size - 1))
    proof = merkle.consistency(LEAVES[:size], old)
    place = data.draw(st.integers(0, len(proof) - 1))
    proof[place] = data.draw(st.binary(min_size=32, max_size=32).filter(lambda other: other != proof[place]))
    assert not merkle.is_consistent(old, merkle.root(LEAVES[:old]), size, merkle.root(LEAVES[:size]), proof)


def test_a_checkpoint_is_read_by_its_key_alone(tmp_path: Path) -> None:
    mine, other = note.new_key(tmp_path / "a.pem", "a.example/log"), note.new_key(tmp_path / "b.pem", "a.example/log")
    data = note.sign(note.Checkpoint("a.example/log", 3, LEAVES[0]), mine)
    assert data.startswith(b"a.example/log\n3\n")
    assert note.read(data, mine.verifier, member="x") == note.Checkpoint("a.example/log", 3, LEAVES[0])
    cosigned = data + f"\N{EM DASH} witness.example {base64.b64encode(b'1234' + bytes(64)).decode()}\n".encode()
    assert note.read(cosigned, mine.verifier, member="x").size == 3
    for bad, part in (
        (data.replace(b"\n3\n", b"\n4\n"), "not signed by the ledger's key"),
        (data.replace(b"\n3\n", b"\n03\n"), "plainly written"),
        (data.replace(b"a.example/log\n3", b"b.example/log\n3"), "is of the ledger 'b.example/log'"),
        (data[:-1], "plainly written"),
        (b"", "not a checkpoint"),
    ):
        with pytest.raises(Problem, match=part):
            note.read(bad, mine.verifier, member="x")
    with pytest.raises(Problem, match="not signed"):
        note.read(data, other.verifier, member="x")


def test_openssl_reads_the_signature_of_a_checkpoint(tmp_path: Path) -> None:
    key = note.new_key(tmp_path / "key.pem", "a.example/log")
    checkpoint = note.Checkpoint("a.example/log", 3, LEAVES[0])
    signature = base64.b64decode(note.sign(checkpoint, key).split()[-1])[4:]
    (tmp_path / "text").write_text(checkpoint.text)
    (tmp_path / "sig").write_bytes(signature)
    command = ["openssl", "pkeyutl", "-verify", "-inkey", "key.pem", "-rawin", "-in", "text", "-sigfile", "sig"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0


def test_verifier_keys_are_those_of_the_format() -> None:
    """The key is the one that the format's own documentation gives as its example."""
    peter = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    data = f"other\n0\n{base64.b64encode(LEAVES[0]).decode()}\n\n\N{EM DASH} other AAAA\n".encode()
    with pytest.raises(Problem, match="not of 'PeterNeumann'"):
        note.read(data, peter, member="x")
    for bad in ("", "PeterNeumann", peter.replace("c74f", "c74e"), peter[:-4], peter.replace("+ARpc", "+ARpd")):
        with pytest.raises(FileError, match="not the verifier key"):
            note.read(data, bad, member="x")
