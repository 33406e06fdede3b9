"""Fine-tuning: after the head, some of the backbone's layers are trained together with it."""

import keras
import pandas as pd

from graft.config.training import Inline
from graft.training.fit import TrainingData, fit
from graft.training.tracking import Curve


def fine_tune(
    joined: keras.Model,
    history: pd.DataFrame,
    data: TrainingData,
    params: Inline,
    seed: int,
    curve: Curve | None,
) -> pd.DataFrame:
    """Train the backbone's trainable layers and the head, and restore the best epoch of both phases.

    Epochs, and with them the views, the order and what is mixed, go on where those of the head ended.

    Args:
        joined: see `join`; changed here.
        history: of the head's training.
        data: pixels.
        params: `fine_tune` gives optimizer, learning rate and epochs; all else is as for the head.
        seed: of the order.
        curve: as for `graft.training.fit.fit`.

    Returns:
        The history of both phases.
    """
    phase = {name: getattr(params.fine_tune, name) for name in ("optimizer", "learning_rate", "epochs")}
    before, done = joined.get_weights(), len(history)
    tuned = fit(joined, data, params.model_copy(update=phase), seed, first_epoch=done, curve=curve)
    if tuned["val_loss"].min() >= history["val_loss"].min():
        joined.set_weights(before)
    tuned["epoch"] += done
    return pd.concat([history, tuned], ignore_index=True)


def join(backbone: keras.Model, head: keras.Model) -> keras.Model:
    """Join a backbone, in inference mode, and a head into one model from (n, size, size, 3) pixels to scores.

    So the backbone's batch normalisation keeps the statistics that it was pre-trained with
    (https://keras.io/guides/transfer_learning).
    """
    pixels = keras.Input(backbone.input_shape[1:])
    return keras.Model(pixels, head(backbone(pixels, training=False)))
