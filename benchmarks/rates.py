"""`python benchmarks/rates.py`: how long a dataset takes, by backbone and kind of machine.

JPEG files -> features on disk, by graft's own functions. A laptop's CPU is this one with AVX2 at most.
"""

import tempfile
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer
from ruamel.yaml import YAML

from drawings import find_photos, link, make_images
from graft.models.dtype_policy import has_bfloat16
from run import apart

ROOT = Path(__file__).resolve().parents[1]
BACKBONES = {"vgg19": {}, "mobilenet_v2": {"image_size": 224}, "efficientnet_v2_b0": {}}
AVX2 = {
    "ONEDNN_MAX_CPU_ISA": "AVX2"
}  # https://uxlfoundation.github.io/oneDNN/dev_guide_cpu_dispatcher_control.html
COLUMNS: dict[str, tuple[str, dict[str, str]]] = {
    "laptop, float32": ("float32", AVX2),
    "server, float32": ("float32", {}),
    "server, bfloat16": ("bfloat16", {}),
}
DATASET = 10_000


def main(
    images: Annotated[int, typer.Option(help="How many to embed, each time.")] = 200,
    rounds: Annotated[int, typer.Option(help="How often the machines alternate.")] = 3,
    photos: Annotated[Path | None, typer.Option(help="Folder of JPEG files, used before drawings.")] = None,
    only: Annotated[str, typer.Option(help="Backbones, with commas between.")] = ",".join(BACKBONES),
) -> None:
    """Print the images a second of each backbone, the median of the rounds, and what that means."""
    columns = {name: how for name, how in COLUMNS.items() if how[0] != "bfloat16" or has_bfloat16()}
    rows = YAML(typ="safe").load(ROOT / "params.yaml")["backbones"]
    print(f"| images/s, time for {DATASET:,} images |", " | ".join(columns), "|")
    print("|---|", "---|" * len(columns), sep="")
    with tempfile.TemporaryDirectory(prefix="graft-rates-") as work:
        folder = link(
            make_images(Path(work, "files"), images, find_photos(photos)), Path(work, "images"), images
        )
        for name in only.split(","):
            rates: dict[str, list[float]] = {column: [] for column in columns}
            for _ in range(rounds):
                for column, how in columns.items():
                    rates[column].append(_measure(folder, work, rows[name] | BACKBONES[name], *how))
            cells = [f"{median(each):.1f}/s, {_duration(DATASET / median(each))}" for each in rates.values()]
            print(
                f"| {name}, {(rows[name] | BACKBONES[name])['image_size']} px |",
                " | ".join(cells),
                "|",
                flush=True,
            )


def _measure(
    images: Path, work: str, row: dict[str, Any], precision: str, environment: dict[str, str]
) -> float:
    own = {"work": tempfile.mkdtemp(dir=work), "precision": precision}
    measured = apart("ours.extraction", {"images": str(images), "row": row} | own, environment)
    return measured["images"] / measured["seconds"]


def _duration(seconds: float) -> str:
    """A time as a person says it.

    >>> _duration(48), _duration(760), _duration(9000)
    ('48 s', '13 min', '2.5 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


if __name__ == "__main__":
    typer.run(main)
