"""`graft curate`: labels that may be wrong, images that are there twice, images unlike any other."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graft.cli.cached import explain, opened_features
from graft.cli.repository import Root, fail
from graft.utils.terminal import printable

if TYPE_CHECKING:
    import pandas as pd

    from graft.curation.findings import Findings

PRINTED = 5  # suspects


def curate(
    edits: Annotated[
        bool, typer.Option("--edits", help="Add the suspects shown to edits.csv, for you to decide on.")
    ] = False,
    top: Annotated[int, typer.Option(min=1, help="How many images of a kind to show.")] = 60,
    similar: Annotated[
        float, typer.Option(min=0, max=1, help="Lowest similarity of near-duplicates: a cosine.")
    ] = 0.95,
    root: Root = Path(),
) -> None:
    """Find doubtful labels, near-duplicates, outliers and classes that overlap, by cached features."""
    from graft.config.paths import CURATION_PAGE, EDITS
    from graft.curation.suggestions import append_rows, suggest
    from graft.data.edits import read_edits
    from graft.report.curation import describe, tabulate_leakage

    try:
        decided = read_edits(root / EDITS) if (root / EDITS).exists() else {}
        findings = _find(root, similar).without(decided)
        leakage = _write(root, findings, top)
        for line in (line for lines in describe(findings.summarise()).values() for line in lines):
            typer.echo(line)
        for method, (on_all, without) in tabulate_leakage(leakage).rows:
            typer.echo(f"  {method}, % of test: {on_all.text}; without these images {without.text}")
        for one in findings.suspects.head(PRINTED).to_dict("records"):
            line = f"  {one['path']} ({one['split']}): {one['label']}, or {one['suggested']}?"
            typer.echo(printable(line))
        typer.echo(f"{(root / CURATION_PAGE).as_posix()} shows them")
        if edits:
            rows = suggest(findings, decided, top)
            append_rows(root / EDITS, rows)
            typer.echo(
                f"{EDITS}: {len(rows):,} rows added, all `keep`; decide otherwise with `drop` or `relabel`, "
                "then run `dvc repro`"
            )
    except (OSError, ValueError, KeyError) as error:
        fail(explain(error))


def _find(root: Path, similar: float) -> "Findings":
    from graft.config.load import load_params
    from graft.config.training import Linear
    from graft.config.types import Seed
    from graft.curation.findings import find

    params = load_params({"seed": Seed, "linear": Linear}, root / "params.yaml")
    with opened_features(root) as (manifest, features, room):
        return find(manifest, features, params.linear, room, params.seed, similar)


def _write(root: Path, findings: "Findings", top: int) -> list[dict[str, Any]]:
    from graft.config.load import load_params
    from graft.config.paths import CURATION, CURATION_PAGE, FEATURES, IMAGES, MANIFEST, PREDICTIONS
    from graft.config.types import Text
    from graft.data.decoding import list_shards, read_images
    from graft.report.curation_page import build_page, list_keys, list_shown
    from graft.report.provenance import name_dataset
    from graft.utils.belonging import write_values
    from graft.utils.files import write_csv, write_text

    params = load_params({"dataset": Text, "source": Text}, root / "params.yaml")
    list_shards(root / IMAGES)  # or say that there is none
    leakage = _measure_leakage(root, findings)
    shown = list_shown(findings, top)
    images = read_images(root / IMAGES, list_keys(shown))
    for name in ("suspects", "duplicates", "outliers", "overlaps"):
        write_csv(getattr(findings, name), root / CURATION / f"{name}.csv")
    page = build_page(findings, leakage, shown, images, name_dataset(params.dataset, params.source))
    write_text(page, root / CURATION_PAGE)
    measured = [PREDICTIONS / f"{row['method']}.parquet" for row in leakage]
    summary = findings.summarise() | {"leakage": leakage}
    write_values(root, CURATION / "findings.json", summary, [MANIFEST, FEATURES, *measured])
    return leakage


def _measure_leakage(root: Path, findings: "Findings") -> list[dict[str, Any]]:
    """Measure it for the methods whose predictions are of these test images."""
    from graft.config.evaluation import Metrics
    from graft.config.load import load_params
    from graft.config.paths import MANIFEST, PREDICTIONS
    from graft.curation.leakage import measure_leakage
    from graft.data.manifest import read_manifest
    from graft.evaluation.predictions import read_predictions
    from graft.methods.registry import METHODS

    manifest = read_manifest(root / MANIFEST)
    test = set(manifest.loc[manifest["split"] == "test", ["key", "label"]].itertuples(index=False, name=None))
    if not findings.leaked or len(findings.leaked) == len(test):
        return []
    files = {method: root / PREDICTIONS / f"{method}.parquet" for method in METHODS}
    predictions = {method: read_predictions(file) for method, file in files.items() if file.exists()}
    of_these = {method: found for method, found in predictions.items() if _test_images(found[0]) == test}
    if others := predictions.keys() - of_these.keys():
        typer.echo(f"the predictions of {', '.join(sorted(others))} are of other test images, and left out")
    confidence = load_params({"metrics": Metrics}, root / "params.yaml").metrics.confidence
    return measure_leakage(of_these, findings.leaked, confidence)


def _test_images(frame: "pd.DataFrame") -> set[tuple[str, str]]:
    test = frame[frame["split"] == "test"]
    return set(test[["key", "y_true"]].itertuples(index=False, name=None))
