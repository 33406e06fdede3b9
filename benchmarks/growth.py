"""`python benchmarks/growth.py`: CPU seconds and peak memory of every stage, by the number of images."""

import os
import subprocess
import sys
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any

import matplotlib.pyplot as plt
import numpy as np
import typer
from PIL import Image
from ruamel.yaml import YAML

from measure import KIB

ROOT = Path(__file__).resolve().parents[1]
SIDE = 48  # pixels of an image
PLOTTED = "prepare", "split", "extract_features", "report"


def main(
    images: Annotated[str, typer.Option(help="Numbers of images, with commas between.")] = "2500,10000,40000",
    classes: Annotated[int, typer.Option(help="Classes of equally many images.")] = 20,
    plot: Annotated[Path | None, typer.Option(help="SVG file to draw.")] = None,
) -> None:
    """Run the committed stages on drawn images, MobileNetV2 with random weights, one epoch a method."""
    measured = {n: _measure(n, classes) for n in map(int, images.split(","))}
    sizes = list(measured)
    print("| stage |", " | ".join(f"{n:,} images" for n in sizes), "| times |")
    print("|---|", "---|" * (len(sizes) + 1), sep="")
    for stage in measured[sizes[0]]:
        rows = [measured[n][stage] for n in sizes]
        cells = [f"{seconds:.1f} s, {memory / 1e6:,.0f} MB" for seconds, memory in rows]
        print(f"| {stage} |", " | ".join(cells), f"| {rows[-1][0] / rows[0][0]:.2f} |")
    if plot:
        _draw_plot({stage: [measured[n][stage] for n in sizes] for stage in PLOTTED}, sizes, plot)


def _draw_plot(rows: dict[str, list[tuple[float, int]]], sizes: list[int], file: Path) -> None:
    """Draw seconds and memory by the number of images, both axes logarithmic."""
    with plt.rc_context({"svg.hashsalt": "graft", "svg.fonttype": "none"}):
        figure, panels = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
        for panel, label, scale in zip(panels, ("CPU seconds", "peak memory, MB"), (1, 1e6), strict=True):
            for stage, each in rows.items():
                values = [row[panel is panels[1]] / scale for row in each]
                panel.loglog(sizes, values, marker="o", label=stage)
            panel.set(xlabel="images", ylabel=label, xticks=sizes, xticklabels=[f"{n:,}" for n in sizes])
            panel.minorticks_off()
        panels[0].legend(frameon=False)
        figure.savefig(file, metadata={"Date": None})


def _measure(n: int, n_classes: int) -> dict[str, tuple[float, int]]:
    """Stage -> CPU seconds and bytes, in a clone that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="graft-growth-") as folder:
        clone, source = Path(folder, "graft"), Path(folder, "images")
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        draw(source, n, n_classes)
        yaml = YAML()
        yaml.dump(_shorten(yaml.load(clone / "params.yaml"), source), clone / "params.yaml")
        stages = YAML(typ="safe").load(clone / "dvc.yaml")["stages"]
        return {
            f"{name} {item}".rstrip(): _run(clone, stage.get("do", stage)["cmd"].replace("${item}", item))
            for name, stage in stages.items()
            for item in stage.get("foreach", [""])
        }


def draw(folder: Path, n: int, n_classes: int) -> None:
    """Write n JPEG files, noise on a colour of their class, to a folder for each class."""
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 200, (n_classes, 3))
    for i in range(n):
        pixels = colours[i % n_classes] + rng.integers(0, 56, (SIDE, SIDE, 3))
        file = BytesIO()
        Image.fromarray(pixels.astype(np.uint8)).save(file, "JPEG")
        target = folder / f"class {i % n_classes:04d}" / f"{i}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.getvalue())


def _shorten(params: dict[str, Any], source: Path) -> dict[str, Any]:
    """The parameters for the images of a folder, with as little as possible to compute."""
    params |= {"dataset": "folder", "source": str(source), "weights": "random", "seeds": [0]}
    params["features"]["views"] = 1
    params["backbones"][params["backbone"]]["image_size"] = 32
    for block in (block for block in params.values() if isinstance(block, dict) and "epochs" in block):
        block["epochs"] = 1
    return params


def _run(folder: Path, command: str) -> tuple[float, int]:
    process = subprocess.Popen([sys.executable, *command.split()[1:]], cwd=folder, stdout=sys.stderr)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)  # Popen does not know that it was waited for
    if process.returncode:
        raise RuntimeError(f"{command} failed: see above")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * KIB


if __name__ == "__main__":
    typer.run(main)
