"""Exported files against Keras: `python benchmarks/runtimes.py models/two_stage`, after `graft export`."""

import sys
from pathlib import Path
from statistics import median
from typing import Annotated

import numpy as np
import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
from graft.export.measure import measure_apart
from graft.export.records import read_exports
from graft.models.card import read_card

BARS = {("onnx", "float32"): 1.7, ("litert", "int8"): 3.5}


def main(
    folder: Annotated[Path, typer.Argument(help="Of a method, with exports.json.")],
    rounds: Annotated[int, typer.Option(help="How often Keras and the files alternate.")] = 3,
    threads: Annotated[int, typer.Option(help="Of each runtime.")] = 1,
) -> None:
    """Print the images/s of each file at batch 1, and how many times Keras's that is, round by round."""
    card, exports = read_card(folder / "model.keras"), read_exports(folder)
    shape = (1, card["image_size"], card["image_size"], card["channels"])
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    speeds = []
    for _ in range(rounds):
        files = [folder / "model.keras", *(folder / each["file"] for each in exports)]
        speeds.append([measure_apart(file, image, threads).images_per_second["1"] for file in files])
    print("| file | images/s | x Keras, median (min-max) | bar | MB |\n|---|---|---|---|---|")
    keras = [each[0] for each in speeds]
    print(
        f"| model.keras | {median(keras):.1f} | 1 | | {(folder / 'model.keras').stat().st_size / 1e6:.1f} |"
    )
    for n, export in enumerate(exports, 1):
        ratios = [each[n] / each[0] for each in speeds]
        bar = BARS.get((export["format"], export["precision"]), "")
        print(
            f"| {export['file']} | {median(each[n] for each in speeds):.1f} | {median(ratios):.2f} "
            f"({min(ratios):.2f}-{max(ratios):.2f}) | {bar} | {export['bytes'] / 1e6:.1f} |"
        )


if __name__ == "__main__":
    typer.run(main)
