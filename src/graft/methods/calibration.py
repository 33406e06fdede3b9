"""Calibration of a trained method: a temperature in its deployable model, fitted on the validation images."""

from dataclasses import replace

import keras
import numpy as np

from graft.config.predict import Calibration
from graft.methods.outcome import Outcome
from graft.training.temperature import fit_temperature, temper


def calibrate(outcome: Outcome, how: Calibration) -> Outcome:
    """Scale the logits of each seed's model by a temperature of its own; decisions stay as they are.

    The model that is kept is changed here: the kernel and the bias of its last layer are divided, and so
    are those of the other seeds' heads.

    Args:
        outcome: of a training run.
        how: ``none``: it stays as it is.

    Returns:
        The outcome with the calibrated scores, and the fact ``temperatures``, one a seed. A model that does
        not end in a dense layer with a sigmoid or a softmax, such as a mean of models, stays as it is.
    """
    layer = _last_layer(outcome.model)
    if how == "none" or layer is None:
        return outcome
    rows, scores, temperatures = outcome.rows, outcome.scores.copy(), []
    labels = np.searchsorted(outcome.classes, rows["label"])
    for seed in outcome.facts["seeds"]:
        own = (rows["seed"] == seed).to_numpy()
        fitted = own & (rows["split"] == "validation").to_numpy()
        temperatures.append(fit_temperature(scores[fitted], labels[fitted]))
        scores[own] = temper(scores[own], temperatures[-1])
    layer.set_weights([weights / temperatures[0] for weights in layer.get_weights()])
    others = outcome.other_heads and {
        seed: [*weights[:-2], *(each / temperature for each in weights[-2:])]
        for (seed, weights), temperature in zip(outcome.other_heads.items(), temperatures[1:], strict=True)
    }
    facts = {**outcome.facts, "temperatures": temperatures}
    return replace(outcome, scores=scores, facts=facts, other_heads=others)


def _last_layer(model: keras.Model) -> keras.layers.Dense | None:
    layer = model
    while isinstance(layer, keras.Model):
        layer = layer.layers[-1]
    ends = keras.activations.sigmoid, keras.activations.softmax
    return layer if isinstance(layer, keras.layers.Dense) and layer.activation in ends else None
