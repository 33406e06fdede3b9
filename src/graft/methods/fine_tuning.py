"""Fine-tuning: after the head, some of the backbone's layers are trained together with it."""

from collections.abc import Mapping

import keras
import numpy as np
import pandas as pd

from graft.config.training import Inline
from graft.methods.outcome import class_numbers
from graft.training.fit import Inputs, fit
from graft.training.tracking import Log


def fine_tune(
    backbone: keras.Model,
    head: keras.Model,
    history: pd.DataFrame,
    inputs: Inputs,
    pixels: Mapping[str, np.ndarray],
    manifest: pd.DataFrame,
    params: Inline,
    seed: int,
    log: Log,
) -> tuple[keras.Model, pd.DataFrame]:
    """Train the backbone's trainable layers and the head, and restore the best epoch of both phases.

    The backbone runs in inference mode, so its batch normalisation keeps the statistics that it was
    pre-trained with (https://keras.io/guides/transfer_learning). Epochs, and with them the views, the
    order and what is mixed, go on where those of the head ended.

    Args:
        backbone: with the layers to train made trainable; changed here.
        head: trained; changed here.
        history: of the head's training.
        inputs: the pixels of training rows, as `graft.training.fit.fit` asks for them.
        pixels: of the plain images by split, in the manifest's order: ``validation`` is read.
        manifest: of all splits.
        params: `fine_tune` gives optimizer, learning rate and epochs; all else is as for the head.
        seed: of the order.
        log: as for `graft.training.fit.fit`.

    Returns:
        The joined model, from pixels to scores, and the history of both phases.
    """
    images = keras.Input(backbone.input_shape[1:])
    joined = keras.Model(images, head(backbone(images, training=False)))
    phase = {name: getattr(params.fine_tune, name) for name in ("optimizer", "learning_rate", "epochs")}
    before, done, labels = joined.get_weights(), len(history), class_numbers(manifest)
    tuned = fit(
        joined,
        inputs,
        labels["train"],
        (pixels["validation"], labels["validation"]),
        params.model_copy(update=phase),
        seed,
        first_epoch=done,
        log=log,
    )
    if tuned["val_loss"].min() >= history["val_loss"].min():
        joined.set_weights(before)
    tuned["epoch"] += done
    return joined, pd.concat([history, tuned], ignore_index=True)
