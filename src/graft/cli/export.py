"""`graft export`: a trained model as a file for another runtime, checked against Keras."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graft.cli.repository import Root, fail

if TYPE_CHECKING:
    from graft.export.making import Source
    from graft.export.registry import Format


def export(
    method: Annotated[str, typer.Argument(help="A trained method, such as two_stage.")],
    format: Annotated[
        list[str] | None, typer.Option(help="May be given several times; without it, they are listed.")
    ] = None,
    precision: Annotated[
        list[str] | None, typer.Option(help="float32, float16 or int8; may be given several times.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Keep, marked, a file that does not give Keras's answers.")
    ] = False,
    root: Root = Path(),
) -> None:
    """Write a model for another runtime; run the file on test images, and refuse it if the answers differ."""
    from graft.export.making import export as export_checked
    from graft.methods.registry import METHODS

    if method not in METHODS:
        fail(f"method={method!r}: expected one of {', '.join(METHODS)}")
    chosen = _choose(format or [], precision or [])
    refused = []
    try:
        source = _read_source(root, method)
        for each, wanted in chosen:
            typer.echo(f"{each.name} {wanted}: writing, then running it on the test images ...", err=True)
            record, faults = export_checked(source, each, wanted, force)
            _describe(record, source.folder)
            if faults:
                kept = (
                    "kept as you forced it, and marked" if force else "refused and deleted; --force keeps it"
                )
                typer.echo(f"  {kept}: {'; '.join(faults)}", err=True)
                refused += [f"{each.name} {wanted}"] * (not force)
    except FileNotFoundError as error:
        fail(f"{error}: run `dvc repro` first, or name the repository with --root")
    except (ImportError, ValueError, OSError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("interrupted: the file that was being written is not kept")
    if refused:
        fail(f"refused: {', '.join(refused)}")


def _choose(names: list[str], precisions: list[str]) -> "list[tuple[Format, str]]":
    """The formats and precisions that were asked for, of which each must exist."""
    from graft.export.registry import FORMATS

    legal = "\n".join(
        f"  --format {each.name:<11} --precision {', '.join(each.precisions)}" for each in FORMATS.values()
    )
    if not names:
        fail(f"--format says what to write; the first precision is the default:\n{legal}")
    for name in names:
        for wanted in precisions:
            if name in FORMATS and wanted not in FORMATS[name].precisions:
                fail(f"--format {name} --precision {wanted} does not exist; expected one of\n{legal}")
        if name not in FORMATS:
            fail(f"--format={name!r} does not exist; expected one of\n{legal}")
    chosen = [(name, wanted) for name in names for wanted in precisions or FORMATS[name].precisions[:1]]
    return [(FORMATS[name], wanted) for name, wanted in dict.fromkeys(chosen)]


def _read_source(root: Path, method: str) -> "Source":
    from graft.config.features import Augmentation
    from graft.config.load import load_params
    from graft.config.paths import IMAGES, MANIFEST, MODELS
    from graft.config.types import Natural
    from graft.data.manifest import read_manifest
    from graft.export.making import Source
    from graft.sharing.recorded import commit_of

    folder = root / MODELS / method
    model = folder / "model.keras"
    commit = commit_of(root, model)
    params = load_params({"predict.tta": Natural, "augmentation": Augmentation}, root / "params.yaml")
    augmentation = params.augmentation.model_dump() if params.tta else None
    return Source(folder, root / IMAGES, read_manifest(root / MANIFEST), commit, augmentation)


def _describe(record: dict[str, Any], folder: Path) -> None:
    """Print what the check of a file found."""
    from graft.export.records import show_megabytes

    faster = {n: record["images_per_second"][n] / record["keras_images_per_second"][n] for n in ("1", "16")}
    speeds = ", ".join(
        f"{record['images_per_second'][n]:,.0f} images/s at batch {n} ({faster[n]:.1f} x Keras)"
        for n in faster
    )
    typer.echo(
        f"{folder / record['file']}: {show_megabytes(record['bytes'])} MB, {speeds}\n"
        f"  {record['n_images']} test images: accuracy {record['accuracy']:.1%}, "
        f"Keras {record['accuracy_keras']:.1%} (McNemar's p = {record['p_value']:.2g}); "
        f"{record['differing_answers']} answers differ, scores by up to {_show(record['max_difference'])}"
    )


def _show(difference: float | None) -> str:
    return "nan" if difference is None else f"{difference:.1g}"
