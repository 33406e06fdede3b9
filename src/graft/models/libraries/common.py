"""The errors of all libraries, and the end of a model at a layer."""

import keras

from graft.config.features import BackboneRow


class BackboneError(ValueError):
    """A backbone that cannot be built as params.yaml says."""


def up_to_layer(base: keras.Model, row: BackboneRow, name: str, dimensions: tuple[int, ...]) -> keras.Model:
    """End a model at ``row.layer``, whose output has one of these numbers of dimensions.

    Raises:
        BackboneError: if it has no such layer.
    """
    outputs = {layer.name: output for layer in base.layers if (output := _output(layer)) is not None}
    legal = {layer: output for layer, output in outputs.items() if len(output.shape) in dimensions}
    if row.layer is not None and row.layer not in legal:
        raise BackboneError(
            f"layer={row.layer!r} is not in {row.application}; its layers are {', '.join(legal)}"
        )
    return keras.Model(base.input, legal[row.layer] if row.layer else base.output, name=name)


def _output(layer: keras.layers.Layer) -> keras.KerasTensor | None:
    try:
        output = layer.output
    except (AttributeError, ValueError):  # of a layer that is not called once
        return None
    return output if isinstance(output, keras.KerasTensor) else None


def one_line(error: Exception) -> str:
    """The beginning of an error's text, in one line."""
    return " ".join(str(error).split())[:300]
