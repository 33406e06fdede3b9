"""Views: pure in (key, view, operation), and each operation is Keras's."""

from hashlib import sha256
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graft.config.features import GEOMETRIC, Augmentation
from graft.data import augmentation
from graft.data.augmentation import (
    OPERATIONS,
    Operation,
    augment,
    augment_features,
    draw,
    effective,
)
from helpers.augmentations import AUGMENTATIONS, FILL_MODES

NULL: dict[str, Any] = {
    **{name: each.neutral for name, each in OPERATIONS.items()},
    "fill_mode": "reflect",
    "interpolation": "bilinear",
}
HEIGHT, WIDTH = 12, 17
IMAGES = np.random.default_rng(0).integers(0, 256, (6, HEIGHT, WIDTH, 3), dtype=np.uint8)
KEYS = [sha256(bytes([i])).hexdigest() for i in range(6)]
# As sparse as VGG19's: ReLU outputs.
MAPS = np.maximum(np.random.default_rng(1).normal(size=(6, 5, 5, 512)) - 0.5, 0).astype(np.float16)
VECTORS = MAPS.mean(axis=(1, 2))


def spec(**changes: Any) -> Augmentation:
    """The augmentation that does nothing, with changes."""
    return Augmentation.model_validate({**NULL, **changes})


def ranged(name: str, key: str, factor: float, kind: str = "pixels", number: int = 0) -> float:
    """The value from +- factor that an operation draws for view 1 of a key."""
    return float((2 * draw(key, 1, name, OPERATIONS[name].draws, kind)[number] - 1) * factor)


def keras_view(layer: keras.layers.Layer, image: np.ndarray) -> np.ndarray:
    return np.asarray(layer(image[None].astype(np.float32), training=True))[0]


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("fill_mode", FILL_MODES)
@pytest.mark.parametrize("operation", ["rotation", "zoom", "translation"])
def test_a_geometric_operation_is_that_of_keras(operation: str, fill_mode: str, interpolation: str) -> None:
    chosen = spec(**{operation: 0.3, "fill_mode": fill_mode, "interpolation": interpolation})
    result = augment(IMAGES[:3], KEYS[:3], [1] * 3, chosen)
    assert np.abs(result - IMAGES[:3]).max() > 10
    options = {"fill_mode": fill_mode, "interpolation": interpolation}
    for image, key, view in zip(IMAGES[:3], KEYS[:3], result, strict=True):
        if operation == "rotation":
            factor = ranged("rotation", key, 0.3)
            layer = keras.layers.RandomRotation((factor, factor), **options)
        elif operation == "zoom":
            factor = ranged("zoom", key, 0.3)
            layer = keras.layers.RandomZoom((factor, factor), (factor, factor), **options)
        else:
            x, y = (ranged("translation", key, 0.3, number=number) for number in (0, 1))
            layer = keras.layers.RandomTranslation((y, y), (x, x), **options)
        expected = keras_view(layer, image)
        # float32 coordinates: where a pixel lies just between two, `nearest` may take the other one.
        differ = np.abs(view - expected).max(-1) > 0.2
        assert differ.mean() < (0.03 if interpolation == "nearest" else 0.001)


@settings(deadline=None)
@given(chosen=AUGMENTATIONS, size=st.sampled_from([8, 28, 33]))
def test_a_gray_image_is_augmented_as_one_channel_of_three(chosen: Augmentation, size: int) -> None:
    gray = np.random.default_rng(size).integers(0, 256, (2, size, size, 1), dtype=np.uint8)
    one = augment(gray, KEYS[:2], [1, 2], chosen)
    three = augment(np.repeat(gray, 3, axis=-1), KEYS[:2], [1, 2], chosen)
    assert one.shape == (2, size, size, 1)
    # The mean that contrast keeps is summed in float32, in another order.
    np.testing.assert_allclose(three, np.repeat(one, 3, axis=-1), atol=1e-2)


def test_brightness_is_that_of_keras() -> None:
    chosen = spec(brightness=0.6)
    for image, key, view in zip(IMAGES, KEYS, augment(IMAGES, KEYS, [1] * 6, chosen), strict=True):
        factor = ranged("brightness", key, 0.6)
        layer = keras.layers.RandomBrightness((factor, factor), value_range=(0, 255))
        np.testing.assert_allclose(view, keras_view(layer, image), atol=1e-3)


def test_contrast_is_that_of_keras() -> None:
    chosen = spec(contrast=0.6)
    layer = keras.layers.RandomContrast(0.6, value_range=(0, 255))
    for image, key, view in zip(IMAGES, KEYS, augment(IMAGES, KEYS, [1] * 6, chosen), strict=True):
        factor = np.full((1, 1, 1, 1), 1 + ranged("contrast", key, 0.6), np.float32)
        pixels = image[None].astype(np.float32)
        expected = layer.transform_images(pixels, {"contrast_factor": factor}, training=True)
        np.testing.assert_allclose(view, np.asarray(expected)[0], atol=1e-2)


@pytest.mark.parametrize("flip", ["horizontal", "vertical", "horizontal_and_vertical"])
def test_a_flip_mirrors_about_half_of_the_images(flip: str) -> None:
    keys = [sha256(str(i).encode()).hexdigest() for i in range(400)]
    views = augment(np.repeat(IMAGES[:1], 400, 0), keys, [1] * 400, spec(flip=flip))
    x = [1, -1] if "horizontal" in flip else [1]
    y = [1, -1] if "vertical" in flip else [1]
    legal = [IMAGES[0][::b, ::a].astype(np.float32) for a in x for b in y]
    counts = [sum(np.allclose(view, one, atol=0.01) for view in views) for one in legal]
    assert sum(counts) == 400
    assert min(counts) > 200 / len(legal)


@pytest.mark.parametrize("fill_mode", FILL_MODES)
def test_a_crop_stays_inside_the_image(fill_mode: str) -> None:
    image = np.full((1, HEIGHT, WIDTH, 3), 200, np.uint8)
    views = augment(
        np.repeat(image, 50, 0), [KEYS[0]] * 50, range(1, 51), spec(crop=0.8, fill_mode=fill_mode)
    )
    np.testing.assert_allclose(views, 200, atol=1e-3)  # `constant` would show as black


def test_a_crop_is_a_scaled_window() -> None:
    ramp = np.broadcast_to(np.arange(WIDTH, dtype=np.float32)[None, None, :, None], (1, HEIGHT, WIDTH, 3))
    chosen = spec(crop=0.8)
    line = augment(ramp, KEYS[:1], [1], chosen)[0, 0, :, 0]
    steps = np.diff(line)
    np.testing.assert_allclose(steps, steps[0], atol=1e-3)
    np.testing.assert_allclose(steps[0], 1 - 0.8 * draw(KEYS[0], 1, "crop", 3)[0], atol=1e-3)
    assert steps[0] < 0.99


def test_nothing_to_do_leaves_the_pixels_exactly() -> None:
    result = augment(IMAGES, KEYS, [1] * 6, spec())
    assert result.dtype == np.float32
    assert (result == IMAGES).all()


@settings(deadline=None, max_examples=30)
@given(AUGMENTATIONS, st.permutations(range(6)), st.integers(1, 6))
def test_a_view_depends_on_its_key_number_and_spec_alone(
    chosen: Augmentation, order: list[int], n: int
) -> None:
    views = [1, 2, 3, 1, 2, 1000]
    whole = augment(IMAGES, KEYS, views, chosen)
    some = order[:n]
    part = augment(IMAGES[some], [KEYS[i] for i in some], [views[i] for i in some], chosen)
    assert (part == whole[some]).all()
    assert whole.min() >= 0
    assert whole.max() <= 255


def test_key_view_operation_and_kind_each_draw_other_numbers() -> None:
    first = KEYS[0], 1, "zoom", 3, "pixels"
    others = [(KEYS[1], *first[1:]), (KEYS[0], 2, *first[2:]), (*first[:2], "crop", 3, "pixels")]
    numbers = [draw(*each) for each in (first, *others, (*first[:4], "features"))]
    assert len({n for each in numbers for n in each}) == 15
    assert (draw(*first) == numbers[0]).all()
    assert all(((n >= 0) & (n < 1)).all() for n in numbers)


def test_drawn_numbers_stay_what_they_are() -> None:
    """A change here would silently change every cached view of every user: then raise `format.FORMAT`."""
    np.testing.assert_allclose(
        draw("0" * 64, 1, "rotation", 2), [0.043243312653175714, 0.3758268165219155], rtol=1e-12
    )


def test_a_range_scales_the_same_draw() -> None:
    """Half the range of brightness shifts half as far, and leaves the flip as it was."""
    gray = np.full((6, 8, 8, 1), 127, np.uint8)
    shifts = [augment(gray, KEYS, [1] * 6, spec(brightness=by, flip="horizontal")) - 127 for by in (0.2, 0.4)]
    np.testing.assert_allclose(2 * shifts[0], shifts[1], atol=1e-3)


class More(Augmentation):
    """A params.yaml that knows one operation more."""

    more: float


@pytest.fixture(params=["first", "last"])
def more(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """One operation more: a move, before all others, or a change of colours, after them; its name."""
    moves = request.param == "first"

    def move(u: np.ndarray, factor: float, height: int, width: int) -> np.ndarray:
        return OPERATIONS["translation"].apply(np.repeat(u, 2, axis=0), factor, height, width)

    def dim(images: Any, u: np.ndarray, factor: float, *_: Any) -> Any:
        return images * (1 - factor * u[0].astype(np.float32).reshape(-1, 1, 1, 1))

    others = OPERATIONS.copy()
    added = {"more": Operation(1, 0, moves, move if moves else dim)}
    monkeypatch.setattr(augmentation, "OPERATIONS", added | others if moves else others | added)
    return "more"


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chosen=AUGMENTATIONS, value=st.sampled_from([0.0, 0.3]))
def test_one_operation_more_changes_no_draw_of_another_and_at_neutral_no_view(
    more: str, chosen: Augmentation, value: float
) -> None:
    views = [1, 2, 3, 1, 2, 1000]
    wider = More.model_validate({**chosen.model_dump(), more: value})
    drawn = augmentation.draw_batch(KEYS, views, wider, "pixels")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(augmentation, "OPERATIONS", OPERATIONS)
        before = augmentation.draw_batch(KEYS, views, chosen, "pixels")
        plain = augment(IMAGES, KEYS, views, chosen)
        facts = effective(chosen)
    assert {name: u.tolist() for name, u in drawn.items() if name != more} == {
        name: u.tolist() for name, u in before.items()
    }
    assert (more in effective(wider)) == (value > 0)
    if value == 0:
        assert (augment(IMAGES, KEYS, views, wider) == plain).all()
        assert effective(wider) == facts
    else:
        assert (augment(IMAGES, KEYS, views, wider) != plain).any()


@settings(max_examples=50)
@given(chosen=AUGMENTATIONS)
def test_an_augmentation_is_what_it_does(chosen: Augmentation) -> None:
    """What has no effect does not count: the same views have the same description."""
    done = effective(chosen)
    assert all(getattr(chosen, name) == value for name, value in done.items())
    moves = any(getattr(chosen, name) != neutral for name, neutral in GEOMETRIC.items())
    assert ("fill_mode" in done) == ("interpolation" in done) == moves
    assert effective(chosen.model_copy(update={"fill_mode": "wrap"})) == (
        {**done, "fill_mode": "wrap"} if moves else done
    )
    assert effective(spec(**done)) == done
    views = augment(IMAGES[:2], KEYS[:2], [1, 2], chosen)
    assert (augment(IMAGES[:2], KEYS[:2], [1, 2], spec(**done)) == views).all()


def test_the_schema_and_the_registry_name_the_same_operations() -> None:
    assert set(Augmentation.model_fields) == {*OPERATIONS, "fill_mode", "interpolation"}
    assert {name: each.neutral for name, each in OPERATIONS.items() if each.moves} == GEOMETRIC
    assert effective(spec()) == {}


def test_keys_and_views_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="zip"):
        augment(IMAGES[:2], KEYS[:2], [1], spec())


@pytest.mark.parametrize("operation", ["rotation", "zoom"])
def test_a_feature_map_is_moved_as_keras_moves_it(operation: str) -> None:
    """The published two-stage recipe on VGG19's (5, 5, 512): a flip, then rotation or zoom."""
    chosen = spec(flip="horizontal", **{operation: 0.1})
    moved = augment_features(MAPS, KEYS, [1] * 6, chosen)
    flips = [draw(key, 1, "flip", 2, "features")[0] < 0.5 for key in KEYS]
    assert 0 < sum(flips) < 6
    for feature, key, flip, result in zip(MAPS, KEYS, flips, moved, strict=True):
        if operation == "rotation":
            factor = ranged("rotation", key, 0.1, "features")
            layer = keras.layers.RandomRotation((factor, factor))
        else:
            factor = ranged("zoom", key, 0.1, "features")
            layer = keras.layers.RandomZoom((factor, factor), (factor, factor))
        flipped = feature[:, ::-1] if flip else feature
        np.testing.assert_allclose(result, keras_view(layer, flipped), atol=1e-4)
    assert min(np.abs(moved - MAPS[:, :, ::step]).max() for step in (1, -1)) > 1


@pytest.mark.parametrize("features", [MAPS, VECTORS], ids=["maps", "vectors"])
@pytest.mark.parametrize("operation", ["brightness", "contrast"])
def test_features_are_brightened_and_contrasted_as_in_frofa(operation: str, features: np.ndarray) -> None:
    """By hand: to [0, 1] by the least and the largest value, one number a feature, clipped, and back."""
    chosen = spec(**{operation: 0.4})
    results = augment_features(features, KEYS, [1] * 6, chosen)
    for feature, key, result in zip(features.astype(np.float64), KEYS, results, strict=True):
        low, high = feature.min(), feature.max()
        unit = (feature - low) / (high - low)
        if operation == "brightness":
            unit = unit + ranged("brightness", key, 0.4, "features")
        else:
            mean = unit.mean(axis=(0, 1) if unit.ndim == 3 else None)
            unit = (unit - mean) * (1 + ranged("contrast", key, 0.4, "features")) + mean
        np.testing.assert_allclose(result, np.clip(unit, 0, 1) * (high - low) + low, atol=1e-5)
        assert np.abs(result - feature).max() > 0.01


def test_no_augmentation_leaves_features_as_they_are() -> None:
    for features in (MAPS, VECTORS):
        result = augment_features(features, KEYS, [1] * 6, spec(fill_mode="wrap", interpolation="nearest"))
        assert result is features


@settings(deadline=None, max_examples=30)
@given(
    AUGMENTATIONS,
    st.permutations(range(6)),
    st.integers(1, 6),
    st.sampled_from([np.float16, np.float32, np.int16]),
)
def test_a_feature_depends_on_its_key_number_and_spec_alone(
    chosen: Augmentation, order: list[int], n: int, dtype: type
) -> None:
    views, maps = [1, 2, 3, 1, 2, 1000], (10 * MAPS[..., :7]).astype(dtype)
    whole = augment_features(maps, KEYS, views, chosen)
    some = order[:n]
    part = augment_features(maps[some], [KEYS[i] for i in some], [views[i] for i in some], chosen)
    assert (part == whole[some]).all()
    assert (whole.dtype, whole.shape) == (maps.dtype if whole is maps else np.float32, maps.shape)
    # Nothing is interpolated or clipped past a feature's own range; `constant` fills up with 0, its least.
    ends = maps.min(axis=(1, 2, 3), keepdims=True), maps.max(axis=(1, 2, 3), keepdims=True)
    assert ((whole >= ends[0] - 1e-3) & (whole <= ends[1] + 1e-3)).all()


@given(value=st.floats(-100, 100, width=32, allow_subnormal=False), chosen=AUGMENTATIONS)
@settings(deadline=None, max_examples=20)
def test_a_constant_feature_stays_constant(value: float, chosen: Augmentation) -> None:
    colour = chosen.model_copy(
        update=spec().model_dump(include={"flip", "rotation", "zoom", "translation", "crop"})
    )
    constant = np.full((2, 3, 3, 4), value, np.float32)
    np.testing.assert_allclose(augment_features(constant, KEYS[:2], [1, 1], colour), constant)
    np.testing.assert_allclose(augment_features(constant[:, 0, 0], KEYS[:2], [1, 1], colour), value)


def test_features_and_pixels_are_moved_differently() -> None:
    moved = augment_features(IMAGES, KEYS, [1] * 6, spec(rotation=0.3))
    assert np.abs(moved - augment(IMAGES, KEYS, [1] * 6, spec(rotation=0.3))).max() > 10


@pytest.mark.parametrize("change", [{"flip": "vertical"}, {"rotation": 0.1}, {"crop": 0.1}])
def test_vectors_are_not_moved(change: dict[str, Any]) -> None:
    ((name, _),) = change.items()
    message = rf"vectors have no positions to move, .* received shape=\(6, 512\); set {name} to (0|none)"
    with pytest.raises(ValueError, match=message):
        augment_features(VECTORS, KEYS, [1] * 6, spec(**change, brightness=0.1))
