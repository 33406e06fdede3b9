"""The parts of KerasHub's vision transformers, by the names that it gives them."""

import keras

# An encoder is one layer, whose blocks, and whose normalisation if it ends in one, are attributes of it.
ENCODERS = {
    "ViTEncoder": ("encoder_layers", "layer_norm"),
    "DeiTEncoder": ("encoder_layers", "layer_norm"),
    "DINOV2Encoder": ("layers", None),
    "DINOV3Encoder": ("layers", None),
}
BLOCKS = ("CLIPEncoderLayer", "SigLIPEncoderLayer", "SwinTransformerStage")  # the last is of one resolution


def blocks_of(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The blocks in an encoder, in the order in which they compute; a block itself; none of another layer."""
    kind = type(layer).__name__
    if kind in ENCODERS:
        return list(getattr(layer, ENCODERS[kind][0]))
    return [layer] if kind in BLOCKS else []


def parts_of(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The layers that an encoder is made of; of another layer, the layer itself."""
    _, norm = ENCODERS.get(type(layer).__name__, (None, None))
    return [*(blocks_of(layer) or [layer]), *([getattr(layer, norm)] if norm else [])]
