"""`graft features`: fill the cache, look at it, verify it, and drop what nobody needs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from graft.cli.extract import extract, read_recipe
from graft.cli.repository import Root, fail
from graft.config.paths import FEATURES, IMAGES, MANIFEST, SHARED_STORE, STORE, VIEWS

if TYPE_CHECKING:
    from graft.features.inventory import Cached

SHORT, WORST = 12, 5

app = typer.Typer(
    no_args_is_help=True, help="Fill the cache of features, look at it, verify it, clean it up."
)
app.command()(extract)


@app.command()
def info(
    root: Root = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Print what is cached: in the store, a row for each fingerprint, and in data/features and data/views."""
    from graft.features.inventory import build_table, read_shards, read_store

    rows = [(cached.folder.name[:SHORT], cached.summary()) for cached in read_store(root / STORE)]
    shards = {str(folder): read_shards(root / folder) for folder in (FEATURES, VIEWS)}
    current = {name: cached.summary() if cached.files else None for name, cached in shards.items()}
    if as_json:
        typer.echo(json.dumps({"store": [summary for _, summary in rows], **current}, indent=2))
        return
    rows += [(f"{name}\n= {str(each['id'])[:SHORT]}", each) for name, each in current.items() if each]
    if rows:
        Console().print(build_table(rows))
    else:
        typer.echo(f"nothing is cached in {STORE}, {FEATURES} or {VIEWS}: run `dvc repro extract_views`")


@app.command()
def verify(
    root: Root = Path(),
    sample: Annotated[
        str, typer.Option(help="Rows to embed again, or all; 0: checksums only, without TensorFlow.")
    ] = "16",
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of the choice of rows; else another each time.")
    ] = None,
) -> None:
    """Verify checksums and values, then embed some rows again and compare. Nothing is changed."""
    from secrets import randbits

    from graft.features.inventory import read_shards, read_store

    n = _parse_sample(sample)
    seed = randbits(32) if seed is None else seed
    store, shards = read_store(root / STORE), [read_shards(root / folder) for folder in (FEATURES, VIEWS)]
    damaged = [file for cached in store for file in cached.damaged]
    n_entries = sum(len(cached.files) for cached in store)
    typer.echo(f"{STORE}: {n_entries:,} entries of {len(store)} fingerprints, {len(damaged):,} damaged")
    for file in damaged:
        typer.echo(f"  {file.path.relative_to(root / STORE).as_posix()}: {file.fault}")
    if damaged:
        typer.echo("  (the next extraction embeds their images again; `graft features gc` drops them)")
    if not shards[0].files:
        fail(f"no features in {shards[0].folder.as_posix()}: run `dvc repro extract_features`")
    problems = _check_shards(root, shards)
    beyond = n != 0 and not any(each.damaged for each in shards) and _embed_again(root, n, seed)
    if problems:
        typer.echo(
            "`dvc repro extract_features extract_views` makes what params.yaml and the manifest ask for; "
            f"`dvc checkout --force {FEATURES} {VIEWS}` brings back what dvc.lock records"
        )
    if damaged or problems or beyond:
        raise typer.Exit(1)


def _parse_sample(text: str) -> int | None:
    """Parse a number of rows; None: all."""
    if text != "all" and not text.isdecimal():
        fail(f"--sample={text!r}: expected a number of rows, 0 or more, or all")
    return None if text == "all" else int(text)


def _check_shards(root: Path, shards: Sequence["Cached"]) -> list[str]:
    from graft.config.load import ParamsError, load_params
    from graft.config.types import Natural
    from graft.data.manifest import read_manifest
    from graft.features.format import plain_rows, view_rows
    from graft.features.inventory import check_md5s, check_rows, recorded_md5s

    try:
        views = load_params({"features.views": Natural}, root / "params.yaml").views
        manifest = read_manifest(root / MANIFEST)
    except ParamsError as error:
        fail(str(error))
    except FileNotFoundError as error:
        fail(f"no {error.filename}: run `dvc repro extract_features`, or name the repository with --root")
    wanted = {FEATURES: plain_rows(manifest), VIEWS: view_rows(manifest, views)}
    problems: list[str] = []
    for (folder, rows), cached in zip(wanted.items(), shards, strict=True):
        wrong, checked = check_rows(cached, rows), "md5s as DVC recorded them"
        try:
            wrong += check_md5s(root / folder, recorded_md5s(root, folder.as_posix()))
        except Exception as error:  # of DVC, or of any kind of remote
            checked = f"readable, md5s not checked, DVC has none here ({error})"
        found = f"{len(wrong)} problems" if wrong else f"{checked}, rows as the manifest asks"
        typer.echo("\n  ".join([f"{folder}: {found}", *wrong]))
        problems += wrong
    return problems


def _embed_again(root: Path, n: int | None, seed: int) -> bool:
    """Compare some rows with what the backbone gives now; return whether one exceeds the tolerance."""
    from graft.data.manifest import read_manifest
    from graft.features.format import HELP
    from graft.features.recompute import measure_drift
    from graft.features.views import build_embeddings

    try:
        recipe = read_recipe(root, read_manifest(root / MANIFEST))
        features = dict(zip((root / FEATURES, root / VIEWS), build_embeddings(*recipe), strict=True))
        drift = measure_drift(root / IMAGES, features, n, seed)
    except (ValueError, FileNotFoundError) as error:
        fail(str(error))
    for name, versions in drift.versions.items():
        typer.echo(f"made with {name} {versions}")
    rows = [row for row, _ in drift.differences]
    typer.echo(
        f"embedded again, with --seed {seed}: {len(rows):,} of {drift.n:,} rows checked, "
        f"{sum(view > 0 for _, view in rows):,} of them augmented views; "
        f"largest difference {drift.differences[0][1]:.1e} of a row's largest value (tolerance "
        f"{drift.tolerance:.1e} for {recipe[0].precision}: rounding, and another machine's order of sums)"
    )
    for (key, view), value in drift.beyond[:WORST]:
        typer.echo(f"  beyond it: key {key}, view {view}: {value:.1e}")
    if drift.beyond:
        found = f"{len(drift.beyond)} of {len(rows)} rows exceed the tolerance"
        typer.echo(
            f"{found}: the features were changed, or come from a machine that embeds otherwise; "
            f"what to do: {HELP}"
        )
    return bool(drift.beyond)


@app.command()
def gc(
    root: Root = Path(),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be dropped.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    ignore_unreadable: Annotated[
        bool, typer.Option("--ignore-unreadable", help="Take a manifest that cannot be read for empty.")
    ] = False,
    from_commits: Annotated[
        bool, typer.Option("--from-commits", help="Drop what commits brought instead, or these COMMITS.")
    ] = False,
    projects: Annotated[
        list[Path] | None, typer.Option("--project", help="Another one that shares the store; repeatable.")
    ] = None,
    commits: Annotated[list[str] | None, typer.Argument(help="First digits of their ids.")] = None,
) -> None:
    """Drop from the store what no manifest of the work tree, HEAD, a branch or a tag needs."""
    from graft.features.gc import brought, drop, leftovers, unneeded
    from graft.features.inventory import build_table, read_store

    store, old = read_store(root / STORE), leftovers(root / STORE)
    if from_commits:
        store = brought(store, commits or [])
    elif commits:
        fail(f"{' '.join(commits)}: commits go with --from-commits")
    else:
        store = unneeded(store, _find_needed([root, *_sharing(projects)], ignore_unreadable))
    files = [*old, *(file for cached in store for file in cached.files)]
    if store:
        Console().print(build_table([(cached.folder.name[:SHORT], cached.summary()) for cached in store]))
    n_images = len({key for file in files for key, _ in file.rows})
    size = sum(file.bytes for file in files)
    entries = f"{len(files) - len(old):,} entries with {n_images:,} images"
    typer.echo(f"to drop: {entries}, {len(old):,} leftover temporary files; {size:,} bytes")
    if files and not dry_run and (yes or typer.confirm("Drop them?", abort=True)):
        drop(files)
        typer.echo("dropped")


def _sharing(projects: list[Path] | None) -> list[Path]:
    """The other projects that share the store; ends the command where they are not known."""
    if SHARED_STORE and not projects:
        fail(
            f"GRAFT_STORE={STORE} may hold what other projects need: name each of them, --project FOLDER, or "
            "this one again if there is no other"
        )
    return projects or []


def _find_needed(roots: Sequence[Path], ignore_unreadable: bool) -> set[str]:
    """The keys that a revision of these repositories needs; ends the command where one cannot be read."""
    return set[str]().union(*(_find_needed_in(root, ignore_unreadable) for root in roots))


def _find_needed_in(root: Path, ignore_unreadable: bool) -> set[str]:
    from graft.features.gc import needed_images
    from graft.utils.git import GitError

    try:
        needed = needed_images(root)
    except (GitError, FileNotFoundError) as error:
        fail(f"{root.absolute()} is no Git and DVC repository: {error}")
    for revision, reason in needed.unreadable.items():
        typer.echo(f"the manifest of {revision} cannot be read: {reason}", err=True)
    if needed.unreadable and not ignore_unreadable:
        fail(
            "nothing was dropped: what these revisions need is unknown. "
            f"`dvc fetch --all-commits {MANIFEST}` gets their manifests from the remote; "
            "--ignore-unreadable drops what only they need"
        )
    typer.echo(f"{len(needed.keys):,} images are needed by {', '.join(needed.revisions)}")
    return needed.keys
