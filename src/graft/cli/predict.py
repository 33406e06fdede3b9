"""`graft predict`: the classes of images, from anywhere to anywhere."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graft.cli.repository import Root, fail

if TYPE_CHECKING:
    from graft.data.tta import Views
    from graft.serving.classifier import Classifier
    from graft.serving.writers import Writer

File = Annotated[str | None, typer.Option(metavar="FILE", help="Write all scores there; -: standard output.")]


def predict(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Images, folders, zips, tars, globs; -: such names on standard input.",
        ),
    ],
    method: Annotated[str | None, typer.Option(help="Default: the one that the report recommends.")] = None,
    model: Annotated[Path | None, typer.Option(help="A model file, also an exported one.")] = None,
    top: Annotated[int, typer.Option(min=1, help="How many labels of each image to print.")] = 1,
    csv: File = None,
    json: File = None,
    parquet: Annotated[Path | None, typer.Option(metavar="FILE", help="Write all scores there.")] = None,
    embeddings: Annotated[
        bool, typer.Option("--embeddings", help="Add each image's features, to JSON or Parquet.")
    ] = False,
    tta: Annotated[
        int, typer.Option(min=0, help="Score so many views of each image, too, and take the mean.")
    ] = 0,
    max_pixels: Annotated[int, typer.Option(min=1, help="Decode no larger image.")] = 100_000_000,
    root: Root = Path(),
) -> None:
    """Predict the class of images. Fails at the end if some could not be read; the others are predicted."""
    from graft.serving.sources import count_images, find_images
    from graft.serving.stream import predict_stream
    from graft.utils.progress import track

    if embeddings and not (json or parquet):
        fail("--embeddings needs a place for them: add --json FILE or --parquet FILE")
    _, classifier = load_chosen(root, method, model)
    views = _choose_views(classifier, tta, root)
    n_images = n_unread = 0
    try:
        with ExitStack() as stack:
            writers = list(_open_writers(stack, classifier, csv, json, parquet, embeddings, top))
            answers = predict_stream(classifier, find_images(paths), max_pixels, views)
            for batch in track(answers, "predict", count_images(paths), count=lambda each: len(each.table)):
                if embeddings and batch.features is None and batch.table["error"].isna().any():
                    fail("--embeddings: this model has no backbone, so its images have none")
                for writer in writers:
                    writer.write(batch)
                n_images += len(batch.table)
                n_unread += int(batch.table["error"].notna().sum())
            for writer in writers:
                writer.close()
    except BrokenPipeError:
        raise typer.Exit(1) from None
    except OSError as error:
        fail(f"the predictions cannot be written: {error}")
    except KeyboardInterrupt:
        fail(f"stopped after {n_images:,} images")
    if n_unread:
        fail(f"{n_unread:,} of {n_images:,} images could not be read")
    if not n_images:
        fail(f"no image in {', '.join(paths)}")


def load_chosen(root: Path, method: str | None, model: Path | None) -> "tuple[Path, Classifier]":
    """Load the model that was asked for, or the recommended one: its file, and what scores images."""
    from graft.methods.registry import METHODS
    from graft.report.verdict import read_best
    from graft.serving.classifier import find_file, load

    file = model
    try:
        if file is None:
            name = method or read_best(root / "metrics")
            if name not in METHODS:
                fail(f"--method={name!r}: expected one of {', '.join(METHODS)}")
            file = root / "models" / name / "model.keras"
        return find_file(file), load(file)
    except FileNotFoundError as error:
        hint = ": `dvc repro` or `graft share pull` makes it; or give --model FILE, or --root"
        fail(f"{error}{'' if model else hint}")
    except (ValueError, OSError) as error:
        fail(str(error))


def _choose_views(classifier: "Classifier", tta: int, root: Path) -> "Views | None":
    """The views of the augmentation on the model's card, else of that in the repository's params.yaml."""
    from graft.config.features import Augmentation
    from graft.config.load import load_params

    try:
        if not tta or "augmentation" in classifier.card:
            return classifier.choose_views(tta)
        params = load_params({"augmentation": Augmentation}, root / "params.yaml")
        return classifier.choose_views(tta, params.augmentation.model_dump())
    except ValueError as error:
        fail(f"--tta={tta} needs an augmentation, on the model's card or in a repository (--root): {error}")


def _open_writers(
    stack: ExitStack,
    model: "Classifier",
    csv: str | None,
    json: str | None,
    parquet: Path | None,
    embeddings: bool,
    top: int,
) -> "Iterator[Writer]":
    import sys

    from graft.serving import writers
    from graft.utils.files import whole

    if csv:
        yield writers.CsvWriter(stack.enter_context(writers.opened_text(csv)))
    if json:
        yield writers.JsonWriter(stack.enter_context(writers.opened_text(json)), embeddings)
    if parquet:
        yield writers.ParquetWriter(stack.enter_context(whole(parquet)), embeddings)
    if not (csv or json or parquet):
        yield writers.LineWriter(sys.stdout, model, top)
