"""KerasHub: vision transformers, which give tokens (n, t, c), or vectors (n, c) if they pool them."""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras

from graft.config.features import IMAGENET, RANDOM, BackboneRow, Precision
from graft.models.dtype_policy import computing_in
from graft.models.isolation import build_isolated
from graft.models.libraries.common import BackboneError, one_line
from graft.models.serialization import import_hub

SMALLEST_GRID = 3  # rows of patches
# Blocks, heads, width, width of the MLP: table 1 of arXiv 2010.11929 (ViT) and of 2012.12877 (DeiT).
TINY, SMALL, BASE = (12, 3, 192, 768), (12, 6, 384, 1536), (12, 12, 768, 3072)
LARGE, SO400M = (24, 16, 1024, 4096), (27, 16, 1152, 4304)
RESIZED = ("DINOV2Backbone", "DINOV3Backbone")  # whose weights suit images of every size
NAME = "transformer"  # with which most begin the names of their layers, if they have one, as in a file
NOT_ARGUMENTS = ("name", "trainable", "dtype", "image_shape")


def _blocks(kind: str, size: tuple[int, int, int, int], **others: Any) -> tuple[str, dict[str, Any]]:
    names = (
        "num_layers",
        "num_heads",
        "hidden_dim",
        "mlp_dim" if kind == "ViTBackbone" else "intermediate_dim",
    )
    return kind, dict(zip(names, size, strict=True)) | others


def _vit(size: tuple[int, int, int, int]) -> tuple[str, dict[str, Any]]:
    return _blocks("ViTBackbone", size, patch_size=16)


def _deit(size: tuple[int, int, int, int]) -> tuple[str, dict[str, Any]]:
    return _blocks("DeiTBackbone", size, patch_size=16, layer_norm_epsilon=1e-12)


def _dinov2(size: tuple[int, int, int, int], registers: int = 0) -> tuple[str, dict[str, Any]]:
    tokens = {"num_register_tokens": registers, "antialias_in_interpolation": bool(registers)}
    return _blocks("DINOV2Backbone", size, patch_size=14, position_embedding_shape=(518, 518), **tokens)


def _dinov3(size: tuple[int, int, int, int], gated: bool = False) -> tuple[str, dict[str, Any]]:
    mlp = {"use_gated_mlp": gated, "hidden_activation": "silu" if gated else "gelu"}
    return _blocks("DINOV3Backbone", size, patch_size=16, use_key_bias=False, **mlp)


def _clip(size: tuple[int, int, int, int], patch: int) -> tuple[str, dict[str, Any]]:
    return _blocks("CLIPVisionEncoder", size, patch_size=patch)


def _siglip(size: tuple[int, int, int, int], patch: int = 16) -> tuple[str, dict[str, Any]]:
    return _blocks("SigLIPVisionEncoder", size, patch_size=patch)


def _swin(width: int, depth: int, heads: int) -> tuple[str, dict[str, Any]]:
    stages = {"depths": (2, 2, depth, 2), "num_heads": tuple(heads * 2**i for i in range(4))}
    return "SwinTransformerBackbone", {"embed_dim": width, "window_size": 7, "patch_size": 4, **stages}


# The presets of KerasHub that graft knows without a network: the class, and its arguments.
PRESETS = {
    "vit_base_patch16_224_imagenet": _vit(BASE),
    "vit_base_patch16_224_imagenet21k": _vit(BASE),
    "vit_large_patch16_224_imagenet": _vit(LARGE),
    "vit_large_patch16_224_imagenet21k": _vit(LARGE),
    "deit_tiny_distilled_patch16_224_imagenet": _deit(TINY),
    "deit_small_distilled_patch16_224_imagenet": _deit(SMALL),
    "deit_base_distilled_patch16_224_imagenet": _deit(BASE),
    "dinov2_small": _dinov2(SMALL),
    "dinov2_base": _dinov2(BASE),
    "dinov2_large": _dinov2(LARGE),
    "dinov2_with_registers_small": _dinov2(SMALL, 4),
    "dinov2_with_registers_base": _dinov2(BASE, 4),
    "dinov2_with_registers_large": _dinov2(LARGE, 4),
    "dinov3_vit_small_lvd1689m": _dinov3(SMALL),
    "dinov3_vit_small_plus_lvd1689m": _dinov3(SMALL, gated=True),
    "dinov3_vit_base_lvd1689m": _dinov3(BASE),
    "dinov3_vit_large_lvd1689m": _dinov3(LARGE),
    "clip_vit_base_patch32": _clip(BASE, 32),
    "clip_vit_base_patch16": _clip(BASE, 16),
    "clip_vit_large_patch14": _clip(LARGE, 14),
    "siglip_base_patch16_224": _siglip(BASE),
    "siglip_large_patch16_256": _siglip(LARGE),
    "siglip_so400m_patch14_384": _siglip(SO400M, 14),
    "siglip2_base_patch16_224": _siglip(BASE),
    "swin_tiny_patch4_window7_224": _swin(96, 6, 3),
    "swin_small_patch4_window7_224": _swin(96, 18, 3),
    "swin_base_patch4_window7_224": _swin(128, 18, 4),
    "swin_large_patch4_window7_224": _swin(192, 18, 6),
}


def outline(row: BackboneRow, weights: str) -> keras.Model:
    """The transformer without values; see `graft.models.backbones.outline`."""
    kind, arguments = _architecture(row)
    if weights not in (RANDOM, IMAGENET) and "://" not in weights:
        kind, arguments = _read_architecture(row, Path(weights))

    def build() -> keras.Model:
        with keras.StatelessScope(initialize_variables=False):
            return _construct(row, kind, arguments)

    return build_isolated(build)


def build(row: BackboneRow, weights: str, seed: int, precision: Precision) -> keras.Model:
    """The transformer; see `graft.models.backbones.Backbone.build`."""
    outline(row, weights)  # whose errors come before any download
    kind, arguments = _architecture(row)
    loaded = None if weights == RANDOM else _load(row, weights)
    if loaded is not None:
        arguments = loaded.get_config()

    def construct() -> keras.Model:
        keras.utils.set_random_seed(seed)  # also of what drops paths, whose state is in the model's file
        with computing_in(precision):
            return _construct(row, kind, arguments)

    tower = build_isolated(construct)
    if loaded is not None:
        tower.set_weights(loaded.get_weights())
    return tower


def facts(tower: keras.Model) -> dict[str, str]:
    """All that determines a feature besides weights and row: KerasHub's version, and the architecture."""
    config = {name: value for name, value in tower.get_config().items() if name not in NOT_ARGUMENTS}
    architecture = json.dumps([type(tower).__name__, config], sort_keys=True)
    return {
        "keras_hub": version("keras-hub"),
        "architecture": hashlib.sha256(architecture.encode()).hexdigest(),
    }


def _architecture(row: BackboneRow) -> tuple[str, dict[str, Any]]:
    if row.application not in PRESETS:
        raise BackboneError(
            f"application={row.application!r} is not among the presets of KerasHub that graft knows; "
            f"choose one of {', '.join(PRESETS)}"
        )
    return PRESETS[row.application]


def _read_architecture(row: BackboneRow, folder: Path) -> tuple[str, dict[str, Any]]:
    """Read the class and its arguments in the folder of a preset: of two towers those of the images'."""
    if not folder.is_dir():
        raise BackboneError(
            f"weights={folder} is no folder; expected imagenet, random, the folder that `save_to_preset` of "
            "KerasHub wrote, or a handle that its `from_preset` takes, such as hf://facebook/dinov2-small"
        )
    try:
        saved = json.loads((folder / "config.json").read_bytes())
        saved = saved["config"].get("vision_encoder", saved)
        kind, arguments = (
            saved["class_name"],
            {"patch_size": saved["config"]["patch_size"], **saved["config"]},
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise BackboneError(
            f"weights={folder}: its config.json is not that of a preset of KerasHub ({one_line(error)}); "
            "expected the folder that `save_to_preset` wrote"
        ) from None
    _check_kind(row, str(folder), kind)
    return kind, arguments


def _check_kind(row: BackboneRow, weights: str, kind: str) -> None:
    if kind != (expected := PRESETS[row.application][0]):
        raise BackboneError(
            f"weights={weights} are of a {kind}, expected a {expected} for "
            f"application={row.application!r}; set `backbone` to a row of theirs"
        )


def _construct(row: BackboneRow, kind: str, arguments: dict[str, Any]) -> keras.Model:
    given = {name: value for name, value in arguments.items() if name not in NOT_ARGUMENTS}
    size, patch = row.image_size, given["patch_size"]
    smallest = SMALLEST_GRID * (patch if isinstance(patch, int) else patch[0])
    if size < smallest:
        raise BackboneError(
            f"image_size={size} does not suit {row.application}: expected {smallest} pixels or more, which "
            f"are {SMALLEST_GRID} rows of its patches"
        )
    try:
        return getattr(import_hub().models, kind)(**given, image_shape=(size, size, 3), name=NAME)
    except Exception as error:  # of KerasHub, or of what a damaged config.json leads to
        raise BackboneError(f"image_size={size} does not suit {row.application}: {one_line(error)}") from None


def _load(row: BackboneRow, weights: str) -> keras.Model:
    source = row.application if weights == IMAGENET else weights
    kind, size = PRESETS[row.application][0], row.image_size
    resized = {"image_shape": (size, size, 3)} if kind in RESIZED else {}
    try:
        loaded = import_hub().models.Backbone.from_preset(source, **resized)
    except Exception as error:  # of KerasHub, Kaggle, Hugging Face, HDF5 ...
        raise BackboneError(
            f"weights={weights}: KerasHub could not load {source}: {type(error).__name__}: "
            f"{one_line(error)}. It keeps downloads in ~/.cache/kagglehub; without a network, call "
            f"`keras_hub.models.Backbone.from_preset({source!r}).save_to_preset('FOLDER')` on a machine "
            "that has one, and set weights to that folder"
        ) from None
    tower: keras.Model = getattr(loaded, "vision_encoder", loaded)
    _check_kind(row, weights, type(tower).__name__)
    if tuple(tower.image_shape) != (size, size, 3):
        raise BackboneError(
            f"image_size={size}: the weights of {source} suit {tower.image_shape[0]} x "
            f"{tower.image_shape[1]} pixels only; set image_size to {tower.image_shape[0]}"
        )
    return tower
