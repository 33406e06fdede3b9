"""Grad-CAM: the heat is the paper's, and lies where the class is seen, however models are nested."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import pytest
from keras import layers as kl
from keras import ops

from graft.explain.gradcam import feature_layer, gradcam
from graft.methods.ensemble import mean_of
from graft.methods.params import Params
from graft.models.backbones import from_pixels, outline

SIZE = 8
Layers = Sequence[keras.layers.Layer]


def sequential(layers: Layers) -> keras.Model:
    return keras.Sequential([keras.Input((SIZE, SIZE, 3)), *layers])


def functional(layers: Layers, shape: tuple[int, ...] = (SIZE, SIZE, 3)) -> keras.Model:
    images = keras.Input(shape)
    output = images
    for layer in layers:
        output = layer(output)
    return keras.Model(images, output)


def one_level(layers: Layers) -> keras.Model:
    """A backbone and a head in one model, as a deployable one has them."""
    backbone = functional(layers[:5])
    head = keras.Sequential([keras.Input(backbone.output_shape[1:]), *layers[5:]])
    return functional([backbone, head])


def two_levels(layers: Layers) -> keras.Model:
    """The convolutions in a model in the backbone, which has an operation before and a layer behind."""
    inner = functional(layers[:4])
    images = keras.Input((SIZE, SIZE, 3))
    backbone = keras.Model(images, layers[4](inner(images * 1.0)))
    return functional([kl.Resizing(SIZE, SIZE), backbone, functional(layers[5:], backbone.output_shape[1:])])


def sequential_in_sequential(layers: Layers) -> keras.Model:
    return sequential([sequential(layers[:5]), *layers[5:]])


NESTINGS = [sequential, functional, one_level, two_levels, sequential_in_sequential]


@pytest.fixture
def images() -> np.ndarray:
    """Each of a colour of its own, with noise."""
    draw = np.random.default_rng(0)
    colours = draw.uniform(0, 1, (6, 1, 1, 3))
    return (colours * draw.uniform(0, 255, (6, SIZE, SIZE, 3))).astype(np.float32)


@pytest.fixture(params=[1, 3], ids=["sigmoid", "softmax"])
def layers(request: pytest.FixtureRequest, images: np.ndarray) -> Layers:
    """Convolutions, of which the second is followed by a normalisation that training would change; a head.

    The bias lets the images have several predictions.
    """
    keras.utils.set_random_seed(0)
    normal = keras.initializers.RandomNormal(stddev=0.2)
    moved = {"moving_mean_initializer": normal, "beta_initializer": normal}
    activation = "sigmoid" if request.param == 1 else "softmax"
    layers = [
        kl.Rescaling(1 / 255),
        kl.Conv2D(4, 3, activation="relu"),
        kl.Conv2D(5, 3, use_bias=False),
        kl.BatchNormalization(**moved),
        kl.ReLU(),
        kl.MaxPooling2D(2),
        kl.Flatten(),
        kl.Dropout(0.5),
        kl.Dense(request.param, activation),
    ]
    vectors = images
    for layer in layers[:-1]:
        vectors = layer(vectors)
    layers[-1].build(vectors.shape)
    kernel, _ = layers[-1].get_weights()
    layers[-1].set_weights([kernel, -np.median(vectors @ kernel, axis=0)])
    return layers


def by_hand(layers: Layers, image: np.ndarray) -> tuple[np.ndarray, int, float]:
    """The paper's formulas for the layers above, whose feature map is the ReLU's output."""
    maps = image[None]
    for layer in layers[:5]:
        maps = layer(maps)
    vector = layers[6](layers[5](maps))
    kernel, bias = layers[8].get_weights()
    sigmoid = len(bias) == 1
    if sigmoid:
        kernel, bias = np.hstack([-kernel, kernel]), np.hstack([-bias, bias])
    logits = (ops.convert_to_numpy(vector) @ kernel + bias)[0]
    number = int(logits.argmax())
    score = logits[number]
    odds = 1 + np.exp(-score) if sigmoid else np.exp(logits - score).sum()
    # What pooling takes is from one place each, so the derivatives by a channel sum up to its weights.
    maps = ops.convert_to_numpy(maps)[0]
    places = layers[5](maps[None]).shape[1:]
    alpha = kernel[:, number].reshape(places).sum((0, 1)) / maps[..., 0].size
    heat = np.maximum(maps @ alpha, 0)
    return heat / (heat.max() or 1), number, float(1 / odds)


@pytest.mark.parametrize("nest", NESTINGS)
def test_the_map_is_that_of_the_formulas(
    nest: Callable[[Layers], keras.Model], layers: Layers, images: np.ndarray
) -> None:
    model = nest(layers)
    heats, numbers = [], set()
    for image, found in zip(images, gradcam(model, images), strict=True):
        heat, number, probability = by_hand(layers, image)
        assert found.heat.dtype == np.float32
        assert found.heat.min() >= 0
        assert found.heat.max() == heat.max()
        np.testing.assert_allclose(found.heat, heat, atol=1e-5)
        assert found.number == number
        assert found.score == pytest.approx(probability, abs=1e-6)
        heats.append(heat.max())
        numbers.add(number)
    assert sum(heats) > 3, "most images should have some heat"
    assert len(numbers) > 1, "several classes should be predicted"


def test_what_else_is_in_a_batch_does_not_show(layers: Layers, images: np.ndarray) -> None:
    model = two_levels(layers)
    for image, together in zip(images, gradcam(model, images), strict=True):
        alone = gradcam(model, image[None])[0]
        np.testing.assert_allclose(together.heat, alone.heat, atol=1e-5)
        assert together.number == alone.number


def test_a_byte_of_an_image_is_a_number(layers: Layers, images: np.ndarray) -> None:
    whole = images.round()
    found, again = (gradcam(one_level(layers), images)[0] for images in (whole, whole.astype(np.uint8)))
    assert found.score == again.score
    np.testing.assert_array_equal(found.heat, again.heat)


def test_the_model_stays_as_it_was(layers: Layers, images: np.ndarray) -> None:
    model = one_level(layers)
    before, weights = ops.convert_to_numpy(model(images)), model.get_weights()
    gradcam(model, images)
    with pytest.raises(ValueError, match=r"(?i)shape"):
        gradcam(model, images[:, :5])
    assert all("call" not in vars(layer) for layer in layers)
    np.testing.assert_array_equal(ops.convert_to_numpy(model(images)), before)
    for old, new in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def quadrant_model(row: int, column: int, n_outputs: int, sign: float) -> keras.Model:
    """All but one quadrant is cut away before the only convolution; `sign` decides a sigmoid's class."""
    half = SIZE // 2
    cut = [(half * place, half * (1 - place)) for place in (row, column)]
    kernel = np.full((3, n_outputs), -0.01)
    kernel[:, -1] = 0.01 * sign
    last = kl.Dense(n_outputs, "sigmoid" if n_outputs == 1 else "softmax", use_bias=False)
    model = sequential(
        [
            kl.Cropping2D(cut),
            kl.ZeroPadding2D(cut),
            kl.Conv2D(3, 1, activation="relu", kernel_initializer="ones", use_bias=False),
            kl.GlobalAveragePooling2D(),
            last,
        ]
    )
    last.set_weights([kernel])
    return model


@pytest.mark.parametrize(("n_outputs", "sign"), [(1, 1.0), (1, -1.0), (3, 1.0)])
@pytest.mark.parametrize("column", [0, 1])
@pytest.mark.parametrize("row", [0, 1])
def test_the_heat_lies_in_the_quadrant_that_decides(
    row: int, column: int, n_outputs: int, sign: float, images: np.ndarray
) -> None:
    model = quadrant_model(row, column, n_outputs, sign)
    half = SIZE // 2
    rows, columns = (slice(half * place, half * (1 + place)) for place in (row, column))
    elsewhere = np.ones((SIZE, SIZE), bool)
    elsewhere[rows, columns] = False
    for found in gradcam(model, images):
        assert found.number == (sign > 0 if n_outputs == 1 else 2)
        assert found.heat[rows, columns].min() > 0
        assert not found.heat[elsewhere].any()


def mark_model(sign: float) -> keras.Model:
    """Red speaks for class 1, blue for class 0, wherever they are."""
    last = kl.Dense(1, "sigmoid", use_bias=False)
    convolution = kl.Conv2D(2, 1, use_bias=False)
    model = sequential([convolution, kl.GlobalAveragePooling2D(), last])
    convolution.set_weights([np.array([[[[1, 0], [0, 0], [0, 1]]]], np.float32)])
    last.set_weights([np.array([[sign], [-sign]], np.float32)])
    return model


@pytest.mark.parametrize("more_red", [True, False])
def test_each_class_of_a_sigmoid_has_the_places_that_speak_for_it(more_red: bool) -> None:
    image = np.zeros((SIZE, SIZE, 3), np.float32)
    image[1, 2, 0] = 200 if more_red else 100
    image[6, 5, 2] = 150
    found = gradcam(mark_model(1.0), image[None])[0]
    assert found.number == more_red
    assert [tuple(place) for place in np.argwhere(found.heat)] == [(1, 2) if more_red else (6, 5)]


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_the_map_of_a_mean_of_heads_is_that_of_their_mean_before_the_activation(
    n_outputs: int, images: np.ndarray
) -> None:
    """With heads of one layer: that of one head with the mean of their weights."""
    keras.utils.set_random_seed(0)
    backbone = functional([kl.Conv2D(4, 3, activation="relu"), kl.GlobalAveragePooling2D()])
    activation, shares = "sigmoid" if n_outputs == 1 else "softmax", (0.7, 0.2, 0.1)
    *heads, single = (functional([kl.Dense(n_outputs, activation)], (4,)) for _ in range(4))
    kernels = [head.get_weights() for head in heads]
    single.set_weights([np.tensordot(shares, [k[i] for k in kernels], 1) for i in (0, 1)])
    mean = functional([backbone, mean_of(heads, shares)])
    outputs, numbers = ops.convert_to_numpy(mean(images)), [0, n_outputs // 2] * (len(images) // 2)
    expected = gradcam(functional([backbone, single]), images, numbers)
    for found, of_single in zip(gradcam(mean, images, numbers), expected, strict=True):
        np.testing.assert_allclose(found.heat, of_single.heat, atol=1e-5)
    np.testing.assert_array_equal(ops.convert_to_numpy(mean(images)), outputs)


def test_another_class_than_the_predicted_can_be_explained() -> None:
    image = np.zeros((SIZE, SIZE, 3), np.float32)
    image[1, 2, 0], image[6, 5, 2] = 200, 150
    both = gradcam(mark_model(1.0), np.stack([image, image]), [1, 0])
    assert [found.number for found in both] == [1, 0]
    assert sum(found.score for found in both) == pytest.approx(1)
    assert [tuple(np.argwhere(found.heat)[0]) for found in both] == [(1, 2), (6, 5)]


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_a_model_that_is_sure_has_a_map_too(n_outputs: int, images: np.ndarray) -> None:
    """The softmax's own derivative is 0 there."""
    model = quadrant_model(0, 1, n_outputs, 1.0)
    model.layers[-1].set_weights([1e4 * weight for weight in model.layers[-1].get_weights()])
    found = gradcam(model, images)[0]
    assert found.score == 1
    assert found.heat.max() == 1


def test_where_nothing_speaks_for_the_class_all_is_0() -> None:
    found = gradcam(mark_model(1.0), np.zeros((1, SIZE, SIZE, 3), np.float32))[0]
    assert found.heat.shape == (SIZE, SIZE)
    assert not found.heat.any()


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("vgg19", "block5_conv4"),
        ("mobilenet_v2", "out_relu"),
        ("resnet50", "conv5_block3_out"),
        ("convnext_tiny", "layer_normalization"),
    ],
)
def test_the_feature_map_of_a_backbone(params: Params, name: str, layer: str) -> None:
    row = params.backbones[name].model_copy(update={"image_size": 64})
    model = functional([from_pixels(outline(row), row)], (64, 64, 3))
    (application,) = (part for part in model.layers[1].layers if isinstance(part, keras.Model))
    assert feature_layer(application.layers).name == layer


def test_what_gets_the_convolutions_size_back_later_is_not_its_map() -> None:
    layers = [kl.Conv2D(2, 3), kl.ReLU(name="kept"), kl.MaxPooling2D(2), kl.UpSampling2D(2)]
    assert feature_layer(sequential(layers).layers).name == "kept"


def test_without_a_convolution_it_is_an_error(images: np.ndarray) -> None:
    model = sequential([kl.Flatten(name="flat"), kl.Dense(1, "sigmoid", name="score")])
    with pytest.raises(
        ValueError, match=r"needs a convolution or the tokens .*\['flat', 'score'\]; explain only"
    ):
        gradcam(model, images)


def test_without_a_dense_layer_at_the_end_it_is_an_error(images: np.ndarray) -> None:
    model = sequential([kl.Conv2D(2, 3, name="last"), kl.GlobalAveragePooling2D(), kl.Softmax()])
    with pytest.raises(ValueError, match=r"ends in a Dense layer .* weights is 'last' \(Conv2D\)"):
        gradcam(model, images)
