"""`graft search`: the images of the dataset that are most like one's own."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graft.cli.cached import explain, opened_features
from graft.cli.repository import Root, fail
from graft.utils.terminal import printable

if TYPE_CHECKING:
    import pandas as pd

    from graft.curation.sheet import Tile

FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP"}


def _check_suffix(file: Path | None) -> Path | None:
    if file and file.suffix.lower() not in FORMATS:
        raise typer.BadParameter(f"expected a name that ends in {', '.join(FORMATS)}, received {str(file)!r}")
    return file


def search(
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE...", help="Image files; folders, zips and globs of them, too."),
    ],
    k: Annotated[int, typer.Option("-k", min=1, max=300, help="How many to find for each.")] = 8,
    sheet: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", callback=_check_suffix, help="Draw a contact sheet: .jpg, .png or .webp."
        ),
    ] = None,
    root: Root = Path(),
) -> None:
    """Find the images of the dataset nearest to others. Fails at the end if some cannot be read."""
    try:
        n_found, n_unread = _search(root, images, k, sheet)
    except (OSError, ValueError, KeyError) as error:
        fail(explain(error))
    if n_unread:
        fail(f"{n_unread:,} of {n_found + n_unread:,} images could not be read")
    if not n_found:
        fail(f"no image in {', '.join(images)}")


def _search(root: Path, names: list[str], k: int, sheet: Path | None) -> tuple[int, int]:
    """Print what is found, draw the sheet, and count the images that were read and those that were not."""
    from graft.config.data import Prepare
    from graft.config.load import load_params
    from graft.config.paths import BACKBONE, FEATURES
    from graft.curation.neighbours import to_vectors
    from graft.curation.search import find_nearest, load_backbone
    from graft.curation.sheet import measure_sheet
    from graft.data.images import load
    from graft.serving.sources import find_images

    limits = load_params({"prepare": Prepare}, root / "params.yaml").prepare
    with opened_features(root) as (manifest, features, _):
        vectors = to_vectors(features)
    model = load_backbone(root / BACKBONE, root / FEATURES)
    rows: list[list[Tile]] = []
    n_found = n_unread = 0
    for source in find_images(names):
        try:
            data = source.read()
            pixels = load(data, model.input_shape[1], "rgb", limits.max_pixels, limits.bit_depth)
        except (OSError, ValueError) as error:
            typer.echo(printable(f"{source.path}: {error}"), err=True)
            n_unread += 1
            continue
        if sheet:
            measure_sheet(len(rows) + 1, 1 + min(k, len(manifest)))  # before it takes memory
        feature = model.predict_on_batch(pixels[None].astype("float32"))[0]
        found = find_nearest(manifest, vectors, feature, k)
        _print(source.path, found)
        rows += [_make_row(root, source.path, data, found)] if sheet else []
        n_found += 1
    if sheet and rows:
        _write_sheet(rows, sheet)
    return n_found, n_unread


def _print(path: str, found: "pd.DataFrame") -> None:
    typer.echo(printable(path))
    width = found["label"].str.len().max()
    for one in found.to_dict("records"):
        label, split = f"{one['label']:{width}}", f"{one['split']:10}"
        typer.echo(printable(f"{one['rank']:4}  {one['similarity']:.3f}  {label}  {split}  {one['path']}"))


def _make_row(root: Path, path: str, data: bytes, found: "pd.DataFrame") -> "list[Tile]":
    from graft.config.paths import IMAGES
    from graft.curation.sheet import make_tile
    from graft.data.decoding import read_images

    images = read_images(root / IMAGES, list(found["key"]))
    tiles = [make_tile(data, (Path(path).name, ""))]
    for one in found.to_dict("records"):
        caption = f"{one['similarity']:.3f}  {one['label']}", f"{one['split']}  {Path(one['path']).name}"
        tiles.append(make_tile(images[one["key"]], caption))
    return tiles


def _write_sheet(rows: "list[list[Tile]]", file: Path) -> None:
    from graft.curation.sheet import draw_sheet
    from graft.utils.files import whole

    file.parent.mkdir(parents=True, exist_ok=True)
    with whole(file) as partial:
        draw_sheet(rows).save(partial, FORMATS[file.suffix.lower()], quality=90)
    typer.echo(f"{file} shows them")
