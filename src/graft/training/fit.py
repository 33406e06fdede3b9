"""Training of any Keras model: batches in an order that the seed fixes, the best epoch restored."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice

import keras
import numpy as np
import pandas as pd

from graft.config.training import Training
from graft.models.backend import COMPILES_TRAINING, make_deterministic
from graft.training.mixing import blend, mix
from graft.training.objective import Teaching, accuracy, loss_for, targets_for
from graft.training.sampling import count_rows, draw_rows
from graft.training.steps import Batch, train_on_batches
from graft.training.tracking import Curve

Inputs = Callable[[int, np.ndarray], np.ndarray]
Embed = Callable[[np.ndarray], np.ndarray]
OPTIMIZERS = {
    "sgd": keras.optimizers.SGD,
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "rmsprop": keras.optimizers.RMSprop,
}


class DivergenceError(ValueError):
    """A training run came to nothing finite."""


@dataclass(frozen=True)
class TrainingData:
    """The rows that a model is trained and validated on.

    Attributes:
        inputs: (epoch from 0, row numbers) -> the inputs of these training rows, of any real dtype.
        labels: (n_train,) class numbers.
        validation: (n, ...) inputs, which may be memory-mapped, and (n,) class numbers.
        embed: from `inputs`, which are what is mixed, to what the model takes, such as a frozen backbone;
            None: the model takes the inputs.
        teaching: the answers of a teacher, from which the model learns too; None: it learns from labels.
    """

    inputs: Inputs
    labels: np.ndarray
    validation: tuple[np.ndarray, np.ndarray]
    embed: Embed | None = None
    teaching: Teaching | None = None


def batched(inputs: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Rows in their order, so many at once: only these are ever float32, and read where they are on disk."""
    return (inputs[start : start + size] for start in range(0, len(inputs), size))


def fit(
    model: keras.Model,
    data: TrainingData,
    params: Training,
    seed: int,
    first_epoch: int = 0,
    curve: Curve | None = None,
) -> pd.DataFrame:
    """Train a model and restore the epoch with the lowest validation loss.

    In epoch e (from 0) the rows come in an order that depends on the labels, the seed and e alone,
    and so does what is mixed with what; so two methods whose `inputs` agree train on the same
    batches in the same order. On one machine the same arguments give the same bits.

    Args:
        model: changed here, and compiled unless it is.
        data: training and validation rows.
        params: optimizer and its schedule, loss, sampling, mixing, epochs, batch size, patience.
        seed: of order, sampling and mixing.
        first_epoch: the first e, so that a second phase does not repeat the draws of the first.
        curve: records the epochs while they pass; where it keeps a checkpoint, an interrupted run goes on.

    Returns:
        The history: epoch (from 1), accuracy, learning_rate, loss, val_accuracy, val_loss. Loss and
        accuracy are means over the epoch's images while the weights change; both losses include label
        smoothing and penalties, only the training loss the class weights and the teacher's answers. The
        learning rate is that of the epoch's first step.

    Raises:
        DivergenceError: if no epoch has a finite validation loss, or the model weights that are not finite.
        ValueError: if the inputs cannot be mixed.
    """
    # Not `model.fit`, for the reasons that `graft.training.steps` has, and for checkpoints.
    make_deterministic()
    steps = -(-count_rows(data.labels, params.sampling) // params.batch_size)
    if not model.compiled:
        compile_model(model, params, steps, teaching=data.teaching)
    stopper = keras.callbacks.EarlyStopping(
        "val_loss", patience=params.patience or params.epochs, restore_best_weights=True
    )
    callbacks = _callbacks(model, params, steps, stopper, curve)
    callbacks.on_train_begin()
    checkpoint = curve.open_checkpoint() if curve else None
    done = checkpoint.restore(model, callbacks, stopper) if checkpoint else 0
    for epoch in range(done, params.epochs):
        if model.stop_training:
            break
        callbacks.on_epoch_begin(epoch)
        rate = {"learning_rate": float(model.optimizer.learning_rate)}
        batches = draw_batches(data, model.output_shape[-1], params, seed, first_epoch + epoch)
        means = _train(model, _follow(batches, callbacks))
        callbacks.on_epoch_end(epoch, means | rate | _validate(model, *data.validation, params.batch_size))
        if checkpoint:
            checkpoint.save(model, stopper)
    callbacks.on_train_end()
    # The optimizer has done its work. A model that holds this one would save it, and warn when loaded.
    model.optimizer, model.compiled = None, False
    history = pd.DataFrame(model.history.history).astype(float)
    _check_finite(model, history, params)
    history.insert(0, "epoch", range(1, len(history) + 1))
    return history


def _check_finite(model: keras.Model, history: pd.DataFrame, params: Training) -> None:
    if not np.isfinite(history["val_loss"]).any():
        fault = "no epoch has a finite validation loss"
    # ReLU and max pooling turn NaN into a number, so the loss of a broken model may be finite.
    elif not all(np.isfinite(weights).all() for weights in model.get_weights()):
        fault = "the weights of its best epoch are not all finite"
    else:
        return
    raise DivergenceError(f"the training run diverged: {fault}; lower learning_rate={params.learning_rate:g}")


def best_epoch(history: pd.DataFrame) -> int:
    """Find the epoch (from 1) whose weights `fit` restored."""
    return int(np.nanargmin(history["val_loss"])) + 1


def draw_batches(
    data: TrainingData, n_outputs: int, params: Training, seed: int, epoch: int
) -> Iterator[Batch]:
    """Draw the batches of an epoch: inputs, targets and, where classes have them, weights."""
    rng, balanced = np.random.default_rng((seed, epoch)), np.ones(len(data.labels))
    if params.class_weight:
        from sklearn.utils.class_weight import compute_sample_weight  # takes a second to import

        balanced = compute_sample_weight("balanced", data.labels)
    order = draw_rows(data.labels, params.sampling, rng)
    for rows in np.split(order, range(params.batch_size, len(order), params.batch_size)):
        batch, weights = data.inputs(epoch, rows), balanced[rows]
        targets = targets_for(data.labels[rows], n_outputs)
        if data.teaching:
            targets = np.hstack([targets, data.teaching.answers(epoch, rows)])
        if params.mix != "none":
            batch, partners, shares = mix(batch, params.mix, params.mix_alpha, rng)
            targets, weights = (blend(values, partners, shares) for values in (targets, weights))
        x = data.embed(batch) if data.embed else batch
        yield x, targets, weights if params.class_weight else None


def _follow(batches: Iterator[Batch], callbacks: keras.callbacks.CallbackList) -> Iterator[Batch]:
    for step, batch in enumerate(batches):
        yield batch
        callbacks.on_train_batch_end(step)


def _train(model: keras.Model, batches: Iterator[Batch]) -> dict[str, float]:
    """Train an epoch; the means of its loss and accuracy over the images."""
    logs, sizes = [], []
    for size, alike in groupby(batches, lambda batch: len(batch[1])):  # the last may be smaller
        while group := list(islice(alike, model.steps_per_execution)):
            logs.append(train_on_batches(model, group))
            sizes.append(size * len(group))
    return _average(logs, sizes)


def _validate(model: keras.Model, inputs: np.ndarray, labels: np.ndarray, size: int) -> dict[str, float]:
    """The means of loss and accuracy, without the tf.data pipeline that `model.evaluate` makes each time."""
    logs, sizes, size = [], [], size * model.steps_per_execution
    targets = targets_for(labels, model.output_shape[-1])
    for pair in zip(batched(inputs, size), batched(targets, size), strict=True):
        logs.append(model.test_on_batch(*pair, return_dict=True))
        sizes.append(len(pair[0]))
    return {f"val_{name}": value for name, value in _average(logs, sizes).items()}


def _average(logs: Sequence[Mapping[str, float]], sizes: Sequence[int]) -> dict[str, float]:
    return {name: float(np.average([log[name] for log in logs], weights=sizes)) for name in logs[0]}


def compile_model(
    model: keras.Model, params: Training, steps: int, at_once: int = 1, teaching: Teaching | None = None
) -> None:
    """Give a model its loss, accuracy and optimizer, for epochs of so many steps.

    Args:
        model: changed here.
        params: optimizer and its schedule, loss, epochs.
        steps: of an epoch.
        at_once: how many of them are one call, see `graft.training.steps`; 1 suits convolutions, which XLA
            makes slow on a CPU.
        teaching: whose answers stand beside the targets.
    """
    rate = params.learning_rate
    if params.schedule.name == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, steps * params.epochs)
    elif params.schedule.name == "exponential":
        rate = keras.optimizers.schedules.ExponentialDecay(
            rate, steps, params.schedule.factor, staircase=True
        )
    model.compile(
        OPTIMIZERS[params.optimizer](rate, global_clipnorm=params.global_clipnorm),
        loss_for(model.output_shape[-1], params.label_smoothing, teaching),
        metrics=[accuracy],
        jit_compile=COMPILES_TRAINING,
        steps_per_execution=at_once,
    )


def _callbacks(
    model: keras.Model,
    params: Training,
    steps: int,
    stopper: keras.callbacks.EarlyStopping,
    curve: Curve | None,
) -> keras.callbacks.CallbackList:
    chosen, schedule = [stopper], params.schedule
    if schedule.name == "reduce_on_plateau":
        chosen.append(
            keras.callbacks.ReduceLROnPlateau("val_loss", schedule.factor, schedule.patience, min_delta=0)
        )
    if curve is not None:
        chosen.append(curve)
    run = {"epochs": params.epochs, "steps": steps}
    return keras.callbacks.CallbackList(chosen, add_history=True, model=model, **run)
