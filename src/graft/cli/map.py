"""`graft map`: the images laid out by their features, to look at."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graft.cli.repository import Root, fail

if TYPE_CHECKING:
    import pandas as pd


def map_images(
    method: Annotated[
        str | None,
        typer.Option(help="Whose mistakes are ringed. Default: the one that the report recommends."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the sample and of the layout.")] = 0,
    root: Root = Path(),
) -> None:
    """Lay out the images by their features; the report shows the map, and reports/map.html moves it."""
    from graft.config.paths import FEATURES, MANIFEST, MAP, MAP_PAGE, METRICS
    from graft.data.manifest import read_manifest
    from graft.methods.registry import METHODS
    from graft.report.mapping import read_map, write_map_page
    from graft.report.verdict import read_best
    from graft.utils.belonging import write_values

    if method is not None and method not in METHODS:
        fail(f"--method={method!r}: expected one of {', '.join(METHODS)}")
    try:
        read_best(root / METRICS)  # fails at once where there are no results
        manifest = read_manifest(root / MANIFEST)
        found = {"method": method, "seed": seed, **_lay_out(root, manifest, seed)}
        write_values(root, MAP / "map.json", found, [FEATURES, MANIFEST])
        write_map_page(read_map(root), root)
    except (OSError, ValueError) as error:
        lacks = isinstance(error, FileNotFoundError) and "dvc repro" not in str(error)
        fail(f"{error}{': run `dvc repro` first, or name the repository with --root' * lacks}")
    except KeyboardInterrupt:
        fail("stopped: the map is as it was before")
    typer.echo(f"{(root / MAP_PAGE).as_posix()}: {len(found['keys']):,} of {len(manifest):,} images")
    typer.echo("`graft report open` shows the map, too")


def _lay_out(root: Path, manifest: "pd.DataFrame", seed: int) -> dict[str, Any]:
    from base64 import b64encode

    from graft.config.paths import FEATURES, IMAGES
    from graft.curation import embedding_map
    from graft.data.decoding import decode_keys
    from graft.features.vectors import read_vectors
    from graft.utils.progress import track

    keys, features = read_vectors(root / FEATURES, embedding_map.choose_keys(manifest["key"], seed))
    places, outliers = embedding_map.lay_out(features, seed)
    side = embedding_map.choose_side(len(keys))
    thumbnails = track(decode_keys(root / IMAGES, keys, side), "thumbnails", len(keys))
    sheet = embedding_map.draw_sheet((pixels for _, pixels in thumbnails), len(keys))
    return {
        "keys": keys,
        "places": places.tolist(),
        "outliers": outliers,
        "side": side,
        "sheet": b64encode(sheet).decode("ascii"),
    }
