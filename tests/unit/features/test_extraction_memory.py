"""Extraction in bounded memory: ten times the images take no more of it."""

import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from graft.config.features import BackboneRow
from graft.data.ingest import prepare
from graft.data.raw import RawImage
from graft.methods.params import Params
from helpers.extraction import Job, Run

ROW = {
    "application": "MobileNetV2",
    "preprocessing": "mobilenet_v2",
    "layer": "block_1_project",  # 16 x 16 x 24 float16: 10,000 of them, or of the decoded images, are 123 MB
    "pooling": "none",
    "image_size": 64,
    "batch_size": 64,
}


def noise(n: int) -> Iterator[RawImage]:
    """Small pictures, all different, in two classes."""
    rng = np.random.default_rng(n)
    for i in range(n):
        file = BytesIO()
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(file, "PNG")
        yield RawImage(f"{i}.png", "ab"[i % 2], None, file.getvalue())


def peak_rss(n: int, folder: Path, params: Params) -> int:
    """Peak resident memory in kB of a process that embeds n images."""
    prepare(noise(n), params.prepare, folder / "images")
    manifest = pd.read_parquet(folder / "images", columns=["key", "path", "label"]).assign(split="test")
    job = Job(folder / "images", manifest, BackboneRow(**ROW), params.augmentation, 0, folder, folder)
    report = Run(job.to(folder)).end()
    assert report.last["counts"]["embedded"] == n
    return report.last["maxrss"]


@pytest.mark.long
def test_peak_memory_does_not_grow_with_the_number_of_images(params: Params, tmp_path: Path) -> None:
    try:
        few, many = (peak_rss(n, tmp_path / str(n), params) for n in (1_000, 10_000))
    finally:
        shutil.rmtree(tmp_path)  # 300 MB, which pytest would keep
    assert many == pytest.approx(few, rel=0.15)
