"""graft: reproducible transfer learning for image classification."""

import os
import sys
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

# Before TensorFlow is imported anywhere: Keras on TensorFlow, without its start-up chatter.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
QUIET = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") == "3"


class _QuietTensorFlow:
    """Finds TensorFlow, whose C++ writes to stderr while it is imported, before it reads its log level."""

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name == "tensorflow" else None
        if spec and spec.loader:
            execute = spec.loader.exec_module
            setattr(spec.loader, "exec_module", lambda module: _without_stderr(execute, module))  # noqa: B010
        return spec


def _without_stderr(execute: Any, module: ModuleType) -> None:
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        execute(module)
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


if QUIET:
    sys.meta_path.insert(0, _QuietTensorFlow())
