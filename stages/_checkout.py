"""Put this checkout's `src` first on the path, and let errors of ours end in one message.

The stages of a clone, or of `dvc exp run --temp`, then run the code that lies beside them and
that `dvc.lock` records, whichever checkout the environment was installed from.
"""

import sys
import traceback
from pathlib import Path
from types import TracebackType

SRC = Path(__file__).resolve().parents[1] / "src"
sys.path.insert(0, str(SRC))


def _explain(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print what graft's own code refuses without a traceback; anything else as Python does."""
    *_, (frame, _) = traceback.walk_tb(trace)
    if isinstance(error, ValueError | OSError) and frame.f_code.co_filename.startswith(str(SRC)):
        print(f"error: {error}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _explain
