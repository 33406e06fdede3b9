"""A layout of images -> points with the classes and predictions of now, and a page that moves and zooms."""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from graft.config.paths import MANIFEST, MAP, MAP_PAGE, METRICS, PREDICTIONS
from graft.data.manifest import read_manifest
from graft.evaluation.predictions import first_seed, read_predictions
from graft.explain.selection import predict_test
from graft.report.templates import render
from graft.report.verdict import read_best
from graft.utils.belonging import read_values
from graft.utils.files import write_text

# As far from white as from the dark page, and from each other: at least 3 to 1 (WCAG 2, 1.4.11).
COLOURS = (
    "#1f77b4", "#d95f02", "#1b9e77", "#b15bd6", "#e31a1c",
    "#a6761d", "#6a8f00", "#e7298a", "#00909e", "#4f6bd8",
)  # fmt: skip
OTHER = "#808080"


@dataclass(frozen=True)
class Mapped:
    """The images on a map, and what a method says of them.

    Attributes:
        points: frame ``x, y`` (in [0, 1]), ``path, label, split, predicted, score, wrong``, sorted by key. An
            image that is not of test has no prediction: ``predicted`` is None and ``score`` 0.
        outliers: their rows, the most unusual first.
        method: whose predictions these are.
        n_images: how many the manifest has, of which these may be a sample.
        side: pixels of a thumbnail.
        sheet: a JPEG of all thumbnails, as `graft.curation.embedding_map.draw_sheet` draws it.
        colours: class -> colour, of at most ten classes.
    """

    points: pd.DataFrame
    outliers: list[int]
    method: str
    n_images: int
    side: int
    sheet: bytes
    colours: dict[str, str]

    @property
    def thumbnails(self) -> list[np.ndarray]:
        """The thumbnails of the outliers: (side, side, 3) uint8."""
        sheet = np.asarray(Image.open(BytesIO(self.sheet)).convert("RGB"))
        columns = sheet.shape[1] // self.side
        places = [divmod(row, columns) for row in self.outliers]
        s = self.side
        return [sheet[y * s : y * s + s, x * s : x * s + s] for y, x in places]


def read_map(root: Path) -> Mapped | None:
    """Read the map of a repository, if it is of its features and images; with the present predictions.

    Raises:
        FileNotFoundError: if predictions or metrics are missing.
    """
    found = read_values(root, MAP).get("map")
    if found is None:
        return None
    method = found["method"] or read_best(root / METRICS)
    predictions = first_seed(*read_predictions(root / PREDICTIONS / f"{method}.parquet"))
    return describe_map({**found, "method": method}, read_manifest(root / MANIFEST), predictions)


def write_map_page(mapped: Mapped | None, root: Path) -> None:
    """Write the page that moves; where there is no map, remove an old one."""
    if mapped is None:
        (root / MAP_PAGE).unlink(missing_ok=True)
    else:
        write_text(build_map_page(mapped), root / MAP_PAGE)


def describe_map(found: Mapping[str, Any], manifest: pd.DataFrame, predictions: pd.DataFrame) -> Mapped:
    """Put together what `graft map` wrote, and a method's predictions of its first seed.

    Args:
        found: ``keys, places, outliers, side, sheet`` (base64), ``method``.
        manifest: frame ``key, path, label, split``, of all images.
        predictions: rows of one seed; those of images that are in test now, under this label, are shown.
    """
    now = manifest[manifest["split"] == "test"].set_index("key")["label"]
    test = predict_test(predictions).set_index("key")
    test = test[test["y_true"] == now.reindex(test.index)]
    rows = manifest.set_index("key").loc[found["keys"], ["path", "label", "split"]]
    points = rows.join(test[["predicted", "confidence"]]).reset_index(drop=True)
    points = points.rename(columns={"confidence": "score"}).fillna({"score": 0.0})
    points["predicted"] = points["predicted"].astype(object).where(points["predicted"].notna(), None)
    points["wrong"] = points["predicted"].notna() & (points["predicted"] != points["label"])
    points[["x", "y"]] = found["places"]
    sheet = b64decode(found["sheet"])
    return Mapped(
        points,
        found["outliers"],
        found["method"],
        len(manifest),
        found["side"],
        sheet,
        colour_classes(points),
    )


def colour_classes(points: pd.DataFrame) -> dict[str, str]:
    """Colour all classes, or of more than ten those with the most mistakes, then the most images."""
    counts = points.groupby("label")["wrong"].agg(["sum", "size"]).reset_index()
    ranked = counts.sort_values(["sum", "size", "label"], ascending=[False, False, True])["label"]
    return dict(zip(sorted(ranked[: len(COLOURS)]), COLOURS, strict=False))


def explain_map(mapped: Mapped) -> list[str]:
    """Say what is on a map, and how to read it."""
    n, n_wrong = len(mapped.points), int(mapped.points["wrong"].sum())
    sample = (
        f"A sample of {n:,} of {mapped.n_images:,} images" if n < mapped.n_images else f"All {n:,} images"
    )
    n_classes = mapped.points["label"].nunique()
    some = f"; the {len(mapped.colours)} classes with the most mistakes have colours, the others are gray"
    return [
        f"{sample} of {n_classes:,} classes{some if n_classes > len(mapped.colours) else ''}.",
        "Images that the backbone finds alike lie side by side (t-SNE of the features). The distances and "
        "sizes of groups mean nothing, and a method may tell apart what is mixed here.",
        f"Rings: the {n_wrong:,} test images that {mapped.method} got wrong. Thumbnails: images that are the "
        "least like their neighbours. An image among those of another class may have a wrong label.",
    ]


def build_map_page(mapped: Mapped) -> str:
    """Build the page that moves, zooms and names the points: one file that needs no other and no network."""
    points, labels = (
        mapped.points,
        sorted(set(mapped.points["label"]) | set(mapped.points["predicted"].dropna())),
    )
    number = {label: i for i, label in enumerate(labels)}
    splits = sorted(set(points["split"]))
    data = {
        "labels": labels,
        "colours": [mapped.colours.get(label, OTHER) for label in labels],
        "splits": splits,
        "side": mapped.side,
        "outliers": mapped.outliers,
        "points": [
            [x, y, number[label], splits.index(split), path, number.get(predicted, -1), round(score, 4)]
            for x, y, label, split, path, predicted, score in points[
                ["x", "y", "label", "split", "path", "predicted", "score"]
            ].itertuples(index=False)
        ],
    }
    script = files("graft.report").joinpath("page.map.js").read_text(encoding="utf-8")
    return render(
        "page.map.html.j2",
        {
            "data": data,
            "sheet": b64encode(mapped.sheet).decode("ascii"),
            "script": script,
            "script_hash": b64encode(sha256(script.encode()).digest()).decode("ascii"),
            "sentences": explain_map(mapped),
            "shown": [(number[label], label) for label in sorted(set(points["label"]))],
            "colours": mapped.colours,
        },
    )
