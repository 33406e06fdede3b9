"""A row's bytes depend on its image and its view alone: not on order, company, or the division of work."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from graft.config.features import BackboneRow
from graft.features.extraction import extract as extract_rows
from graft.features.format import view_rows
from graft.features.views import ViewEmbedding
from graft.methods.params import Params
from graft.models.backbones import Backbone, make_embedder

pytestmark = pytest.mark.filterwarnings("ignore:precision=bfloat16")  # it will be slow
PROPERTY = {"deadline": None, "phases": [Phase.generate], "report_multiple_bugs": False}
PRECISIONS = ["float32", "bfloat16"]
N_IMAGES = 20


@pytest.fixture(
    scope="module",
    params=[
        ("tiny", "bfloat16"),
        pytest.param(("vgg19", "float32"), marks=pytest.mark.long),
        pytest.param(("vgg19", "bfloat16"), marks=pytest.mark.long),
    ],
    ids=" ".join,
)
def embed(request: pytest.FixtureRequest, row: BackboneRow, params: Params) -> Any:
    """Images -> features; the tiny backbone in float32 is in test_backbones.py."""
    name, precision = request.param
    vgg19 = params.backbones["vgg19"].model_copy(update={"image_size": 64, "batch_size": 16})
    chosen = row if name == "tiny" else vgg19
    return make_embedder(Backbone(chosen, "random", 0).build(precision), chosen.batch_size), chosen


@pytest.fixture(scope="module")
def pixels(embed: Any) -> np.ndarray:
    size = embed[1].image_size
    return np.random.default_rng(0).integers(0, 256, (N_IMAGES, size, size, 3), np.uint8)


@pytest.fixture(scope="module")
def embedded(embed: Any, pixels: np.ndarray) -> np.ndarray:
    return embed[0](pixels)


@settings(max_examples=6, **PROPERTY)
@given(order=st.permutations(range(N_IMAGES)), n=st.integers(1, N_IMAGES))
def test_neither_order_nor_company_nor_fill_shows(
    embed: Any, pixels: np.ndarray, embedded: np.ndarray, order: list[int], n: int
) -> None:
    some = order[:n]
    assert np.array_equal(embed[0](pixels[some]), embedded[some])


Extract = Callable[[pd.DataFrame, int, Path], tuple[dict[str, float], dict[str, str]]]


@pytest.fixture(scope="module", params=PRECISIONS)
def extract(request: pytest.FixtureRequest, row: BackboneRow, params: Params, images: Path) -> Extract:
    """A function: manifest, views, folder -> counts and the checksums of the output's files."""
    backbone = Backbone(row, "random", 0).build(request.param)
    embedding = ViewEmbedding(backbone, row, "random", request.param, params.augmentation)

    def extract(manifest: pd.DataFrame, views: int, folder: Path) -> Any:
        output = folder / "features"
        rows = view_rows(manifest, views)
        counts = extract_rows(images, rows, embedding, folder / "store", None, output)
        return counts, {file.name: sha256(file.read_bytes()).hexdigest() for file in output.iterdir()}

    return extract


@pytest.fixture(scope="module")
def at_once(
    extract: Extract, manifest: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """What one run gives."""
    return extract(manifest, 3, tmp_path_factory.mktemp("once"))[1]


@settings(max_examples=6, **PROPERTY)
@given(
    order=st.permutations(range(40)),
    run_of=st.lists(st.integers(0, 3), min_size=40, max_size=40),
    views=st.lists(st.integers(0, 4), min_size=3, max_size=3),
)
def test_how_the_work_was_divided_does_not_show(
    extract: Extract,
    at_once: dict[str, str],
    manifest: pd.DataFrame,
    tmp_path_factory: pytest.TempPathFactory,
    order: list[int],
    run_of: list[int],
    views: list[int],
) -> None:
    """Some images in each of several runs, with fewer or more views, in any order; then all of them."""
    folder = tmp_path_factory.mktemp("divided")
    shuffled = manifest.iloc[order]
    done = set()
    for run in range(3):  # the images of run 3 are left to the last
        part = shuffled[np.array(run_of) == run]
        if len(part):
            extract(part, views[run], folder)
        train = part.loc[part["split"] == "train", "key"]
        done |= {(key, view) for key in train for view in range(1, min(views[run], 3) + 1)}
    counts, files = extract(shuffled, 3, folder)
    assert counts["embedded"] == 60 - len(done)
    assert files == at_once
