"""Files that come with graft: the content of its folder `bundled`."""

from hashlib import sha256
from importlib.resources import files


def read_bundled(name: str, checksum: str) -> bytes:
    """Read a file that comes with graft.

    Args:
        name: of the file in the folder `bundled`.
        checksum: sha256 of its content, in hexadecimal.

    Raises:
        FileNotFoundError: if the file is missing.
        ValueError: if its content is another.

    >>> len(read_bundled("flowers.zip", "9386a9ce3ce0153cb995a3be976cb44a1ff0e7236dc361b4d678e0a80f956578"))
    2111707
    """
    file = files("graft") / "bundled" / name
    remedy = "restore it from Git, or install graft again"
    if not file.is_file():
        raise FileNotFoundError(f"{file} is missing, which comes with graft; {remedy}")
    content = file.read_bytes()
    found = sha256(content).hexdigest()
    if found != checksum:
        raise ValueError(f"{file} is damaged: expected sha256={checksum}, received sha256={found}; {remedy}")
    return content
