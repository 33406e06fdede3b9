"""Errors of the system, such as a full disk, in a sentence that says what to do."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FULL = errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO
REMEDIES = {
    "no space left on the disk of {path}: free some, and run it again": (errno.ENOSPC, errno.EDQUOT),
    "no permission for {path} ({why}): make it yours, or run this as its owner": (errno.EACCES, errno.EPERM),
    "{path} is on a disk that can only be read: work in a copy that you may write": (errno.EROFS,),
    "{path} is missing: `dvc checkout` brings an output back, `dvc repro` makes it": (errno.ENOENT,),
}


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an error that rests on one of the system, which has no path, name this one.

    Raises:
        OSError: with the number of that error.
    """
    try:
        yield
    except Exception as error:
        found = find_system_error(error)
        if found is None or (found.filename and not os.fsdecode(found.filename).startswith(str(path))):
            raise
        raise OSError(found.errno, found.strerror, str(path)) from error


def find_system_error(error: BaseException) -> OSError | None:
    """Find the error of the system that an exception is, or a full disk that it follows from.

    HDF5 gives its number in the text only, and zipfile raises a ValueError in the handling of it.

    >>> find_system_error(OSError("unable to write (errno = 28, error message = '...')"))
    OSError(28, 'No space left on device')
    """
    if isinstance(error, OSError) and error.errno and error.strerror:
        return error
    cause: BaseException | None = error
    while cause is not None:
        number = getattr(cause, "errno", None) or re.search(r"errno = (\d+)", str(cause))
        code = int(number[1]) if isinstance(number, re.Match) else number
        if code in FULL:
            return OSError(code, os.strerror(code))
        cause = cause.__cause__ or cause.__context__
    return None


def explain_system_error(error: OSError) -> str:
    """Say what is wrong with which path, and what to do.

    >>> explain_system_error(OSError(28, "No space left on device", "models/inline/model.keras"))
    'no space left on the disk of models/inline/model.keras: free some, and run it again'
    """
    path = os.fsdecode(error.filename or Path.cwd())
    for sentence, numbers in REMEDIES.items():
        if error.errno in numbers:
            return sentence.format(path=path, why=error.strerror)
    return f"{error.strerror}: {path}"
