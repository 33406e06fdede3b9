"""The one training loop: batches in an order that the seed fixes, the best epoch restored."""

import sys
from collections.abc import Callable

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from graft.heads import loss_for
from graft.params import Training

Inputs = Callable[[int, np.ndarray], np.ndarray]


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Inputs and class numbers for Keras, batch by batch: only a batch is ever float32 and in memory."""

    def __init__(self, inputs: np.ndarray, labels: np.ndarray, batch_size: int) -> None:
        super().__init__()
        self.inputs, self.labels, self.size = inputs, labels, batch_size

    def __len__(self) -> int:
        return -(-len(self.labels) // self.size)

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        rows = slice(i * self.size, (i + 1) * self.size)
        return self.inputs[rows].astype(np.float32), self.labels[rows]


def fit(
    model: keras.Model,
    inputs: Inputs,
    labels: np.ndarray,
    validation: tuple[np.ndarray, np.ndarray],
    params: Training,
    seed: int,
) -> pd.DataFrame:
    """Train a model and restore the epoch with the lowest validation loss.

    In epoch e (from 0) the rows come in an order that depends on the seed and e alone, so two
    methods whose `inputs` agree train on the same batches in the same order. On one machine the
    same arguments give the same bits.

    Args:
        model: compiled and changed here.
        inputs: (epoch, row numbers) -> the float32 inputs of these training rows.
        labels: (n_train,) class numbers.
        validation: inputs, which may be memory-mapped, and class numbers.
        params: optimizer, learning rate, epochs, batch size, patience.
        seed: of the order.

    Returns:
        The history: epoch (from 1), loss, accuracy, val_loss, val_accuracy. Loss and accuracy are
        means over the epoch's batches while the weights change, as `keras.Model.fit` reports them.

    Raises:
        ValueError: if no epoch has a finite validation loss.
    """
    tf.config.experimental.enable_op_determinism()
    optimizer = {"class_name": params.optimizer, "config": {"learning_rate": params.learning_rate}}
    # Without XLA, which would compile once more for the shape of the last batch.
    model.compile(
        keras.optimizers.get(optimizer),
        loss_for(model.output_shape[-1]),
        metrics=["accuracy"],
        jit_compile=False,
    )
    callbacks = _callbacks(model, params, steps=-(-len(labels) // params.batch_size))
    callbacks.on_train_begin()
    for epoch in range(params.epochs):
        callbacks.on_epoch_begin(epoch)
        order = np.random.default_rng((seed, epoch)).permutation(len(labels))
        batches = np.split(order, range(params.batch_size, len(order), params.batch_size))
        logs = pd.DataFrame(_steps(model, inputs, labels, epoch, batches, callbacks))
        means = {name: np.average(logs[name], weights=[len(b) for b in batches]) for name in logs}
        scored = Batches(*validation, params.batch_size)
        evaluated = model.evaluate(scored, verbose=0, return_dict=True)
        callbacks.on_epoch_end(epoch, means | {f"val_{name}": value for name, value in evaluated.items()})
        if model.stop_training:
            break
    callbacks.on_train_end()
    # The optimizer has done its work. A model that holds this one would save it, and warn when loaded.
    model.optimizer, model.compiled = None, False
    history = pd.DataFrame(model.history.history).astype(float)
    if not np.isfinite(history["val_loss"]).any():
        raise ValueError(
            "the training diverged: no epoch has a finite validation loss; "
            f"lower learning_rate={params.learning_rate:g}"
        )
    history.insert(0, "epoch", range(1, len(history) + 1))
    return history


def best_epoch(history: pd.DataFrame) -> int:
    """The epoch (from 1) whose weights `fit` restored."""
    return int(np.nanargmin(history["val_loss"])) + 1


def _steps(
    model: keras.Model,
    inputs: Inputs,
    labels: np.ndarray,
    epoch: int,
    batches: list[np.ndarray],
    callbacks: keras.callbacks.CallbackList,
) -> list[dict[str, float]]:
    logs = []
    for step, rows in enumerate(batches):
        callbacks.on_train_batch_begin(step)
        logs.append(model.train_on_batch(inputs(epoch, rows), labels[rows], return_dict=True))
        callbacks.on_train_batch_end(step, logs[-1])
    return logs


def _callbacks(model: keras.Model, params: Training, steps: int) -> keras.callbacks.CallbackList:
    patience = params.patience or params.epochs
    best = keras.callbacks.EarlyStopping("val_loss", patience=patience, restore_best_weights=True)
    return keras.callbacks.CallbackList(
        [best],
        add_history=True,
        add_progbar=True,
        model=model,
        epochs=params.epochs,
        steps=steps,
        verbose=1 if sys.stdout.isatty() else 2,
    )
