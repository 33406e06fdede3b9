"""`python benchmarks/disk.py`: what `prepare` leaves on the disk, of a folder, a zip and a tgz."""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from ruamel.yaml import YAML

from drawings import draw

ROOT = Path(__file__).resolve().parents[1]
GRAFT = [sys.executable, "-c", "from graft.cli.main import app; app()"]


def main(
    megabytes: Annotated[int, typer.Option(help="Of drawn images, of two classes.")] = 230,
    commit: Annotated[str, typer.Option(help="The commit that runs.")] = "HEAD",
) -> None:
    """Run `graft repro prepare` in a clone for each kind of source; a file with several names counts once."""
    with tempfile.TemporaryDirectory(prefix="graft-disk-") as work:
        folder = Path(work, "images")
        n_bytes = _draw(folder, megabytes * 10**6)
        archives = [shutil.make_archive(str(folder), "zip", folder), f"{folder}.tgz"]
        with tarfile.open(archives[1], "w:gz") as tar:
            tar.add(folder, "images")
        print("| source | bytes | DVC's cache | times the images | cache, work tree and `.graft` |")
        print("|---|---|---|---|---|")
        for source in map(Path, (folder, *archives)):
            cache, total = _measure(Path(work, "graft"), source, commit)
            kind = source.suffix[1:] or "folder"
            sizes = f"{n_bytes / 1e6:,.1f} MB | {cache / 1e6:,.1f} MB | {cache / n_bytes:.2f}"
            print(f"| {kind} | {sizes} | {total / 1e6:,.1f} MB |", flush=True)


def _draw(folder: Path, n_bytes: int) -> int:
    drawn, n = 0, 0
    while drawn < n_bytes:
        target = folder / "ab"[n % 2] / f"{n:05d}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        drawn += target.write_bytes(draw(n))
        n += 1
    return drawn


def _measure(clone: Path, source: Path, commit: str) -> tuple[int, int]:
    """Count the bytes in DVC's cache, and in all that graft and DVC have written, of a clone thrown away."""
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    subprocess.run(["git", "-C", clone, "checkout", "--quiet", commit], check=True)
    yaml = YAML()
    params = yaml.load(clone / "params.yaml") | {"dataset": "folder", "source": str(source)}
    yaml.dump(params, clone / "params.yaml")
    environment = os.environ | {"PYTHONPATH": str(clone / "src")}
    # Its exit status says that there are no results yet.
    subprocess.run([*GRAFT, "repro", "prepare"], cwd=clone, env=environment, stdout=subprocess.DEVNULL)
    if not (clone / "data/images").is_dir():
        raise RuntimeError(f"`graft repro prepare` at {commit} failed: see above")
    cache = clone / ".dvc/cache"
    sizes = _count(cache), _count(cache, clone / "data", clone / ".graft")
    shutil.rmtree(clone)
    return sizes


def _count(*folders: Path) -> int:
    status = [file.lstat() for folder in folders for file in folder.rglob("*") if file.is_file()]
    return sum({(each.st_dev, each.st_ino): each.st_size for each in status}.values())


if __name__ == "__main__":
    typer.run(main)
