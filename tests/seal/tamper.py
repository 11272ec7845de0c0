"""Attacks on a sealed bundle, each with the step of verification that must notice it.

An attack on the folder takes a copy of the bundle and the keys; `resum`, `restate` and `resign` are the forger's tools.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from compliancectl import canonical
from compliancectl.model.manifest import VerifyStep as Step
from compliancectl.seal import dsse, keys, sums

RAW = "evidence/gcp/sql_instances/larkspur-prod/raw-0001.json"
OTHER_RAW = "evidence/github/organization/larkspur-learning/raw-0001.json"
ITEM = "evidence/gcp/sql_instances/larkspur-prod/item.json"
Attack = Callable[[Path, Any], object]


def edit(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))


def listed(folder: Path) -> dict[str, str]:
    return {
        name: canonical.sha256_file(path)
        for path in folder.rglob("*")
        if path.is_file()
        and (name := path.relative_to(folder).as_posix()) != sums.NAME
        and not name.startswith("seal/")
    }


def resum(folder: Path) -> None:
    """Make SHA256SUMS anew."""
    (folder / sums.NAME).write_bytes(sums.write(listed(folder)))


def restate(folder: Path, change: Callable[[dict[str, Any]], object] = lambda statement: None) -> bytes:
    """The statement about SHA256SUMS as it is now, changed."""
    statement = json.loads((folder / "seal/statement.json").read_bytes())
    statement["subject"][0]["digest"]["sha256"] = canonical.sha256_file(folder / sums.NAME)
    change(statement)
    return canonical.to_bytes(statement)


def write_seal(folder: Path, envelope: dsse.Envelope) -> None:
    (folder / "seal/statement.json").write_bytes(envelope.payload)
    (folder / "seal/statement.pae").write_bytes(envelope.pae)
    (folder / "seal/statement.sig").write_bytes(envelope.signature)
    (folder / "seal/evidence.intoto.jsonl").write_bytes(envelope.to_line())


def resign(folder: Path, private: Path, payload: bytes | None = None) -> None:
    """Sign anew, and put the matching public key into the bundle."""
    key = keys.load_private(private)
    write_seal(folder, dsse.sign(payload or restate(folder), key.private))
    (folder / "seal/signer.pub.pem").write_bytes(key.public_pem)


def _old_envelope(folder: Path) -> dsse.Envelope:
    return dsse.parse((folder / "seal/evidence.intoto.jsonl").read_bytes(), member="")


def _edit_and_resum(b: Path, s: Any) -> None:
    edit(b / RAW, b"larkspur", b"Larkspur")
    resum(b)


def _delete_and_unlist(b: Path, s: Any) -> None:
    (b / RAW).unlink()
    resum(b)


def _swap(b: Path, s: Any) -> None:
    one, two = (b / RAW).read_bytes(), (b / OTHER_RAW).read_bytes()
    (b / RAW).write_bytes(two)
    (b / OTHER_RAW).write_bytes(one)


def _sums(change: Callable[[bytes], bytes]) -> Attack:
    return lambda b, s: (b / sums.NAME).write_bytes(change((b / sums.NAME).read_bytes()))


def _edit_statement_everywhere(b: Path, s: Any) -> None:
    old = _old_envelope(b)
    payload = old.payload.replace(b'"production"', b'"staging"')
    assert payload != old.payload
    write_seal(b, dsse.Envelope(payload, old.key_id, old.signature))


def _forge(b: Path, s: Any) -> None:
    _edit_and_resum(b, s)
    resign(b, s.other_private)


def _forge_in_anothers_name(b: Path, s: Any) -> None:
    mine = keys.load_private(s.other_private)
    key_id, public = _old_envelope(b).key_id, (b / "seal/signer.pub.pem").read_bytes()
    _edit_and_resum(b, s)
    made = dsse.sign(restate(b), mine.private)
    write_seal(b, dsse.Envelope(made.payload, key_id, made.signature))
    (b / "seal/signer.pub.pem").write_bytes(public)


def _envelope(change: Callable[[dict[str, Any]], object]) -> Attack:
    def attack(b: Path, s: Any) -> None:
        path = b / "seal/evidence.intoto.jsonl"
        value = json.loads(path.read_bytes())
        change(value)
        path.write_bytes(canonical.to_lines([value]))

    return attack


def _link_to_twin(b: Path, name: str) -> None:
    outside = b.parent / "outside"
    (b / name).rename(outside)
    (b / name).symlink_to(outside)


def _old_seal(b: Path, s: Any) -> None:
    """The seal of an older state of this bundle, by the right key."""
    original = (b / RAW).read_bytes()
    (b / RAW).write_bytes(b"{}")
    resum(b)
    resign(b, s.private)
    (b / RAW).write_bytes(original)
    resum(b)


def _another_type(b: Path, s: Any) -> None:
    resign(b, s.private, restate(b, lambda value: value.update(predicateType="https://example.com/else/v1")))


def _envelope_line(change: Callable[[bytes], bytes]) -> Attack:
    def attack(b: Path, s: Any) -> None:
        path = b / "seal/evidence.intoto.jsonl"
        path.write_bytes(change(path.read_bytes()))

    return attack


def _another_payload_type(b: Path, s: Any) -> None:
    """The right key signed the same bytes once, as a payload of another type."""
    payload = _old_envelope(b).payload
    message = dsse.pae("text/plain", payload)
    key = keys.load_private(s.private)
    signature = key.private.sign(message, ec.ECDSA(hashes.SHA256()))
    write_seal(b, dsse.Envelope(payload, key.key_id, signature))


def _two_subjects(b: Path, s: Any) -> None:
    more = {"name": "elsewhere", "digest": {"sha256": "0" * 64}}
    resign(b, s.private, restate(b, lambda value: value["subject"].append(more)))


def _other_subject_first(b: Path, s: Any) -> None:
    more = {"name": sums.NAME, "digest": {"sha256": "0" * 64}}
    resign(b, s.private, restate(b, lambda value: value["subject"].insert(0, more)))


def _listed_pipe(b: Path, s: Any) -> None:
    (b / RAW).unlink()
    os.mkfifo(b / RAW)


def _unicode_twins(b: Path, s: Any) -> None:
    for form in ("NFC", "NFD"):
        (b / "evidence" / unicodedata.normalize(form, "schlüssel.json")).write_bytes(b"{}")


def _restated(old: bytes, new: bytes) -> Attack:
    """The statement in other words, signed by the holder of the right key."""

    def attack(b: Path, s: Any) -> None:
        payload = restate(b)
        assert payload.count(old) == 1
        resign(b, s.private, payload.replace(old, new))

    return attack


FOLDER: dict[str, tuple[Step, Attack]] = {
    "a second envelope follows": (Step.STATEMENT, _envelope_line(lambda line: line + line)),
    "the envelope says a thing twice": (
        Step.STATEMENT,
        _envelope_line(lambda line: line.replace(b'{"payload"', b'{"payload":"e30=","payload"', 1)),
    ),
    "the envelope is spaced out": (Step.STATEMENT, _envelope_line(lambda line: line.replace(b'":"', b'": "', 1))),
    "the signature was made for another payload type": (Step.SIGNATURE, _another_payload_type),
    "the statement has a second subject": (Step.STATEMENT, _two_subjects),
    "the statement has another subject first": (Step.STATEMENT, _other_subject_first),
    "a listed file becomes a pipe": (Step.CONTAINER, _listed_pipe),
    "two names are one in another form of Unicode": (Step.NAMES, _unicode_twins),
    "a name has a letter of another alphabet": (Step.NAMES, lambda b, s: (b / "run.jsоn").write_bytes(b"{}")),
    "a reply is edited": (Step.DIGESTS, lambda b, s: edit(b / RAW, b"larkspur", b"Larkspur")),
    "a result is edited": (
        Step.DIGESTS,
        lambda b, s: edit(b / "results/results.json", b"no deviations", b"deviations"),
    ),
    "a file is emptied": (Step.DIGESTS, lambda b, s: (b / RAW).write_bytes(b"")),
    "a byte is appended": (
        Step.DIGESTS,
        lambda b, s: (b / "run.json").write_bytes((b / "run.json").read_bytes() + b"\n"),
    ),
    "README.txt is edited": (Step.DIGESTS, lambda b, s: edit(b / "README.txt", b"complete", b"partial")),
    "two files are swapped": (Step.DIGESTS, _swap),
    "a file is deleted": (Step.UNLISTED, lambda b, s: (b / RAW).unlink()),
    "an evidence item is deleted": (Step.UNLISTED, lambda b, s: shutil.rmtree((b / RAW).parent)),
    "a file is renamed": (Step.UNLISTED, lambda b, s: (b / RAW).rename(b / RAW.replace("raw-0001", "raw-0002"))),
    "a file is added": (Step.UNLISTED, lambda b, s: (b / "evidence/planted.json").write_bytes(b"{}")),
    "a file is added to the seal": (Step.UNLISTED, lambda b, s: (b / "seal/note.txt").write_bytes(b"trust me")),
    "a part of the seal is deleted": (Step.UNLISTED, lambda b, s: (b / "seal/statement.sig").unlink()),
    "the seal is deleted": (Step.UNLISTED, lambda b, s: shutil.rmtree(b / "seal")),
    "a hidden file is added": (Step.NAMES, lambda b, s: (b / "evidence/.planted").write_bytes(b"")),
    "a name with a line break is added": (Step.NAMES, lambda b, s: (b / "evidence/a\nb").write_bytes(b"")),
    "a name like an option is added": (Step.NAMES, lambda b, s: (b / "--ignore-missing").write_bytes(b"")),
    "a name that differs in case is added": (Step.NAMES, lambda b, s: (b / "RUN.json").write_bytes(b"{}")),
    "a file becomes a link to its twin": (Step.CONTAINER, lambda b, s: _link_to_twin(b, RAW)),
    "a folder becomes a link": (Step.CONTAINER, lambda b, s: _link_to_twin(b, "results")),
    "SHA256SUMS becomes a link": (Step.CONTAINER, lambda b, s: _link_to_twin(b, sums.NAME)),
    "a part of the seal becomes a link": (Step.CONTAINER, lambda b, s: _link_to_twin(b, "seal/statement.sig")),
    "a dangling link is added": (Step.CONTAINER, lambda b, s: (b / "evidence/link").symlink_to("nowhere")),
    "a pipe is added": (Step.CONTAINER, lambda b, s: os.mkfifo(b / "evidence/pipe")),
    "edited, and SHA256SUMS made anew": (Step.SUBJECT, _edit_and_resum),
    "deleted, and SHA256SUMS made anew": (Step.SUBJECT, _delete_and_unlist),
    "the seal of an older state": (Step.SUBJECT, _old_seal),
    "SHA256SUMS is emptied": (Step.SUMS, _sums(lambda data: b"")),
    "SHA256SUMS is deleted": (Step.SUMS, lambda b, s: (b / sums.NAME).unlink()),
    "SHA256SUMS has a comment": (Step.SUMS, _sums(lambda data: b"# fine\n" + data)),
    "SHA256SUMS has Windows line ends": (Step.SUMS, _sums(lambda data: data.replace(b"\n", b"\r\n"))),
    "SHA256SUMS lists a file twice": (Step.SUMS, _sums(lambda data: data + data.splitlines(keepends=True)[-1])),
    "SHA256SUMS is in another order": (Step.SUMS, _sums(lambda data: b"".join(data.splitlines(keepends=True)[::-1]))),
    "SHA256SUMS lists a file outside": (Step.SUMS, _sums(lambda data: data + b"0" * 64 + b"  z/../../outside\n")),
    "SHA256SUMS lists one file less": (Step.UNLISTED, _sums(lambda data: b"".join(data.splitlines(keepends=True)[1:]))),
    "statement.json is edited": (
        Step.STATEMENT,
        lambda b, s: edit(b / "seal/statement.json", b'"production"', b'"staging"'),
    ),
    "statement.pae is edited": (
        Step.STATEMENT,
        lambda b, s: edit(b / "seal/statement.pae", b'"production"', b'"staging"'),
    ),
    "the statement is edited everywhere": (Step.SIGNATURE, _edit_statement_everywhere),
    "the statement is of another type": (Step.STATEMENT, _another_type),
    "the envelope's payload type is changed": (Step.STATEMENT, _envelope(lambda e: e.update(payloadType="text/plain"))),
    "the envelope names another key": (Step.SIGNATURE, _envelope(lambda e: e["signatures"][0].update(keyid="0" * 64))),
    "the envelope has a second signature": (
        Step.STATEMENT,
        _envelope(lambda e: e["signatures"].append(e["signatures"][0])),
    ),
    "the envelope has another signature": (Step.STATEMENT, _envelope(lambda e: e["signatures"][0].update(sig="AAAA"))),
    "the envelope has a remark": (Step.STATEMENT, _envelope(lambda e: e.update(remark="fine"))),
    "statement.sig is another signature": (Step.STATEMENT, lambda b, s: (b / "seal/statement.sig").write_bytes(b"0")),
    "the enclosed key is exchanged": (
        Step.SIGNATURE,
        lambda b, s: (b / "seal/signer.pub.pem").write_bytes(s.other_public.read_bytes()),
    ),
    "signed anew with another key": (Step.SIGNER, lambda b, s: resign(b, s.other_private)),
    "edited and signed anew with another key": (Step.SIGNER, _forge),
    "signed with another key in the signer's name": (Step.SIGNATURE, _forge_in_anothers_name),
}


BEYOND: dict[str, tuple[Step, Attack]] = {
    "the statement says a thing twice": (
        Step.STATEMENT,
        _restated(b'"status":"complete"', b'"status":"partial","status":"complete"'),
    ),
    "the statement has a fraction": (Step.STATEMENT, _restated(b'"specVersion":1', b'"specVersion":1.0')),
    "the statement has a number that others read otherwise": (
        Step.STATEMENT,
        _restated(b'"specVersion":1', b'"specVersion":1,"z":9007199254740993'),
    ),
    "the statement counts less than nothing": (Step.TOTALS, _restated(b'"incompleteItems":0', b'"incompleteItems":-1')),
    "a file is a terabyte of nothing": (Step.DIGESTS, lambda b, s: os.truncate(b / RAW, 1024**4)),
}
"""What the holder of the key can do, and what coreutils would notice, but only after hours."""


class Zip:
    """A ZIP being forged: members in order, with what their headers say."""

    def __init__(self, source: Path) -> None:
        with zipfile.ZipFile(source) as archive:
            self.members = [(info, archive.read(info)) for info in archive.infolist()]
        self.root = self.members[0][0].filename.partition("/")[0]

    def add(
        self, name: str, data: bytes = b"{}", *, mode: int = 0o100644, method: int = zipfile.ZIP_DEFLATED
    ) -> zipfile.ZipInfo:
        info = zipfile.ZipInfo("placeholder", (1980, 1, 1, 0, 0, 0))
        info.filename = name  # as it is: the constructor would tidy it
        info.compress_type, info.create_system, info.external_attr = method, 3, mode << 16
        self.members.append((info, data))
        return info

    def save(self, place: Path) -> None:
        with zipfile.ZipFile(place, "w") as archive:
            for info, data in self.members:
                archive.writestr(info, data)


def _with(change: Callable[[Zip], object]) -> Attack:
    def attack(place: Path, s: Any) -> None:
        forged = Zip(s.archive)
        change(forged)
        forged.save(place)

    return attack


def _bytes(change: Callable[[bytearray], object]) -> Attack:
    def attack(place: Path, s: Any) -> None:
        data = bytearray(s.archive.read_bytes())
        change(data)
        place.write_bytes(data)

    return attack


def _replace(z: Zip, name: str, data: bytes) -> None:
    z.members = [(i, data if i.filename == f"{z.root}/{name}" else d) for i, d in z.members]


def _flip_data(data: bytearray) -> None:
    """Flip a bit inside the first member's compressed bytes."""
    data[30 + struct.unpack("<H", data[26:28])[0] + 20] ^= 1


def _hide_in_stream(place: Path, s: Any) -> None:
    """Make a member's compressed data go on after the length and CRC-32 that both its headers state."""
    forged = Zip(s.archive)
    info, data = forged.members[0]
    forged.members[0] = (info, data + b"and more")
    forged.save(place)
    raw = bytearray(place.read_bytes())
    true = struct.pack("<II", zlib.crc32(data), len(data))
    for start in (14, raw.index(b"PK\1\2") + 16):
        raw[start : start + 4], raw[start + 8 : start + 12] = true[:4], true[4:]
    place.write_bytes(raw)
    with zipfile.ZipFile(place) as archive:
        assert archive.read(info.filename) == data  # what makes it worth an attack


def _encrypted(data: bytearray) -> None:
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1


def _gap(data: bytearray) -> None:
    """Hide bytes between the members and the directory, and move the directory's offset accordingly."""
    start = data.index(b"PK\1\2")
    data[start:start] = b"hidden"
    data[-6:-2] = struct.pack("<I", start + 6)


def _comment(place: Path, s: Any) -> None:
    shutil.copy(s.archive, place)
    with zipfile.ZipFile(place, "a") as archive:
        archive.comment = b"fine"


def _duplicate(z: Zip) -> None:
    z.add(f"{z.root}/run.json")


def _renamed_header(data: bytearray) -> None:
    """The first member has another name in its own header than in the directory; which one counts, programs disagree."""
    data[30] ^= 1


def _shared(data: bytearray) -> None:
    """The second entry of the directory points at the first member's data."""
    second = data.index(b"PK\1\2", data.index(b"PK\1\2") + 4)
    data[second + 42 : second + 46] = struct.pack("<I", 0)


def _unlisted_member(data: bytearray) -> None:
    """The directory leaves its first entry out, and says so."""
    first = data.index(b"PK\1\2")
    second = data.index(b"PK\1\2", first + 4)
    del data[first:second]
    count, size = (struct.unpack("<H", data[-12:-10])[0] - 1, struct.unpack("<I", data[-10:-6])[0] - (second - first))
    data[-14:-6] = struct.pack("<HHI", count, count, size)


def _second_end(data: bytearray) -> None:
    data.extend(data[-22:])


ARCHIVE: dict[str, tuple[Step, Attack]] = {
    "a member has two names": (Step.CONTAINER, _bytes(_renamed_header)),
    "two members share their data": (Step.CONTAINER, _bytes(_shared)),
    "a member is missing in the directory": (Step.CONTAINER, _bytes(_unlisted_member)),
    "there are two end records": (Step.CONTAINER, _bytes(_second_end)),
    "a member has a name of Unicode's": (Step.CONTAINER, _with(lambda z: z.add(f"{z.root}/schlüssel.json"))),
    "a member has a second name in an extra field": (
        Step.CONTAINER,
        _with(lambda z: setattr(z.add(f"{z.root}/x.json"), "extra", b"up\x0b\0\1\0\0\0\0y.json")),
    ),
    "a member is edited": (Step.DIGESTS, _with(lambda z: _replace(z, RAW, b"{}"))),
    "SHA256SUMS is edited": (Step.SUMS, _with(lambda z: _replace(z, sums.NAME, b"\n"))),
    "a member is damaged": (Step.DIGESTS, _bytes(_flip_data)),
    "a member goes on after its end": (Step.DIGESTS, _hide_in_stream),
    "a member is removed": (Step.UNLISTED, _with(lambda z: z.members.pop(3))),
    "a member is added": (Step.UNLISTED, _with(lambda z: z.add(f"{z.root}/evidence/planted.json"))),
    "a member climbs out": (Step.CONTAINER, _with(lambda z: z.add(f"{z.root}/../../etc/passwd"))),
    "a member is absolute": (Step.CONTAINER, _with(lambda z: z.add("/etc/passwd"))),
    "a member has a backslash": (Step.CONTAINER, _with(lambda z: z.add(f"{z.root}\\..\\x"))),
    "a member has a drive letter": (Step.CONTAINER, _with(lambda z: z.add("C:/x"))),
    "a member is a link": (Step.CONTAINER, _with(lambda z: z.add(f"{z.root}/link", b"/etc/passwd", mode=0o120777))),
    "a member is a folder": (Step.CONTAINER, _with(lambda z: z.add(f"{z.root}/empty/", b""))),
    "a member is there twice": (Step.CONTAINER, _with(_duplicate)),
    "two members differ in case": (Step.CONTAINER, _with(lambda z: z.add(f"{z.root}/RUN.json"))),
    "a file is also a folder": (Step.CONTAINER, _with(lambda z: z.add(f"{z.root}/run.json/x"))),
    "there are two roots": (Step.CONTAINER, _with(lambda z: z.add("other/run.json"))),
    "a member lies beside the root": (Step.CONTAINER, _with(lambda z: z.add("setup.exe"))),
    "a member is a device on Windows": (Step.CONTAINER, _with(lambda z: z.add(f"{z.root}/aux.json"))),
    "a member is a bomb": (Step.CONTAINER, _with(lambda z: z.add(f"{z.root}/bomb.json", bytes(9 * 1024**2)))),
    "a member is compressed in another way": (
        Step.CONTAINER,
        _with(lambda z: z.add(f"{z.root}/x.json", method=zipfile.ZIP_LZMA)),
    ),
    "a member carries an extra field": (
        Step.CONTAINER,
        _with(lambda z: setattr(z.add(f"{z.root}/x.json"), "extra", b"\xfe\xca\x04\x00evil")),
    ),
    "a member carries a comment": (
        Step.CONTAINER,
        _with(lambda z: setattr(z.add(f"{z.root}/x.json"), "comment", b"evil")),
    ),
    "a member is encrypted": (Step.CONTAINER, _bytes(_encrypted)),
    "data follow the archive": (Step.CONTAINER, _bytes(lambda data: data.extend(b"#!/bin/sh\n"))),
    "data precede the archive": (Step.CONTAINER, _bytes(lambda data: data.__setitem__(slice(0, 0), b"MZ" * 40))),
    "data are hidden inside": (Step.CONTAINER, _bytes(_gap)),
    "the archive has a comment": (Step.CONTAINER, _comment),
    "the headers disagree": (Step.CONTAINER, _bytes(lambda data: data.__setitem__(slice(14, 18), b"\0\0\0\0"))),
    "the archive is cut short": (Step.CONTAINER, _bytes(lambda data: data.__delitem__(slice(-200, None)))),
    "the archive is empty": (Step.CONTAINER, lambda place, s: zipfile.ZipFile(place, "w").close()),
    "it is no archive": (Step.CONTAINER, lambda place, s: place.write_bytes(b"hello")),
}
