"""The state of a training run after its last epoch: one that was killed goes on to the same bytes.

Keras's `BackupAndRestore` works within `model.fit` only, and forgets callbacks: how long a plateau has
lasted, and the weights of the best epoch.
"""

import json
import sys
from collections.abc import Sequence
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any
from zipfile import BadZipFile

import keras
import numpy as np

import graft
from graft.utils.errors import explain_system_error
from graft.utils.files import whole

LIBRARIES = "keras", graft.BACKEND, "numpy", "pillow", "scipy"


def identify(*values: object) -> str:
    """Digest what determines a training run: values by their `repr`, graft's code, versions of libraries."""
    total = sha256(repr((values, sys.version, LIBRARIES, *map(version, LIBRARIES))).encode())
    for file in sorted(Path(graft.__file__).parent.rglob("*.py")):
        total.update(file.read_bytes())
    return total.hexdigest()[:32]


class Checkpoint:
    """A file that each epoch replaces: weights, optimizer, seeds of layers, the best weights, the history.

    Callbacks are given the epochs of the history again, which leaves them as they were.

    Attributes:
        earlier: seconds that the epochs took which were restored.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._began, self.earlier = path, perf_counter(), 0.0
        self._failed = False

    def restore(
        self,
        model: keras.Model,
        callbacks: keras.callbacks.CallbackList,
        stopper: keras.callbacks.EarlyStopping,
    ) -> int:
        """Bring a compiled model and its callbacks, of which `stopper` is one, to where the run was.

        Returns:
            The number of epochs done; 0 where there is no file, or one that is damaged.
        """
        read = self._read()
        if read is None:
            return 0
        facts, values, best = read
        for epoch, logs in enumerate(facts["epochs"]):
            callbacks.on_epoch_begin(epoch)
            callbacks.on_epoch_end(epoch, logs)
        for variable, value in zip(_list_variables(model), values, strict=True):
            variable.assign(value)
        stopper.best_weights, self.earlier = best, facts["seconds"]
        print(f"  goes on after epoch {len(facts['epochs'])}, where it was interrupted", flush=True)
        return len(facts["epochs"])

    def save(self, model: keras.Model, stopper: keras.callbacks.EarlyStopping) -> None:
        """Write the state; where the disk does not take it, say so once and go on without."""
        history = model.history.history
        epochs = [dict(zip(history, values, strict=True)) for values in zip(*history.values(), strict=True)]
        facts = {"epochs": epochs, "seconds": self.earlier + perf_counter() - self._began}
        parts = {"value": map(_to_array, _list_variables(model)), "best": stopper.best_weights}
        arrays: Any = {f"{name}{i}": each for name, part in parts.items() for i, each in enumerate(part)}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with whole(self._path) as partial, partial.open("wb") as file:
                np.savez(file, facts=np.array(json.dumps(facts)), **arrays)
        except OSError as error:
            if not self._failed:
                said = explain_system_error(error)
                print(f"  not kept for a run that is killed: {said}", file=sys.stderr, flush=True)
            self._failed = True

    def _read(self) -> tuple[dict[str, Any], list[np.ndarray], list[np.ndarray]] | None:
        try:
            with self._path.open("rb") as opened, np.load(opened) as file:
                return json.loads(str(file["facts"])), _number(file, "value"), _number(file, "best")
        except FileNotFoundError:
            return None
        except (OSError, EOFError, ValueError, KeyError, BadZipFile):
            print(f"  {self._path} is damaged: the training run begins again", flush=True)
            return None


def _number(file: Any, name: str) -> list[np.ndarray]:
    return [file[f"{name}{i}"] for i in range(sum(each.startswith(name) for each in file.files))]


def _list_variables(model: keras.Model) -> Sequence[Any]:
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    return [*model.variables, *model.optimizer.variables]


def _to_array(variable: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(variable))
