"""The same bundle as a ZIP: written so that equal folders give equal bytes, read as if its maker were hostile.

Every byte of the file must be accounted for: the members lie end to end from byte 0, the central directory follows,
the end record closes the file. That leaves no room for anything hidden before, between or after them, for two
members that share data, or for programs that disagree about what is inside.
"""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, BinaryIO, Self, cast

from compliancectl.seal import Problem, names
from compliancectl.seal.container import Container

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
            self._zip = zipfile.ZipFile(self._stream)
            infos = self._zip.infolist()
            _check_layout(self._stream, self._zip, infos)
            self.root = _check_members(infos)
        except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, struct.error, EOFError) as error:
            self._stream.close()
            raise Problem(f"The archive is damaged: {error}", hint=_HINT) from error
        except BaseException:
            self._stream.close()
            raise
        cut = len(self.root) + 1
        self._infos = {info.filename[cut:]: info for info in sorted(infos, key=lambda info: info.filename)}
        self.sizes: Mapping[str, int] = {name: info.file_size for name, info in self._infos.items()}

    def open(self, name: str) -> BinaryIO:
        """Open a member; its length and CRC-32 are checked as it is read to its end."""
        try:
            return cast(BinaryIO, _Member(self._zip.open(self._infos[name]), name))
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise Problem(f"cannot be read from the archive: {error}", member=name) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()
        self._stream.close()


class _Member(io.RawIOBase):
    """A member being read; damage shows as a `Problem` that names it."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self._stream = stream
        self._name = name

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        import zlib

        try:
            return self._stream.read(size)
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise Problem(f"is damaged in the archive: {error}", member=self._name) from error

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


def _check_layout(stream: BinaryIO, archive: zipfile.ZipFile, infos: list[zipfile.ZipInfo]) -> None:
    """Refuse any byte that is not a member, its header, the central directory or the end record."""
    if not infos:
        raise Problem("The archive is empty.")
    if len(infos) > MAX_MEMBERS:
        raise Problem(f"The archive has {len(infos)} members; at most {MAX_MEMBERS} are read.")
    position = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset != position:
            raise Problem("The archive holds bytes that belong to no member, or members that overlap.", hint=_HINT)
        position += _local_length(stream, info) + info.compress_size
    if position != archive.start_dir:
        raise Problem("The archive holds bytes that belong to no member.", hint=_HINT)
    central = sum(46 + len(info.orig_filename.encode()) + len(info.extra) + len(info.comment) for info in infos)
    if position + central != _end_record(stream):
        raise Problem("The archive's directory and its end record do not fit together.", hint=_HINT)


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
    if (flags, method, crc) != (info.flag_bits, info.compress_type, info.CRC) or not _sizes_agree(packed, size, info):
        raise Problem(f"The archive says two different things about {info.orig_filename!r}.", hint=_HINT)
    _check_extra(extra, info)
    return 30 + name_length + extra_length


def _sizes_agree(packed: int, size: int, info: zipfile.ZipInfo) -> bool:
    wide = 0xFFFFFFFF  # then the zip64 extra field holds the sizes
    return (packed, size) in ((info.compress_size, info.file_size), (wide, wide))


def _check_extra(extra: bytes, info: zipfile.ZipInfo) -> None:
    """Refuse extra fields other than zip64: they can carry anything."""
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
    _check_extra(info.extra, info)
    if info.file_size > RATIO_FROM and info.file_size > MAX_RATIO * info.compress_size:
        raise Problem(
            f"The archive's member {name!r} would unpack to {info.file_size} bytes; this is a bomb.", hint=_HINT
        )
