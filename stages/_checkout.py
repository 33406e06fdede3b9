"""Put this checkout's `src` first on the path, and let errors of the user or the system end in one message.

Before the former, hand over to a process that has imported the libraries, if there is one.

The stages of a clone, or of `dvc exp run --temp`, then run the code that lies beside them and
that `dvc.lock` records, whichever checkout the environment was installed from.
"""

import errno
import os
import sys
import traceback
from pathlib import Path
from types import TracebackType

from _preloaded import run_forked

SRC = Path(__file__).resolve().parents[1] / "src"
AGAIN = "run it again, and it starts from the last finished stage; a method on pixels from its last epoch"


def _explain(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print what graft or the system refuses, and Ctrl-C, without a traceback; anything else with it."""
    import graft
    from graft.utils.errors import explain_system_error, find_system_error

    *_, (frame, _) = traceback.walk_tb(trace)
    refused = isinstance(error, ValueError | OSError) and frame.f_code.co_filename.startswith(
        graft.__path__[0]
    )
    found = find_system_error(error)
    own_words = refused and not (found and (found.filename or found.strerror == os.strerror(found.errno)))
    if isinstance(error, KeyboardInterrupt):
        print(f"interrupted: {AGAIN}", file=sys.stderr)
    elif own_words:
        print(f"error: {getattr(error, 'strerror', None) or error}", file=sys.stderr)
    elif found:
        print(f"error: {explain_system_error(found)}", file=sys.stderr)
    elif isinstance(error, FileNotFoundError):  # of pyarrow, which gives the path only
        missing = FileNotFoundError(errno.ENOENT, "", str(error))
        print(f"error: {explain_system_error(missing)}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


def _begin() -> None:
    from _process import end_with_dvc  # not before Ctrl-C is explained, for it takes a moment

    run_forked(end_with_dvc())


sys.excepthook = _explain
_begin()
sys.path.insert(0, str(SRC))
