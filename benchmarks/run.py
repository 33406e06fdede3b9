"""`make bench`: graft against the plain Keras way, on the machine at hand."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import typer

from drawings import find_photos, make_images
from graft.features.engines.openvino import lacks
from graft.models.dtype_policy import has_bfloat16
from machine import commit, describe
from page import insert
from rows import GROUPS, VGG19, Bench, Measurement

HERE = Path(__file__).resolve().parent
RESULTS, PAGE = HERE / "results.json", HERE.parent / "docs/performance.md"


def main(
    rows: Annotated[str, typer.Option(help="Which to measure, with commas between.")] = ",".join(GROUPS),
    rounds: Annotated[int, typer.Option(help="How often plain and ours alternate.")] = 3,
    images: Annotated[int, typer.Option(help="Pictures in a row; other rows take multiples.")] = 400,
    size: Annotated[int, typer.Option(help="Pixels of VGG19's images, height = width.")] = 180,
    photos: Annotated[Path | None, typer.Option(help="Folder of JPEG files, used before drawings.")] = None,
    weights: Annotated[Path | None, typer.Option(help="ImageNet weights of MobileNetV2.")] = None,
    results: Annotated[Path, typer.Option(help="File to write.")] = RESULTS,
    page: Annotated[Path, typer.Option(help="File whose table to replace.")] = PAGE,
) -> None:
    """Measure, and write the results and the table."""
    if unknown := set(rows.split(",")) - set(GROUPS):
        raise typer.BadParameter(
            f"unknown rows {', '.join(sorted(unknown))}: choose from {', '.join(GROUPS)}"
        )
    measured = benchmark(rows.split(","), rounds, images, size, photos, weights, apart)
    if results.exists():
        measured = merge(json.loads(results.read_text(encoding="utf-8")), measured)
    results.write_text(json.dumps(measured, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    page.write_text(insert(page.read_text(encoding="utf-8"), measured), encoding="utf-8")


def benchmark(
    rows: list[str],
    rounds: int,
    images: int,
    size: int,
    photos: Path | None,
    weights: Path | None,
    measure: Callable[[str, dict[str, Any]], Measurement],
    matrix: int = 4096,
) -> dict[str, Any]:
    """Measure rows, one after the other.

    Args:
        rows: names in `GROUPS`.
        rounds: how often plain and ours alternate.
        images: how many in a row; other rows take multiples.
        size: pixels of VGG19's images, height = width.
        photos: a folder of JPEG files, used before drawings; None: drawings only.
        weights: of MobileNetV2; None: no row that needs them.
        measure: (name, arguments) -> the measurement.
        matrix: rows of the matrices whose product is the machine's rate.

    Returns:
        ``machine``, ``scale`` and ``rows``, as results.json has them.
    """
    machine = describe()
    with tempfile.TemporaryDirectory(prefix="graft-bench-") as work:
        _say(f"drawing images below {work}")
        given = find_photos(photos)
        files = make_images(Path(work, "images"), 5 * images // 2, given)
        bench = Bench(
            measure=measure,
            files=files,
            work=Path(work),
            images=images,
            rounds=rounds,
            vgg19=VGG19 | {"image_size": size},
            bfloat16=has_bfloat16(),
            int8=not lacks("int8") and all(map(find_spec, ("openvino", "nncf"))),
            matrix=matrix,
            photos=len(given),
            weights=weights,
        )
        measured: dict[str, Any] = {}
        for name in rows:
            started = perf_counter()
            measured |= {title: row | {"commit": commit()} for title, row in GROUPS[name](bench).items()}
            _say(f"{name}: {perf_counter() - started:.0f} s in all")
    drawn = "drawn JPEG images of 375 x 500 pixels"
    source = f"{len(given)} JPEG photos, then {drawn}" if given else f"D{drawn[1:]}"
    scale = {"images": images, "size": size, "rounds": rounds, "source": source}
    return {"machine": machine, "scale": scale, "rows": measured}


def merge(earlier: dict[str, Any], measured: dict[str, Any]) -> dict[str, Any]:
    """Keep the rows that were not measured again, where machine and scale are the same."""
    if any(earlier[key] != measured[key] for key in ("machine", "scale")):
        return measured
    return {**measured, "rows": earlier["rows"] | measured["rows"]}


def apart(name: str, arguments: dict[str, Any], environment: Mapping[str, str] | None = None) -> Measurement:
    """Measure in a process of its own, with more in its environment.

    Raises:
        RuntimeError: if it fails, with what it said.
    """
    command = [sys.executable, str(HERE / "measure.py"), name, json.dumps(arguments)]
    paths = os.pathsep.join([str(HERE.parent / "src"), os.environ.get("PYTHONPATH", "")])
    variables = {**os.environ, "PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "2", **(environment or {})}
    process = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if process.returncode:
        raise RuntimeError(f"{name} failed: {process.stderr[-2000:]}")
    measurement: Measurement = json.loads(process.stdout.splitlines()[-1])
    _say(f"  {name}: {measurement['seconds']:.1f} s, start-up {measurement['startup_seconds']:.1f} s")
    return measurement


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app()
