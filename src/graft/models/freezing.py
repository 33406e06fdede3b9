"""Select the layers to fine-tune, by the names of blocks or counted from the top."""

from collections.abc import Sequence

import keras

from graft.config.features import BackboneRow
from graft.models.backbones import application_in, outline
from graft.models.libraries.common import BackboneError
from graft.models.nested import leaves
from graft.models.transformers import parts_of

STATISTICS = (keras.layers.BatchNormalization, keras.layers.Normalization)
READABLE = 40  # names in an error


def unfreeze(backbone: keras.Model, blocks: Sequence[str], layers: int) -> list[str]:
    """Make some of a backbone's layers trainable and all others not.

    Layers without weights do not count, nor does batch normalization: it stays frozen, and in
    inference mode where the caller runs the backbone with ``training=False`` (its statistics are of
    other images, and batches too small to replace them).

    Args:
        backbone: of `Backbone`; changed in place.
        blocks: names of layers, or beginnings of names before a ``_``: ``block4`` means
            ``block4_conv1`` and so on; ``block_1`` does not mean ``block_16_project``.
        layers: or so many of the last layers that have weights to train, in the model's order.

    Returns:
        The names of the layers that are trainable now, in the model's order.

    Raises:
        BackboneError: if a block has no layer to train, or there are fewer than ``layers``.
    """
    application = application_in(backbone)
    names = choose_layers(application, blocks, layers)
    backbone.trainable = True  # or Keras would say that it has no trainable weights
    for layer in application.layers:
        for part in parts_of(layer):
            part.trainable = part.name in names
            for inner in leaves(part) if isinstance(part, keras.Model) else ():
                inner.trainable = inner.trainable and not isinstance(inner, STATISTICS)
    return names


def check_backbone(row: BackboneRow, weights: str, blocks: Sequence[str], layers: int) -> None:
    """Check a row of params.yaml and what is to be fine-tuned of it, without weights, in about a second.

    Raises:
        BackboneError: if the row cannot be built, or `unfreeze` would raise.
    """
    choose_layers(outline(row, weights), blocks, layers)


def choose_layers(application: keras.Model, blocks: Sequence[str], layers: int) -> list[str]:
    """The names of the layers that `unfreeze` makes trainable."""
    parts = [part for layer in application.layers for part in parts_of(layer)]
    with_weights = [layer for layer in parts if layer.weights]
    names = [layer.name for layer in with_weights if not isinstance(layer, STATISTICS)]
    for block in blocks:
        if not any(_is_in(name, block) for name in names):
            raise BackboneError(
                f"fine_tune.blocks={block!r} has no layer to train in {application.name} up to its feature; "
                f"choose layers, or what their names begin with: {', '.join(_beginnings(names))}"
            )
    if layers > len(names):
        raise BackboneError(
            f"fine_tune.layers={layers} is more than {application.name} has up to its feature; choose at "
            f"most {len(names)}, the number of its layers that have weights to train"
        )
    last = names[len(names) - layers :]
    return [name for name in names if name in last or any(_is_in(name, block) for block in blocks)]


def _is_in(name: str, block: str) -> bool:
    return f"{name}_".startswith(f"{block}_")


def _beginnings(names: list[str]) -> list[str]:
    """The first parts of names, parted by a ``_``: as many parts as keep hundreds of names readable."""
    legal: list[str] = []
    for n_parts in range(1, 1 + max(name.count("_") + 1 for name in names)):
        deeper = list(dict.fromkeys([*legal, *("_".join(name.split("_")[:n_parts]) for name in names)]))
        if legal and len(deeper) > READABLE:
            break
        legal = deeper
    return legal
