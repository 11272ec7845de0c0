"""The same bundle as a ZIP: written so that equal folders give equal bytes, read as if its maker were hostile.

Every byte of the file must be accounted for: the members lie end to end from byte 0, the central directory follows,
the end record closes the file. That leaves no room for anything hidden before, between or after them, for two
members that share data, or for programs that disagree about what is inside.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

from compliancectl.seal import Problem, names
from compliancectl.seal.container import PIECE, Container, Folder

MAX_MEMBERS = 500_000
MAX_TOTAL = 64 * 1024**3
"""Bytes of all members together."""
MAX_RATIO = 300
"""A member larger than `RATIO_FROM` that shrank more than this is a bomb; JSON and CSV stay far below."""
RATIO_FROM = 8 * 1024**2

_EPOCH = (1980, 1, 1, 0, 0, 0)
_STORED_SUFFIXES = (".pdf", ".png")
_PIECE = 1024 * 1024
_UTF8_FLAG = 0x800
_ZIP64_EXTRA = 1
_WIDE = 0xFFFFFFFF
"""Stands for a size that only the zip64 field can hold."""
_HINT = "Unpack it with a tool you trust and verify the folder, or ask for the archive again."


def write(container: Container, root: str, stream: BinaryIO) -> None:
    """Write all members of `container` below the one folder `root`.

    Sorted by name, dated 1980-01-01, mode 0644, zlib's default level 6 (PDF and PNG stored).
    """
    with zipfile.ZipFile(stream, "w", strict_timestamps=True) as target:
        for name, size in container.sizes.items():
            info = zipfile.ZipInfo(f"{root}/{name}", _EPOCH)
            info.create_system = 3  # Unix, whatever this machine is
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            stored = name.endswith(_STORED_SUFFIXES)
            info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            info.file_size = size
            with container.open(name) as source, target.open(info, "w") as member:
                while piece := source.read(_PIECE):
                    member.write(piece)


def opened(path: Path) -> Container:
    """What is at a path: a ZIP file, or a folder.

    Raises:
        Problem: if it is neither in a form that is read.
    """
    return Archive(path) if path.is_file() else Folder(path)


class Archive:
    """A ZIP whose members are read in place. Nothing is ever unpacked."""

    def __init__(self, path: Path) -> None:
        """Open and examine the archive.

        Raises:
            Problem: if it is damaged, or is not exactly a ZIP of plain files below one folder.
        """
        try:
            self._stream = path.open("rb")
        except OSError as error:
            raise Problem(f"The archive cannot be read: {error.strerror}") from error
        try:
            with zipfile.ZipFile(self._stream) as archive:
                infos = archive.infolist()
                offsets = _check_layout(self._stream, archive.start_dir, infos)
            self.root = _check_members(infos)
        except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, struct.error, EOFError) as error:
            self._stream.close()
            raise Problem(f"The archive is damaged: {error}", hint=_HINT) from error
        except BaseException:
            self._stream.close()
            raise
        cut = len(self.root) + 1
        self._members = {info.filename[cut:]: (info, offsets[info.filename]) for info in infos}
        self.sizes: Mapping[str, int] = {name: self._members[name][0].file_size for name in sorted(self._members)}

    def open(self, name: str) -> BinaryIO:
        """Open a member; that it ends where its header says, with the CRC-32 it gives, shows at its end."""
        return cast("BinaryIO", _Member(self._stream, name, *self._members[name]))

    def digests(self, names: Iterable[str]) -> Iterator[tuple[str, str, int]]:
        """Hash members: name, SHA-256 in lower-case hexadecimal, bytes."""
        for name in names:
            digest, size = hashlib.sha256(), 0
            with self.open(name) as stream:
                while piece := stream.read(PIECE):
                    digest.update(piece)
                    size += len(piece)
            yield name, digest.hexdigest(), size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()


class _Member(io.RawIOBase):
    """A member being read.

    `zipfile` stops at the length that the header states, and never looks whether the compressed data go on. We do:
    a program that goes by the data would find something else in this archive than was verified.
    """

    def __init__(self, stream: BinaryIO, name: str, info: zipfile.ZipInfo, offset: int) -> None:
        self._stream, self._name, self._info = stream, name, info
        self._offset, self._packed_left, self._left, self._crc = offset, info.compress_size, info.file_size, 0
        self._inflate = zlib.decompressobj(-15) if info.compress_type == zipfile.ZIP_DEFLATED else None
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes; fewer only at the end."""
        pieces = []
        wanted = self._left if size < 0 else min(size, self._left)
        while wanted > 0 and (piece := self._some(wanted)):
            pieces.append(piece)
            wanted -= len(piece)
            self._left -= len(piece)
            self._crc = zlib.crc32(piece, self._crc)
        if self._left == 0 or wanted > 0:
            self._check_end()
        return b"".join(pieces)

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _some(self, most: int) -> bytes:
        if self._inflate is None:
            return self._packed(most)
        try:
            while not self._inflate.eof:
                packed = self._rest or self._packed(_PIECE)
                piece = self._inflate.decompress(packed, most)
                self._rest = self._inflate.unconsumed_tail
                if piece or not packed:
                    return piece
        except zlib.error as error:
            raise self._damaged() from error
        return b""

    def _packed(self, most: int) -> bytes:
        """The next compressed bytes. The archive's one stream is shared by all members, so none moves in it."""
        piece = os.pread(self._stream.fileno(), min(most, self._packed_left), self._offset)
        self._offset += len(piece)
        self._packed_left -= len(piece)
        return piece

    def _check_end(self) -> None:
        if self._inflate is not None and not self._inflate.eof and self._some(1):
            raise self._damaged()  # more data than the header states
        ended = self._inflate is None or (self._inflate.eof and not self._inflate.unused_data)
        if self._left or self._packed_left or self._rest or not ended or self._crc != self._info.CRC:
            raise self._damaged()

    def _damaged(self) -> Problem:
        return Problem("is damaged in the archive: its data are not what its header says", member=self._name)


def _check_layout(stream: BinaryIO, directory: int, infos: list[zipfile.ZipInfo]) -> dict[str, int]:
    """Refuse any byte that is not a member, its header, the central directory (at `directory`) or the end record.

    Returns:
        Member name → offset of its data.
    """
    if not infos:
        raise Problem("The archive is empty.")
    if len(infos) > MAX_MEMBERS:
        raise Problem(f"The archive has {len(infos)} members; at most {MAX_MEMBERS} are read.")
    position = 0
    offsets: dict[str, int] = {}
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset != position:
            raise Problem("The archive holds bytes that belong to no member, or members that overlap.", hint=_HINT)
        offsets[info.filename] = position + _local_length(stream, info)
        position = offsets[info.filename] + info.compress_size
    if position != directory:
        raise Problem("The archive holds bytes that belong to no member.", hint=_HINT)
    central = sum(46 + len(info.orig_filename.encode()) + len(info.extra) + len(info.comment) for info in infos)
    if position + central != _end_record(stream):
        raise Problem("The archive's directory and its end record do not fit together.", hint=_HINT)
    return offsets


def _local_length(stream: BinaryIO, info: zipfile.ZipInfo) -> int:
    """Length of a member's local header, which must say the same as the central directory."""
    stream.seek(info.header_offset)
    header = stream.read(30)
    name_length: int
    extra_length: int
    signature, _, flags, method, _, crc, packed, size, name_length, extra_length = struct.unpack(
        "<4s3H I 3I 2H", header
    )
    name, extra = stream.read(name_length), stream.read(extra_length)
    if signature != b"PK\3\4" or name != info.orig_filename.encode():
        raise Problem(f"The archive's header for {info.orig_filename!r} is not where its directory says.", hint=_HINT)
    agreed = (flags, method, crc) == (info.flag_bits, info.compress_type, info.CRC)
    if not agreed or not _sizes_agree(packed, size, extra, info):
        raise Problem(f"The archive says two different things about {info.orig_filename!r}.", hint=_HINT)
    return 30 + name_length + extra_length


def _sizes_agree(packed: int, size: int, extra: bytes, info: zipfile.ZipInfo) -> bool:
    """True if a local header states the sizes of the directory, itself or in a zip64 field, and carries nothing else."""
    if (packed, size) == (_WIDE, _WIDE):
        return extra == struct.pack("<HHQQ", _ZIP64_EXTRA, 16, info.file_size, info.compress_size)
    return (packed, size, extra) == (info.compress_size, info.file_size, b"")


def _check_extra(info: zipfile.ZipInfo) -> None:
    """Refuse extra fields other than one of zip64: they can carry anything."""
    extra = info.extra
    if extra and (len(extra) < 4 or struct.unpack("<HH", extra[:4]) != (_ZIP64_EXTRA, len(extra) - 4)):
        raise Problem(f"The archive attaches an unknown field to {info.orig_filename!r}.", hint=_HINT)


def _end_record(stream: BinaryIO) -> int:
    """Offset at which the end records start; they must close the file, without a comment."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - 98))
    tail = stream.read()
    if tail[-22:-18] != b"PK\5\6" or tail[-2:] != b"\0\0":
        raise Problem("The archive has data after its end, or a comment.", hint=_HINT)
    zip64 = len(tail) == 98 and tail[-42:-38] == b"PK\6\7" and tail[:4] == b"PK\6\6"
    return size - (98 if zip64 else 22)


def _check_members(infos: list[zipfile.ZipInfo]) -> str:
    """Refuse everything but plain files below one folder; return that folder's name."""
    if sum(info.file_size for info in infos) > MAX_TOTAL:
        raise Problem(f"The archive would unpack to more than {MAX_TOTAL} bytes.")
    for info in infos:
        _check_member(info)
    all_names = [info.filename for info in infos]
    pair = names.clash(all_names)
    if pair:
        raise Problem(f"The archive holds {pair[0]!r} and {pair[1]!r}, which are one file on some systems.", hint=_HINT)
    roots = sorted({name.partition("/")[0] for name in all_names})
    if len(roots) != 1 or not all("/" in name for name in all_names):
        raise Problem(f"The archive must hold one folder and nothing beside it; it holds {', '.join(roots[:5])}.")
    return roots[0]


def _check_member(info: zipfile.ZipInfo) -> None:
    name = info.orig_filename
    if info.flag_bits & 0x41:
        raise Problem(f"The archive's member {name!r} is encrypted.", hint=_HINT)
    kind = stat.S_IFMT(info.external_attr >> 16)
    if info.is_dir() or kind not in (0, stat.S_IFREG):
        raise Problem(
            f"The archive's member {name!r} is not a plain file but a folder, a link or a device.", hint=_HINT
        )
    first, _, rest = name.partition("/")
    reason = names.problem(first) or names.problem(rest or first)
    if reason or name != info.filename:
        raise Problem(f"The archive's member name {name!r} {reason or 'is not what it seems'}.", hint=_HINT)
    if (
        info.flag_bits & ~_UTF8_FLAG
        or info.comment
        or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    ):
        raise Problem(f"The archive's member {name!r} is stored in a way that bundles do not use.", hint=_HINT)
    _check_extra(info)
    if info.file_size > RATIO_FROM and info.file_size > MAX_RATIO * info.compress_size:
        raise Problem(
            f"The archive's member {name!r} would unpack to {info.file_size} bytes; this is a bomb.", hint=_HINT
        )
