"""Archives that were made to harm: small files that would fill memory or never end."""

import gzip
import io
import lzma
import stat
import struct
import tarfile
import zlib
from pathlib import Path
from typing import NamedTuple

PIECE = 2**24  # zeros that a bomb repeats


class Entry(NamedTuple):
    """A member of a zip, with what its headers say."""

    name: str
    raw: bytes  # as compressed
    size: int  # as declared
    method: int = 8
    mode: int = stat.S_IFREG


def deflated_zeros(pieces: int) -> bytes:
    """Deflate so many times `PIECE` zeros: 16 kB each."""
    deflate = zlib.compressobj(wbits=-15)
    piece = deflate.compress(bytes(PIECE)) + deflate.flush(zlib.Z_FULL_FLUSH)
    return piece * pieces + deflate.flush()


def zip_of(entries: list[Entry], overlapping: bool = False) -> bytes:
    """Write a zip whose headers say what they are told; overlapping: all are the first one's bytes."""
    file, directory = io.BytesIO(), b""
    for entry in entries:
        name, place = entry.name.encode(), 0 if overlapping else file.tell()
        about = (entry.method, 0, 0, zlib.crc32(b""), len(entry.raw), entry.size, len(name), 0)
        if place == file.tell():
            file.write(struct.pack("<4s2H3H3I2H", b"PK\3\4", 20, 0, *about) + name + entry.raw)
        rest = (0, 0, 0, entry.mode << 16, place)
        directory += struct.pack("<4s3H3H3I2H3H2I", b"PK\1\2", 788, 20, 0, *about, *rest) + name
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, len(entries), len(entries), len(directory), file.tell(), 0)
    return file.getvalue() + directory + end


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """The block before a member of a tar."""
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def gzipped(start: bytes, pieces: int) -> bytes:
    """Gzip some bytes and so many times `PIECE` zeros."""
    return gzip.compress(start) + gzip.compress(bytes(PIECE)) * pieces


def hungry_xz(content: bytes) -> bytes:
    """An xz file that wants 4 GiB of memory."""
    data = bytearray(lzma.compress(content))
    length = (data[12] + 1) * 4  # of the first block's header
    data[12 + 4] = 40  # the size of the dictionary
    data[12 + length - 4 : 12 + length] = struct.pack("<I", zlib.crc32(data[12 : 12 + length - 4]))
    return bytes(data)


CHAIN = (header("x", 1, tarfile.GNUTYPE_LONGNAME) + b"y".ljust(512, b"\0")) * 400
LARGE = "a/large.jpg"
BOMBS = {
    "link.zip": zip_of([Entry("a/link", deflated_zeros(190), 190 * PIECE, mode=stat.S_IFLNK)]),
    "lying link.zip": zip_of([Entry("a/link", deflated_zeros(190), 9, mode=stat.S_IFLNK)]),
    "large.zip": zip_of([Entry(LARGE, deflated_zeros(190), 190 * PIECE)]),
    "lying.zip": zip_of([Entry(LARGE, deflated_zeros(190), 10)]),
    "bzip2.zip": zip_of([Entry(LARGE, b"", 10, method=12)]),
    "overlapping.zip": zip_of([Entry(f"a/{i}.jpg", deflated_zeros(1), PIECE) for i in range(9)], True),
    "header.tgz": gzipped(header("x", 190 * PIECE, tarfile.XHDTYPE), 190),
    "second header.tgz": gzipped(header("1", 0) + header("x", 190 * PIECE, tarfile.GNUTYPE_LONGNAME), 190),
    "chain.tar": CHAIN + header("1", 0) + bytes(1024),
    "large.tgz": gzipped(header(LARGE, 190 * PIECE), 190),
    "negative.tar": header("1", 0) + header("2", -512) + bytes(1024),
    "endless.tar": header("1", 0) + header("2", 2**80) + bytes(1024),
    "hungry.tar.xz": hungry_xz(header("1", 0) + bytes(1024)),
}


def write_bombs(folder: Path) -> list[Path]:
    """Write each bomb to a file."""
    for name, data in BOMBS.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in BOMBS]
