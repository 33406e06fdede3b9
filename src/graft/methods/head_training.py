"""Training of a Keras head behind a frozen backbone, cached or not."""

from collections.abc import Callable, Mapping

import keras
import numpy as np
import pandas as pd

from graft.config.training import HeadMethod
from graft.models.heads import build_head, fit_scaler
from graft.models.isolation import build_isolated
from graft.training.fit import TrainingData, compile_model, fit
from graft.training.sampling import count_rows
from graft.training.steps import count_at_once
from graft.training.tracking import Curve

TrainHead = Callable[[int, Curve | None], tuple[keras.Model, pd.DataFrame]]


def head_trainer(
    features: Mapping[str, np.ndarray], data: TrainingData, n_classes: int, params: HeadMethod
) -> TrainHead:
    """Make a function that trains a head with a seed of weights, dropout and order, and records its epochs.

    Args:
        features: of the plain images by split, float16, in the manifest's order; ``train`` is read
            where the head standardises, and may be absent where it does not.
        data: its validation inputs are features, and so are its inputs, behind `embed` if it has one.
        n_classes: of the labels.
        params: head and training.

    Returns:
        Function from the seed and the curve to the head and its history. It is the same head in each
        training run, so that its graphs are traced and compiled once.
    """
    needs_scaler = params.head.normalise == "standardise"
    scaler = fit_scaler(features["train"], params.head.pooling) if needs_scaler else None
    shape = features["validation"].shape[1:]
    kept: list[CompiledHead] = []

    def train(seed: int, curve: Curve | None) -> tuple[keras.Model, pd.DataFrame]:
        drawn = build_isolated(lambda: build_head(shape, n_classes, params.head, scaler, seed))
        if kept:
            kept[0].begin_again(drawn)
        else:
            kept.append(CompiledHead(drawn, params, count_rows(data.labels, params.sampling)))
        head = kept[0].head
        return head, fit(head, data, params, seed, curve=curve)

    return train


class CompiledHead:
    """A head with its compiled programs and an optimizer, which one training run after the other uses."""

    def __init__(self, head: keras.Model, params: HeadMethod, n_rows: int) -> None:
        at_once = count_at_once(head.input_shape[1:], params.batch_size, n_rows)
        compile_model(head, params, -(-n_rows // params.batch_size), at_once)
        self.head, self.optimizer = head, head.optimizer
        self.optimizer.build(head.trainable_variables)
        self.initial = [variable.numpy() for variable in self.optimizer.variables]

    def begin_again(self, drawn: keras.Model) -> None:
        """Give it the weights and the dropout's state of another head, and an optimizer that has no past."""
        variables, values = (
            [*self.head.variables, *self.optimizer.variables],
            [*drawn.variables, *self.initial],
        )
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        self.head.optimizer, self.head.compiled, self.head.stop_training = self.optimizer, True, False
