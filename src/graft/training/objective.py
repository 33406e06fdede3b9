"""Targets, loss and accuracy: what goes with one sigmoid unit, and with a softmax."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np


class Teaching(NamedTuple):
    """The part of a teacher in a training run (Hinton, Vinyals and Dean 2015, arXiv 1503.02531).

    Attributes:
        answers: (epoch from 0, row numbers) -> its (n, n_outputs) scores of the views of these rows.
        temperature: that both distributions are softened with: their logarithms are divided by it.
        alpha: the share of the loss that is the answers'; the rest is the labels'.
    """

    answers: Callable[[int, np.ndarray], np.ndarray]
    temperature: float
    alpha: float


def targets_for(labels: np.ndarray, n_outputs: int) -> np.ndarray:
    """(n, n_outputs) float32 targets from class numbers: themselves for a sigmoid, else one-hot."""
    if n_outputs == 1:
        return labels[:, None].astype(np.float32)
    targets: np.ndarray = keras.utils.to_categorical(labels, n_outputs)
    return targets.astype(np.float32)


def loss_for(
    n_outputs: int, label_smoothing: float = 0.0, teaching: Teaching | None = None
) -> keras.losses.Loss:
    """The loss that fits `output_layer` with so many units; targets are those of `targets_for`, or mixed.

    With a teacher, its answers are the targets' other columns; where they are missing, as in validation, the
    loss is that of the labels.
    """
    binary = keras.losses.BinaryCrossentropy(label_smoothing=label_smoothing)
    many = keras.losses.CategoricalCrossentropy(label_smoothing=label_smoothing)
    loss = binary if n_outputs == 1 else many
    return _Distillation(loss, teaching) if teaching else loss


class _Distillation(keras.losses.Loss):  # type: ignore[misc]
    """(1 - alpha) times the loss of the labels + alpha T^2 KL(teacher at T || student at T).

    T^2 keeps the gradients of the second term as large as they are at a temperature of 1.
    """

    def __init__(self, of_labels: keras.losses.Loss, teaching: Teaching) -> None:
        super().__init__()
        self.of_labels, self.teaching = of_labels, teaching

    def call(self, targets: Any, outputs: Any) -> Any:
        n = outputs.shape[-1]
        loss = self.of_labels.call(targets[:, :n], outputs)
        if targets.shape[-1] == n:
            return loss
        _, temperature, alpha = self.teaching
        teacher, student = (_soften(scores, temperature) for scores in (targets[:, n:], outputs))
        divergence = keras.ops.sum(keras.ops.exp(teacher) * (teacher - student), -1)
        return (1 - alpha) * loss + alpha * temperature**2 * divergence


def _soften(scores: Any, temperature: float) -> Any:
    """The (n, n_classes) logarithms of a distribution at a temperature."""
    both = keras.ops.concatenate([1 - scores, scores], -1) if scores.shape[-1] == 1 else scores
    logits = keras.ops.log(keras.ops.clip(both, keras.config.epsilon(), 1.0))
    return keras.ops.log_softmax(logits / temperature)


def accuracy(targets: Any, outputs: Any) -> Any:
    """(n,) 1 where outputs and targets, which may be mixed, have the same likeliest class.

    Keras's own for one sigmoid unit wants targets of exactly 0 and 1. A teacher's answers have no part in it.
    """
    return keras.ops.cast(_decide(targets[:, : outputs.shape[-1]]) == _decide(outputs), "float32")


def _decide(scores: Any) -> Any:
    return scores[:, 0] >= 0.5 if scores.shape[-1] == 1 else keras.ops.argmax(scores, -1)
