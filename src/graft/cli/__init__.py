"""`graft`: everything a person does that is not a stage, a module for each group of commands.

May import everything, inside the command that needs it.
"""

import sys
from types import TracebackType


def _end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Let Ctrl-C end without a traceback also while modules are imported, before a command begins."""
    if issubclass(kind, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _end
