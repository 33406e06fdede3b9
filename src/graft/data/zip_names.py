"""Names in a zip whose encoding it does not say: found, and shown as they read in the likely ones."""

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from graft.data.members import readable

SAYS_UTF8 = 0x800  # a bit of a member's flags
# Of Windows in Chinese, Japanese, Korean, Russian and western Europe, and of DOS.
LIKELY = ("gbk", "big5", "shift_jis", "cp949", "cp866", "cp1252", "cp850", "cp437")


def list_unclear_names(path: Path) -> list[bytes]:
    """List the names in a zip that say no encoding and are no UTF-8; of any other file, none."""
    if not zipfile.is_zipfile(path):
        return []
    with readable(path), zipfile.ZipFile(path) as archive:
        infos = [info for info in archive.infolist() if not info.flag_bits & SAYS_UTF8]
    names = [info.orig_filename.encode("cp437", "replace") for info in infos]
    return [name for name in names if _decode(name, "utf-8") is None]


def describe_names(names: Sequence[bytes]) -> str:
    """Say how the first of these names reads in each likely encoding.

    >>> describe_names([b"M\\x84use"] * 6).partition("; the first")[0]
    '6 names do not say their encoding and are read as cp437'
    """
    readings = ", ".join(f'"{text}" ({encoding})' for encoding, text in _read(names[0]))
    return (
        f"{len(names):,} names do not say their encoding and are read as cp437; the first may be {readings}; "
        "name the right encoding with -S folder.encoding=NAME"
    )


def _read(name: bytes) -> Iterator[tuple[str, str]]:
    for encoding in LIKELY:
        if (text := _decode(name, encoding)) and text.isprintable():
            yield encoding, text


def _decode(name: bytes, encoding: str) -> str | None:
    try:
        return name.decode(encoding)
    except UnicodeDecodeError:
        return None
