"""docs/monitor.md, and drift among real photos: those of the demo, blurred, darker, of one class less."""

import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
from huggingface_hub import ModelCard
from PIL import Image, ImageEnhance, ImageFilter
from threadpoolctl import threadpool_limits

from graft.config.load import read_params
from graft.data.datasets import demo
from graft.methods.params import parse_params
from graft.report.page import CONTENTS
from graft.serving.two_samples import compare_components, compare_kernels
from helpers.repository import ROOT, environment, run

PAGE = (ROOT / "docs/monitor.md").read_text(encoding="utf-8")
pytestmark = pytest.mark.long


def blocks(language):
    return [part.partition("```")[0] for part in PAGE.split(f"```{language}\n")[1:]]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    raw = tmp_path_factory.mktemp("demo") / "raw"
    demo.fetch(raw, raw, raw)
    return list(demo.read(raw))


def test_the_page(copy_of_built, photos):
    for photo in photos[::5]:
        (copy_of_built / "incoming" / photo.path).parent.mkdir(parents=True, exist_ok=True)
        (copy_of_built / "incoming" / photo.path).write_bytes(photo.data)
    (code,) = blocks("python")
    run(copy_of_built, sys.executable, "-c", code)
    commands = [
        line for line in "".join(blocks("console")).splitlines() if not line.startswith("graft serve")
    ]
    for command in commands:
        done = subprocess.run(
            command,
            shell=True,
            cwd=copy_of_built,
            env=environment(copy_of_built),
            capture_output=True,
            check=False,
        )
        assert done.returncode in (0, 3), done.stderr
    assert (copy_of_built / "drift.json").exists()
    run(copy_of_built, "graft", "report", "open")
    assert CONTENTS["monitoring"] in (copy_of_built / "reports/index.html").read_text(encoding="utf-8")
    assert (
        run(copy_of_built, "git", "status", "--porcelain", "--", "models", "data", "reports", "metrics") == ""
    )


def test_the_card_of_a_real_model_loads_and_its_code_runs(copy_of_built, photos):
    run(copy_of_built, "graft", "card", "two_stage")
    folder = copy_of_built / "models/two_stage"
    (folder / "photo.jpg").write_bytes(photos[0].data)
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert ModelCard.load(folder / "README.md").data.eval_results
    code = "\n".join(part.partition("```")[0] for part in text.split("```python\n")[1:])
    check = "print(abs(scores[0] - table.iloc[0, 3:].to_numpy(float)).max())"
    assert float(run(folder, sys.executable, "-c", f"{code}\n{check}").split()[-1]) < 1e-4


@pytest.fixture(scope="module")
def embed():
    """From photos to the features of MobileNetV2 with ImageNet's weights."""
    from graft.models.backbones import Backbone

    params = parse_params(read_params(ROOT / "params.yaml"))
    row = params.backbones["mobilenet_v2"]
    model = Backbone(row, "bundled", 0).build()
    size = (row.image_size, row.image_size)

    def embed(images):
        pixels = [np.asarray(image.resize(size, Image.Resampling.BILINEAR), np.float32) for image in images]
        return model.predict(np.stack(pixels), verbose=0).astype(np.float16).astype(np.float32)

    return embed


def is_flagged(reference, found, seed=0):
    tests = (compare_components(reference, found), compare_kernels(reference, found, 1000, seed))
    return min(test.p_value for test in tests) < 0.05 / len(tests)


def test_real_photos_are_flagged_when_they_differ_and_only_then(photos, embed):
    images = [Image.open(BytesIO(photo.data)).convert("RGB") for photo in photos]
    labels, features, rng = (
        np.array([photo.label for photo in photos]),
        embed(images),
        np.random.default_rng(0),
    )
    draws = [rng.permutation(len(images)) for _ in range(100)]
    with threadpool_limits(1):
        flagged = [is_flagged(features[draw[:200]], features[draw[200:]], n) for n, draw in enumerate(draws)]
    assert sum(flagged) <= 5
    order = draws[0]
    known, rest = features[order[:200]], order[200:]
    changed = {
        "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(2)),
        "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.5),
    }
    for name, change in changed.items():
        assert is_flagged(known, embed([change(images[i]) for i in rest])), name
    known_classes = features[(labels != "rose") & (np.arange(len(images)) % 2 == 0)]
    with_another = features[(labels == "rose") | (np.arange(len(images)) % 2 == 1)]
    assert is_flagged(known_classes, with_another)
