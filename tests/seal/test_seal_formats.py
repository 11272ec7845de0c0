"""Names, SHA256SUMS, DSSE and the statement, each by itself and against other implementations."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compliancectl.seal import Problem, dsse, index, keys, names, statement, sums

PART = st.text("aBz09_-", min_size=1, max_size=4).map("x".__add__)
NAME = st.lists(PART, min_size=1, max_size=3).map("/".join)
DIGEST = st.binary(min_size=32, max_size=32).map(bytes.hex)


@pytest.mark.parametrize(
    "name", ["a", "run.json", "evidence/gcp/x_1/raw-0001.json", "0", "a" * 180, "console", "com10"]
)
def test_names_that_are_fine(name: str) -> None:
    assert names.problem(name) is None


@pytest.mark.parametrize(
    "name",
    ["", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", ".a", "-a", "a b", "a\\b", "a\n", "é", "a:b", "a.", "a./b",
     "con", "CON", "Aux.json", "x/nul.txt", "LPT1", "com9.x", "a" * 181, "a\0b"],
)  # fmt: skip
def test_names_that_are_refused(name: str) -> None:
    assert names.problem(name)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (["a/b", "a/c", "b"], None),
        (["a/B", "a/b"], ("a/B", "a/b")),
        (["A/x", "a/y"], ("A", "a/y")),
        (["a", "a/b"], ("a", "a/b")),
        (["a", "a"], ("a", "a")),
    ],
)
def test_names_that_are_one_file_on_some_systems(found: list[str], expected: tuple[str, str] | None) -> None:
    assert names.clash(found) == expected


DEVICES = {"con", "prn", "aux", "nul", *(f"{device}{digit}" for device in ("com", "lpt") for digit in range(10))}


@given(
    st.lists(
        st.sampled_from(
            ["c", "o", "n", "C", "O", "N", "u", "l", "a", "x", "1", ".", "-", "_", "/", "K", "ſ", "K", "\n", "é"]
        ),
        max_size=9,
    ).map("".join)
)
@settings(max_examples=2000, deadline=None)
def test_a_name_is_good_only_if_each_part_is(name: str) -> None:
    plain = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")

    def good(part: str) -> bool:
        if not part or part[0] not in plain or not set(part) <= plain | set("._-") or part[-1] == ".":
            return False
        return part.partition(".")[0].lower() not in DEVICES

    assert (names.problem(name) is None) == all(good(part) for part in name.split("/"))


@given(st.sets(st.lists(st.sampled_from(["a", "A", "b", "a/b", "c/d"]), min_size=1, max_size=4).map("/".join)))
@settings(max_examples=500, deadline=None)
def test_names_clash_if_two_paths_on_the_way_to_them_do(found: set[str]) -> None:
    paths = {"/".join(name.split("/")[:depth]) for name in found for depth in range(1, name.count("/") + 2)}
    folders = {path for path in paths if any(other.startswith(f"{path}/") for other in paths)}
    assert (names.clash(found) is None) == (len({path.lower() for path in paths}) == len(paths) and not folders & found)


@given(st.dictionaries(NAME, DIGEST, min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_sums_read_back_what_they_wrote(digests: dict[str, str]) -> None:
    found = sums.parse(sums.write(digests))
    assert found == digests
    assert list(found) == sorted(digests)


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_sums_accept_nothing_that_they_would_not_write(data: bytes) -> None:
    try:
        digests = sums.parse(data)
    except Problem:
        return
    assert sums.write(digests) == data


LINE = b"a" * 64 + b"  x\n"


@pytest.mark.parametrize(
    "data",
    [b"", b"\n", LINE[:-1], LINE + b"\n", LINE.replace(b"  ", b" *"), LINE.upper(), b"\\" + LINE, LINE * 2,
     b"a" * 64 + b"  seal/x\n", b"a" * 64 + b"  SHA256SUMS\n", b"a" * 63 + b"  x\n", b"\xef\xbb\xbf" + LINE],
)  # fmt: skip
def test_sums_in_another_form_are_refused(data: bytes) -> None:
    with pytest.raises(Problem):
        sums.parse(data)


def test_coreutils_reads_our_sums(sealed) -> None:
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"],
        cwd=sealed.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_pae_is_the_one_of_the_specification() -> None:
    assert dsse.pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_the_envelope_verifies_with_another_implementation(sealed) -> None:
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import SSlibKey

    value = json.loads((sealed.folder / "seal/evidence.intoto.jsonl").read_bytes())
    key_id = value["signatures"][0]["keyid"]
    public = {"public": sealed.public.read_text()}
    key = SSlibKey(key_id, "ecdsa", "ecdsa-sha2-nistp256", public)
    envelope = Envelope.from_dict(json.loads(json.dumps(value)))  # from_dict empties what it is given
    assert set(envelope.verify([key], 1)) == {key_id}

    value["payload"] = value["payload"][:-8] + "AAAAAAA="
    with pytest.raises(Exception, match="signature"):
        Envelope.from_dict(value).verify([key], 1)


def test_we_verify_what_another_implementation_signed(sealed) -> None:
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import CryptoSigner

    mine = keys.load_private(sealed.private)
    theirs = Envelope(b'{"a":1}', dsse.PAYLOAD_TYPE, {})
    theirs.sign(CryptoSigner(mine.private))
    signature = bytes.fromhex(next(iter(theirs.signatures.values())).signature)
    made = dsse.Envelope(b'{"a":1}', mine.key_id, signature)
    assert dsse.verify(made, mine.private.public_key())
    assert not dsse.verify(dsse.Envelope(b'{"a":2}', mine.key_id, signature), mine.private.public_key())


def test_an_envelope_reads_back(sealed) -> None:
    made = dsse.sign(b"{}", keys.load_private(sealed.private).private)
    assert dsse.parse(made.to_line(), member="x") == made


@pytest.mark.parametrize("line", [b"", b"{}\n", b"[]\n", b"null\n", b'"x"\n', b"[" * 100_000, b"\xff"])
def test_garbage_is_no_envelope(line: bytes) -> None:
    with pytest.raises(Problem):
        dsse.parse(line, member="x")


def _statement(sealed) -> bytes:
    return (sealed.folder / "seal/statement.json").read_bytes()


def test_a_statement_of_a_later_minor_version_is_read(sealed) -> None:
    later = _statement(sealed).replace(b'"bundle":{', b'"bundle":{"aLaterField":1,')
    assert statement.parse(later, member="x").predicate.bundle.id


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"specVersion":1', b'"specVersion":1.0'),
        (b'"specVersion":1', b'"specVersion":1.5'),
        (b'"specVersion":1', b'"specVersion":NaN'),
        (b'"specVersion":1', b'"specVersion":2'),
        (b'"specVersion":1', b'"specVersion":1,"specVersion":1'),
        (b'"specVersion":1', b'"specVersion": 1'),
        (b'"subject":[', b'"subject":[{"digest":{"sha256":"' + b"0" * 64 + b'"},"name":"x"},'),
        (b"/Statement/v1", b"/Statement/v2"),
        (b'"status":"complete"', b'"status":"open"'),
        (b'"kind":"ci"', b'"kind":"robot"'),
    ],
)
def test_a_statement_in_another_form_is_refused(sealed, old: bytes, new: bytes) -> None:
    data = _statement(sealed)
    assert old in data
    with pytest.raises(Problem):
        statement.parse(data.replace(old, new), member="x")


def test_the_statement_has_no_fractions_and_one_subject(sealed) -> None:
    value = json.loads(_statement(sealed), parse_float=lambda text: pytest.fail(text))
    assert [subject["name"] for subject in value["subject"]] == ["SHA256SUMS"]
    assert value["predicateType"] == "https://compliancectl.dev/attestation/evidence-bundle/v1"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", "plain"), (None, ""), (3, "3"), ("=1+1", "'=1+1"), ("+1", "'+1"), ("-1", "'-1"), ("@x", "'@x"),
        (" =1", "' =1"), ("\t=1", "'\t=1"), ("\rx", "'\rx"), ("a=1", "a=1"), ("＝1", "'＝1"),
    ],
)  # fmt: skip
def test_the_index_holds_no_formula(value: object, expected: str) -> None:
    assert index.cell(value) == expected


def test_openssl_names_the_same_key(sealed, tmp_path: Path) -> None:
    der = tmp_path / "key.der"
    subprocess.run(["openssl", "pkey", "-pubin", "-in", sealed.public, "-outform", "DER", "-out", der], check=True)
    done = subprocess.run(["sha256sum", der], capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == keys.load_private(sealed.private).key_id
