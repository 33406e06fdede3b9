"""`graft explain`: why a model says what it says of one image."""

from collections.abc import Iterable
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graft.cli.predict import load_chosen
from graft.cli.repository import Root, fail

if TYPE_CHECKING:
    import numpy as np

    from graft.explain.occlusion import Score
    from graft.serving.classifier import Classifier
    from graft.utils.progress import Bar

How = StrEnum("How", ["gradcam", "occlusion", "lime", "shap", "layers"])
BATCH_SIZE = 32


def explain(
    image: Annotated[Path, typer.Argument(help="An image file.")],
    how: Annotated[How, typer.Option(help="lime and shap need the extra `explain`.")] = How["gradcam"],
    method: Annotated[str | None, typer.Option(help="Default: the one that the report recommends.")] = None,
    model: Annotated[Path | None, typer.Option(help="A model file, also an exported one.")] = None,
    label: Annotated[
        str | None, typer.Option("--class", metavar="NAME", help="Default: the one that is predicted.")
    ] = None,
    layer: Annotated[str | None, typer.Option(help="Of `--how layers`. Default: Grad-CAM's.")] = None,
    patch: Annotated[
        float, typer.Option(min=0.02, max=0.9, help="Side of occlusion's square: a share of the image's.")
    ] = 0.2,
    samples: Annotated[
        int, typer.Option(min=100, max=10**5, help="Images for LIME and SHAP to score.")
    ] = 500,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of what LIME and SHAP hide.")] = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Default: the image's name and how, here.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Overwrite without asking.")] = False,
    max_pixels: Annotated[int, typer.Option(min=1, help="Decode no larger image.")] = 100_000_000,
    root: Root = Path(),
) -> None:
    """Draw what in an image speaks for its class, and say what it means."""
    from graft.data.images import decode
    from graft.explain.ways import Subject, explain_image
    from graft.utils.files import write_bytes
    from graft.utils.progress import Bar
    from graft.utils.terminal import printable

    file = out or Path(f"{image.stem}-{how}.png")
    try:
        if file.exists() and not yes:
            typer.confirm(f"{file} exists: overwrite it?", abort=True)
    except OSError as error:  # a name that is too long
        fail(f"{file}: {error.strerror}; name a file with --out")
    data = _read(image, max_pixels)
    path, classifier = load_chosen(root, method, model)
    try:
        shown, pixels = decode(data, max_pixels, classifier.bit_depth), classifier.decode(data, max_pixels)
    except ValueError as error:
        fail(f"{image}: {error}")
    scores = classifier.score(pixels[None]).scores[0]
    number = _choose_class(classifier, scores, label)
    name = classifier.classes[number]
    try:
        with Bar("images") as bar:
            bar.begin(how, None)
            score = _score_class(classifier, number, bar)
            subject = Subject(path, score, pixels, shown, number, name, patch, samples, seed, layer)
            drawn, words = explain_image(subject, how)
        write_bytes(drawn, file)
    except OSError as error:
        fail(f"the PNG cannot be written: {error}")
    except ValueError as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("stopped: nothing was written")
    typer.echo(printable(f"{image}: {name}, score {scores[number]:.1%}"))
    typer.echo(printable(f"{file}: {words}"))


def _read(image: Path, max_pixels: int) -> bytes:
    """Read an image file that is known to decode, before a model is loaded."""
    from graft.data.archives import MAX_MEMBER_BYTES
    from graft.data.folders import read_file
    from graft.data.images import measure

    try:
        data = read_file(image, MAX_MEMBER_BYTES)
        measure(data, max_pixels)
    except (OSError, ValueError) as error:
        fail(f"{image}: {getattr(error, 'strerror', None) or error}")
    return data


def _choose_class(classifier: "Classifier", scores: "np.ndarray", label: str | None) -> int:
    """The number of the class to explain."""
    from graft.training.decision import decide

    if label is None:
        return int(decide(scores[None])[0])
    if label not in classifier.classes:
        fail(f"--class={label!r}: expected one of {', '.join(classifier.classes)}")
    return classifier.classes.index(label)


def _score_class(classifier: "Classifier", number: int, bar: "Bar") -> "Score":
    """A function that scores images for a class, a batch at a time."""
    import numpy as np

    def score(images: "Iterable[np.ndarray]") -> "np.ndarray":
        rest, found = iter(images), []
        while batch := list(islice(rest, BATCH_SIZE)):
            found.append(classifier.score(np.stack(batch)).scores[:, number])
            bar.advance(len(batch))
        return np.concatenate(found).astype(np.float64)

    return score
