"""`graft features extract`: fill the store on several cores or machines, before `dvc repro` assembles it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from graft.cli.repository import Root, fail
from graft.config.paths import FEATURES, IMAGES, MANIFEST, STORE, VIEWS

Fill = Callable[..., None]


def extract(
    root: Root = Path(),
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes of one core each, on this machine.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Of a Dask cluster, such as tcp://host:8786, whose workers do it.")
    ] = None,
    part: Annotated[
        str | None, typer.Option(help="Embed only the i-th of n parts, i/n, without any engine.")
    ] = None,
    views: Annotated[
        bool, typer.Option(help="Also what only two_stage_views uses: augmented views of training images.")
    ] = True,
) -> None:
    """Embed what neither store nor HEAD has, into the store. `dvc repro` then assembles it."""
    if sum(each is not None for each in (workers, scheduler, part)) > 1:
        fail("--workers, --scheduler and --part exclude each other: give one of them")
    from graft.utils.errors import explain_system_error, find_system_error

    try:
        _extract(root, workers, scheduler, part, views)
    except KeyboardInterrupt:
        fail("interrupted: what is embedded is kept, and the same command goes on from there")
    except ModuleNotFoundError as error:
        if error.name not in ("dask", "distributed"):
            raise
        fail('--workers and --scheduler need Dask: pip install "graft[dask]"; --part needs nothing else')
    except ValueError as error:
        fail(str(error))
    except OSError as error:
        found = find_system_error(error)
        fail(explain_system_error(found) if found and found.filename else error.strerror or str(error))


def _extract(root: Path, workers: int | None, scheduler: str | None, part: str | None, views: bool) -> None:
    from graft.features.extraction import describe_origin, look_up, open_store
    from graft.features.format import plain_rows, view_rows
    from graft.features.views import build_embeddings
    from graft.features.workers.parts import take_part

    repo, manifest = find_repo(root), read_prepared(root)
    recipe = read_recipe(root, manifest)
    wanted = {FEATURES: plain_rows(manifest), VIEWS: view_rows(manifest, recipe[0].views if views else 0)}
    wanted = {folder: take_part(rows, part) if part else rows for folder, rows in wanted.items() if rows}
    with _filling(workers, scheduler, recipe) as fill:
        for (folder, rows), embedding in zip(wanted.items(), build_embeddings(*recipe), strict=False):
            entries = open_store(root / STORE, embedding)
            stored = len(rows) - len(new := entries.missing(rows))
            missing = look_up(root / IMAGES, new, embedding, entries, repo, root / folder)
            if missing:
                fill(root / IMAGES, missing, embedding, entries, f"embed {folder.name}")
                entries.refresh()
            if left := entries.missing(missing):
                fail(f"{folder}: {len(left):,} rows are still missing: run this again")
            counts = {"from_store": stored, "from_head": len(new) - len(missing), "embedded": len(missing)}
            typer.echo(f"{folder}: {describe_origin(counts)}")


def read_recipe(root: Path, manifest: Any) -> Any:
    """Read the arguments of `graft.features.views.build_embeddings` for a repository."""
    from graft.config.load import load_params
    from graft.features.engines.choice import choose_engine
    from graft.features.views import PARAMS

    params = load_params(PARAMS, root / "params.yaml")
    if (root / params.weights).is_file():
        params.weights = str((root / params.weights).resolve())
    return params, *choose_engine(params.engine, params.precision, (root / IMAGES).resolve(), manifest)


def find_repo(root: Path) -> Path | None:
    """The repository whose HEAD may have features; None where that was switched off."""
    return root if os.environ.get("GRAFT_FEATURES_OF_HEAD", "yes") else None


def read_prepared(root: Path) -> Any:
    """Read the manifest; ends the command where it or the images are not there."""
    from graft.data.manifest import read_manifest

    try:
        if not (root / IMAGES).is_dir():
            raise FileNotFoundError(None, None, str(IMAGES))
        return read_manifest(root / MANIFEST)
    except FileNotFoundError as error:
        fail(f"no {error.filename}: run `dvc repro split` first, or name the repository with --root")


@contextmanager
def _filling(workers: int | None, scheduler: str | None, recipe: Any) -> Iterator[Fill]:
    """Give what embeds rows: this process, or the workers that were asked for."""
    if workers is None and scheduler is None:
        from graft.features.filling import fill

        yield fill
        return
    from graft.features.workers.dask import Cluster, connect, start_workers

    with connect(scheduler) if scheduler else start_workers(workers or 1) as client:
        yield Cluster(client, recipe).fill
