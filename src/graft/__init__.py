"""graft: reproducible transfer learning for image classification."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from graft.serving.classifier import Classifier

# Keras reads it when it is imported; without a value it would read a file of the user's.
BACKEND = os.environ["KERAS_BACKEND"] = os.environ.get("KERAS_BACKEND") or "tensorflow"
BACKENDS = ("tensorflow", "jax", "torch")  # also the names of their packages
# Before TensorFlow is imported anywhere: without its start-up chatter.
QUIET = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") == "3"
# Keras imports both if it finds them, for wrappers and plots that graft does not use: a third of its time.
UNUSED_BY_KERAS = ("matplotlib", "sklearn")


@contextmanager
def _without_stderr() -> Iterator[None]:
    """TensorFlow's C++ writes to stderr while it is imported, before it reads its log level."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def check_backend() -> None:
    """Check that Keras's backend is there.

    Raises:
        ValueError: naming KERAS_BACKEND, and what to install.
    """
    if BACKEND not in BACKENDS:
        raise ValueError(f"KERAS_BACKEND={BACKEND}: expected one of {', '.join(BACKENDS)}, or nothing")
    if not find_spec(BACKEND):
        raise ValueError(f"KERAS_BACKEND={BACKEND} is not installed: pip install 'graft[{BACKEND}]'")


@contextmanager
def _without_unused() -> Iterator[None]:
    check_backend()
    hidden = dict.fromkeys(name for name in UNUSED_BY_KERAS if name not in sys.modules)
    sys.modules.update(hidden)  # type: ignore[arg-type]  # None: an import of it raises
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


class _Importing:
    """Finds Keras and TensorFlow, and executes each of them within its context."""

    CONTEXTS: ClassVar[dict[str, Callable[[], AbstractContextManager[None]]]] = {
        "keras": _without_unused,
        **({"tensorflow": _without_stderr} if QUIET else {}),
    }

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name in self.CONTEXTS else None
        if spec and spec.loader:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                with self.CONTEXTS[name]():
                    execute(module)

            setattr(spec.loader, "exec_module", exec_module)  # noqa: B010
        return spec


sys.meta_path.insert(0, _Importing())


def load(path: str | os.PathLike[str], threads: int | None = None) -> "Classifier":
    """Load a trained model: a model file, or a folder with one, such as ``models/two_stage``.

    See `graft.serving.classifier.load`, which is not imported before this is called.
    """
    classifier: Classifier = import_module("graft.serving.classifier").load(path, threads)
    return classifier
