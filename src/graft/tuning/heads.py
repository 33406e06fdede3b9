"""Heads that share compiled programs: what a trial changes is a variable there, where the shapes agree."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import keras
import numpy as np

from graft.config.training import CachedMethod
from graft.methods.cached import Cached
from graft.methods.head_training import CompiledHead
from graft.models.heads import build_head, fit_scaler
from graft.models.isolation import build_isolated
from graft.training.decision import class_scores
from graft.training.fit import best_epoch, fit
from graft.training.sampling import count_rows
from graft.training.steps import KEPT
from graft.tuning.score import Report, Score

# Of no part in a program, or, of a TensorFlow program, in variables: what they are for its sake.
BY_DATA = {"mix": "none", "mix_alpha": 1.0, "sampling": "shuffle", "patience": None}
VARIABLE = {"dropout": 0.5, "l2": 1.0}


class HeadTrainer:
    """Trains heads on cached features as their method does: the same arguments give the same bits.

    Args:
        cached: of the training and the validation images.
    """

    def __init__(self, cached: Cached) -> None:
        self._cached = cached
        self.compiled = lru_cache(maxsize=KEPT)(self._compile)
        self._scaler = lru_cache(lambda pooling: fit_scaler(cached.plain["train"], pooling))

    def __call__(self, block: CachedMethod, seed: int, report: Report) -> Score:
        """Train a head with a seed of weights, dropout and order; its score at the epoch that is kept.

        Raises:
            ValueError: if it diverges.
        """
        data = self._cached.data_for(block)
        compiled, knobs = self.compiled(_neutral(block), count_rows(data.labels, block.sampling))
        compiled.begin_again(self._draw(block, seed))
        if block.schedule.name in ("constant", "reduce_on_plateau"):
            compiled.head.optimizer.learning_rate = block.learning_rate
        knobs.set(block)
        watch: Any = _Watch(report, data.validation if block.label_smoothing or block.head.l2 else None)
        history = fit(compiled.head, data, block, seed, curve=watch)
        best = best_epoch(history) - 1
        return Score(watch.losses[best], float(history["val_accuracy"][best]), len(history))

    def _draw(self, block: CachedMethod, seed: int) -> keras.Sequential:
        shape, head = self._cached.plain["validation"].shape[1:], block.head
        scaler = self._scaler(head.pooling) if head.normalise == "standardise" else None
        return build_isolated(lambda: build_head(shape, self._cached.n_classes, head, scaler, seed))

    def _compile(self, block: CachedMethod, n_rows: int) -> tuple[CompiledHead, "_Knobs"]:
        knobs, drawn = _Knobs(), self._draw(block, 0)
        head = knobs.put_into(drawn) if keras.config.backend() == "tensorflow" else drawn
        return CompiledHead(head, block, n_rows), knobs


def _neutral(block: CachedMethod) -> CachedMethod:
    """The block for whose sake a program is compiled: the same for all trials that may share it."""
    values: dict[str, Any] = {**BY_DATA}
    if block.schedule.name in ("constant", "reduce_on_plateau"):
        values["learning_rate"] = 1.0
    if keras.config.backend() == "tensorflow":
        chosen = {name: value for name, value in VARIABLE.items() if getattr(block.head, name)}
        values["head"] = block.head.model_copy(update=chosen)
    return block.model_copy(update=values)


class _Knobs:
    """The rate of the dropout and the strength of the penalty, as variables."""

    def __init__(self) -> None:
        self.rate, self.scale, self.l2 = (keras.Variable(0.0, trainable=False) for _ in range(3))

    def put_into(self, drawn: keras.Sequential) -> keras.Sequential:
        """Make a head of the same layers, in which dropout and penalty are these."""
        layers = [_Dropout(self) if isinstance(each, keras.layers.Dropout) else each for each in drawn.layers]
        for layer in layers:
            if penalty := getattr(layer, "kernel_regularizer", None):
                penalty.l2 = self.l2
        return keras.Sequential([keras.Input(drawn.input_shape[1:]), *layers])

    def set(self, block: CachedMethod) -> None:
        """Take the values of a block."""
        self.rate.assign(block.head.dropout)
        self.scale.assign(1 / (1 - block.head.dropout))
        self.l2.assign(block.head.l2)


class _Dropout(keras.layers.Dropout):  # type: ignore[misc]
    """Dropout as TensorFlow has it for a rate that is a constant: the same bits."""

    def __init__(self, knobs: _Knobs) -> None:
        super().__init__(0.5)
        self._knobs = knobs

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Drop a share of the inputs and scale the others."""
        if not training:
            return inputs
        drawn = keras.random.uniform(keras.ops.shape(inputs), seed=self.seed_generator)
        return keras.ops.where(drawn >= self._knobs.rate, inputs * self._knobs.scale, 0.0)


class _Watch(keras.callbacks.Callback):  # type: ignore[misc]
    """Reports the validation log loss after each epoch, without penalty and label smoothing.

    It is what `fit` asks of a curve.

    Args:
        report: is told it.
        validation: inputs and class numbers, where it has to be computed; None: it is Keras's loss.
    """

    def __init__(self, report: Report, validation: tuple[np.ndarray, np.ndarray] | None) -> None:
        super().__init__()
        self.losses: list[float] = []
        self._report, self._validation = report, validation

    def open_checkpoint(self) -> None:
        """Keep none: a trial that is interrupted begins again."""

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Tell the loss."""
        loss = logs["val_loss"]
        if self._validation:
            inputs, labels = self._validation
            scores = class_scores(self.model.predict_on_batch(inputs))
            loss = float(-np.log(np.maximum(scores[range(len(labels)), labels], 1e-7)).mean())
        self.losses.append(loss)
        self._report(epoch, loss)
