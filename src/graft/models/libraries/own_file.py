"""A model of one's own: a ``.keras`` file, up to a layer."""

from pathlib import Path

import keras

from graft.config.features import BackboneRow, Precision, check_file
from graft.models.libraries.common import BackboneError, one_line, up_to_layer
from graft.models.nested import leaves
from graft.models.serialization import load_model

SCALING = (keras.layers.Rescaling, keras.layers.Normalization)


def outline(row: BackboneRow, weights: str) -> keras.Model:  # noqa: ARG001
    """The model in the file up to the layer; see `graft.models.backbones.outline`."""
    check_file(row, Path())
    try:
        model = load_model(Path(row.application))
    except Exception as error:  # of Keras, of HDF5, of whatever a damaged file leads to
        raise BackboneError(
            f"application={row.application} cannot be loaded by Keras in its safe mode, which runs no code "
            f"in a file: {one_line(error)}; save it with layers of Keras only"
        ) from None
    _check_input(model, row)
    features = up_to_layer(
        keras.Model(model.inputs[0], model.outputs[-1]), row, "own_file", dimensions=(2, 4)
    )
    if len(features.output.shape) not in (2, 4):
        raise BackboneError(
            f"layer={row.layer!r}: expected one whose output is a map (n, h, w, c) or a vector (n, c), "
            f"received {features.output_shape} of {row.application}; name another layer"
        )
    return features


def build(row: BackboneRow, weights: str, seed: int, precision: Precision) -> keras.Model:  # noqa: ARG001
    """The model in the file up to the layer; see `graft.models.backbones.Backbone.build`."""
    if precision != "float32":
        raise BackboneError(
            f"precision={precision}: the layers in a file compute in what they were saved with; set it to "
            "float32"
        )
    return outline(row, weights)


def _check_input(model: keras.Model, row: BackboneRow) -> None:
    taken = [tuple(each.shape[1:]) for each in getattr(model, "inputs", None) or ()]
    size = row.image_size
    if taken not in ([(size, size, 3)], [(None, None, 3)]):
        raise BackboneError(
            f"application={row.application} takes {taken}, expected one image of {size} x {size} pixels "
            "and 3 "
            f"channels, as image_size={size} has it; set image_size to the model's, or give a model of "
            "such images"
        )
    first = next((each for each in leaves(model) if isinstance(each, SCALING) or each.weights), None)
    if isinstance(first, SCALING) and row.preprocessing != "none":
        raise BackboneError(
            f"preprocessing={row.preprocessing}: {row.application} scales pixels itself, in its layer "
            f"{first.name!r}; set preprocessing to none"
        )
