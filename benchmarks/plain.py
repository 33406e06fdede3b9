"""The plain Keras way, as tutorials write it: what graft is measured against.

Each function builds what is needed, warms it up with one batch, and returns the part that is timed.
"""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf


def extraction(
    images: str, work: str, row: dict[str, Any], weights: str | None = None
) -> Callable[[], dict[str, float]]:
    """JPEG files -> one pickle of float32 features.

    Args:
        images: a folder per class.
        work: folder for the pickle.
        row: the backbone, as a row of params.yaml.
        weights: path of a weights file; None: random.
    """
    size, batch_size, output = row["image_size"], row["batch_size"], Path(work, "features.pickle")
    build = getattr(keras.applications, row["application"])
    preprocess_input = getattr(keras.applications, row["preprocessing"]).preprocess_input
    pooling = None if row["pooling"] == "none" else row["pooling"]
    conv_base = build(include_top=False, weights=None, input_shape=(size, size, 3), pooling=pooling)
    if weights:
        conv_base.load_weights(weights)
    conv_base.predict(preprocess_input(tf.zeros((batch_size, size, size, 3))), verbose=0)

    def run() -> dict[str, float]:
        dataset = keras.utils.image_dataset_from_directory(
            images, image_size=(size, size), batch_size=batch_size, verbose=False
        )
        features = []
        for batch, _ in dataset:
            features.append(conv_base.predict(preprocess_input(batch), verbose=0))
        with output.open("wb") as file:
            pickle.dump(np.concatenate(features), file)
        return {"images": len(dataset.file_paths), "bytes": output.stat().st_size}

    return run


def inline(images: str, row: dict[str, Any]) -> Callable[[], dict[str, float]]:
    """One epoch of augmentation -> preprocessing -> frozen VGG19 -> head, with validation.

    Args:
        images: folder of `train` and `validation`, each with two class folders.
        row: the backbone, as a row of params.yaml.
    """
    size = row["image_size"]
    train, validation = (
        keras.utils.image_dataset_from_directory(
            Path(images, split),
            label_mode="binary",
            image_size=(size, size),
            batch_size=row["batch_size"],
            verbose=False,
        )
        for split in ("train", "validation")
    )
    conv_base = keras.applications.VGG19(include_top=False, weights=None, input_shape=(size, size, 3))
    conv_base.trainable = False
    inputs = keras.Input((size, size, 3))
    x = keras.layers.RandomFlip("horizontal")(inputs)
    x = keras.layers.RandomRotation(0.2)(x)
    x = keras.layers.RandomZoom(0.2)(x)
    x = conv_base(keras.applications.vgg19.preprocess_input(x))
    model = _add_head(inputs, x)
    model.fit(train.take(1), validation_data=validation.take(1), verbose=0)

    def run() -> dict[str, float]:
        model.fit(train, epochs=1, validation_data=validation, verbose=0)
        return {"images": len(train.file_paths) + len(validation.file_paths)}

    return run


def prediction(images: str, work: str, row: dict[str, Any]) -> Callable[[], dict[str, float]]:
    """Image files -> a table of labels, by the model's own `predict`.

    Args:
        images: a folder per class.
        work: folder of the model.
        row: the backbone, as a row of params.yaml.
    """
    size = row["image_size"]
    model = keras.saving.load_model(save_classifier(Path(work, "model.keras"), row))
    model.predict(np.zeros((row["batch_size"], size, size, 3), np.float32), verbose=0)

    def run() -> dict[str, float]:
        dataset = keras.utils.image_dataset_from_directory(
            images, image_size=(size, size), batch_size=row["batch_size"], shuffle=False, verbose=False
        )
        labels = model.predict(dataset, verbose=0).argmax(1)
        lines = (f"{path},{label}\n" for path, label in zip(dataset.file_paths, labels, strict=True))
        Path(work, "predictions.csv").write_text("".join(lines))
        return {"images": len(labels)}

    return run


def save_classifier(file: Path, row: dict[str, Any]) -> Path:
    """Save a model of two classes that begins with its preprocessing; returns the file."""
    size = row["image_size"]
    build = getattr(keras.applications, row["application"])
    preprocess_input = getattr(keras.applications, row["preprocessing"]).preprocess_input
    inputs = keras.Input((size, size, 3))
    conv_base = build(include_top=False, weights=None, input_shape=(size, size, 3), pooling="avg")
    outputs = keras.layers.Dense(2, activation="softmax")(conv_base(preprocess_input(inputs)))
    keras.Model(inputs, outputs).save(file)
    return file


def head_training(row: dict[str, Any], counts: dict[str, int], epochs: int) -> Callable[[], dict[str, float]]:
    """`model.fit` of a head on features in memory, made up, with validation.

    Args:
        row: the backbone, as a row of params.yaml.
        counts: how many images each split has.
        epochs: how many.
    """
    rng, side = np.random.default_rng(0), row["image_size"] // 32
    shape, batch_size = (side, side, 512), row["batch_size"]
    train, validation = (
        (rng.random((counts[split], *shape), np.float32), rng.integers(0, 2, (counts[split], 1)))
        for split in ("train", "validation")
    )
    inputs = keras.Input(shape)
    model = _add_head(inputs, inputs)
    first = [part[:batch_size] for part in train]
    model.fit(*first, validation_data=first, verbose=0)

    def run() -> dict[str, float]:
        model.fit(*train, batch_size=batch_size, epochs=epochs, validation_data=validation, verbose=0)
        return {"epochs": epochs}

    return run


def _add_head(inputs: keras.KerasTensor, x: keras.KerasTensor) -> keras.Model:
    """A compiled model of two classes, from the inputs by x through the head of the tutorials."""
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(256, activation="relu")(x)
    x = keras.layers.Dense(128, activation="relu")(x)
    x = keras.layers.Dropout(0.5)(x)
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(x))
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    return model
