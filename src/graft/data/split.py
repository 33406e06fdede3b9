"""`data/images` -> the manifest: each image is in train, validation or test."""

import re
from collections.abc import Collection, Iterable, Mapping
from fractions import Fraction
from hashlib import sha256
from pathlib import PurePosixPath

import numpy as np
import pandas as pd

from graft.config.data import SplitParams
from graft.config.types import SPLITS, Split
from graft.data.manifest import COLUMNS

LISTED = 5  # classes that an error names


def make_manifest(images: pd.DataFrame, params: SplitParams, seed: int) -> pd.DataFrame:
    """Take the subset, assign the splits, and check that no class misses a split.

    Args:
        images: frame with the columns ``key, path, label, split`` (``split``: as given by the
            source, or null) of all images.
        params: the block ``split`` of params.yaml.
        seed: determines the subset, the fractions and the validation share.

    Returns:
        The manifest, sorted by ``path``.

    Raises:
        ValueError: if a class would have no image in some split, fewer than two classes have
            ``min_per_class`` images, ``classes`` or ``max_per_class`` names an unknown class, a file name
            carries no number (``index_ranges``), or an image has no split (``given``).
    """
    if params.classes is not None:
        _check_classes("classes", params.classes, images)
        images = images[images["label"].isin(params.classes)]
    subset = take_subset(images, params.max_per_class, seed)
    images = _leave_out_rare(images, params.min_per_class)
    subset = subset[subset["label"].isin(images["label"])]
    if params.strategy == "fractions":
        manifest = assign_splits(subset, {split: params.fractions[split] for split in SPLITS}, seed)
    elif params.strategy == "index_ranges":
        manifest = assign_index_ranges(subset, params.index_ranges)
    elif "validation" in set(images["split"]):
        manifest = _given(subset)
    else:
        manifest = _take_validation(_given(subset), params.validation, seed)
    _check_every_split(manifest, images["label"].value_counts(), params.strategy)
    return manifest[COLUMNS].sort_values("path", ignore_index=True)


def _leave_out_rare(images: pd.DataFrame, at_least: int) -> pd.DataFrame:
    sizes = images["label"].value_counts()
    n_left = (sizes >= at_least).sum()
    if n_left < min(2, len(sizes)):
        largest = _list(f"{label!r} ({n})" for label, n in sizes.items())
        raise ValueError(
            f"split.min_per_class={at_least} leaves {n_left} of {len(sizes)} classes, expected 2 or more, "
            f"received {largest}; lower it in params.yaml"
        )
    return images[images["label"].map(sizes) >= at_least]


def take_subset(
    manifest: pd.DataFrame, max_per_class: int | Mapping[str, int] | None, seed: int
) -> pd.DataFrame:
    """Keep at most so many images of each class, those that rank first by sha256(seed, key).

    A smaller subset is thus a part of every larger one.

    Args:
        manifest: frame with the columns ``key`` and ``label``.
        max_per_class: one number for every class, or one per class (a class it does not name is kept
            whole), or ``None`` to keep all.
        seed: of the ranks.

    Raises:
        ValueError: if ``max_per_class`` names a class that does not exist.
    """
    if max_per_class is None:
        return manifest
    classes = sorted(manifest["label"].unique())
    limits = max_per_class if isinstance(max_per_class, Mapping) else dict.fromkeys(classes, max_per_class)
    _check_classes("max_per_class", limits, manifest)
    ranked = _ranked(manifest, seed)
    limit = ranked["label"].map(lambda label: limits.get(label, len(ranked)))
    return ranked[ranked.groupby("label").cumcount() < limit]


def assign_splits(manifest: pd.DataFrame, fractions: Mapping[Split, float], seed: int) -> pd.DataFrame:
    """Assign each image to one split, stratified by label.

    Within a label, images are ranked by sha256(seed, key), so neither the order of the rows
    nor the names of the labels can change the result. Each share is rounded down; the rest goes to
    the last split, as in the published five-flowers split (501 daisies: 250, 125, 126).

    Args:
        manifest: frame with columns ``key``, ``path`` and ``label``; keys are unique.
        fractions: ordered mapping of split to share, summing to 1.
        seed: of the ranks.

    Returns:
        The frame with a ``split`` column, sorted by ``path``.

    Raises:
        ValueError: if a key repeats.
    """
    repeated = manifest.loc[manifest["key"].duplicated(), "key"]
    if len(repeated):
        raise ValueError(f"expected unique keys, received key={min(repeated)} more than once; rerun prepare")
    ranked = _ranked(manifest, seed)
    splits = ranked.groupby("label")["key"].transform(
        lambda keys: np.repeat(list(fractions), _counts(len(keys), list(fractions.values())))
    )
    return ranked.assign(split=splits).sort_values("path", ignore_index=True)


def assign_index_ranges(manifest: pd.DataFrame, ranges: Mapping[Split, tuple[int, int]]) -> pd.DataFrame:
    """Assign each image to the split whose range holds the last number in its file name.

    The way of the published cats-and-dogs split: ``cat.1207.jpg`` is in validation [1000, 1499].

    Args:
        manifest: frame with the columns ``path`` and ``label``.
        ranges: split to first and last number, inclusive; they do not overlap.

    Returns:
        The frame with a ``split`` column, sorted by ``path``, without the images outside all ranges.

    Raises:
        ValueError: if a file name has no number.
    """
    numbers = [re.findall("[0-9]+", PurePosixPath(path).stem) for path in manifest["path"]]
    unnumbered = manifest["path"][[not found for found in numbers]]
    if len(unnumbered):
        raise ValueError(
            f"split.strategy=index_ranges expects a number in every file name, received {len(unnumbered)} "
            f"without, the first path={min(unnumbered)!r}; rename them or set split.strategy to fractions"
        )
    number = np.array([int(found[-1]) for found in numbers], dtype=object)  # no overflow: any length
    parts = [
        manifest[(number >= first) & (number <= last)].assign(split=split)
        for split, (first, last) in ranges.items()
    ]
    return pd.concat(parts).sort_values("path", ignore_index=True)


def _take_validation(manifest: pd.DataFrame, share: float, seed: int) -> pd.DataFrame:
    """Make a share of each class's train images validation, rounded down; test images stay where they are."""
    is_train = manifest["split"] == "train"
    shares: dict[Split, float] = {"validation": share, "train": 1 - share}
    return pd.concat([assign_splits(manifest[is_train], shares, seed), manifest[~is_train]])


def _given(manifest: pd.DataFrame) -> pd.DataFrame:
    without = manifest.loc[~manifest["split"].isin(SPLITS), "path"]
    if len(without):
        raise ValueError(
            "split.strategy=given expects every image in a {train,validation,test}/class/ tree (validation "
            f"may be absent), received {len(without)} of {len(manifest)} without a split, the first "
            f"path={min(without)!r}; move them, or set split.strategy to fractions"
        )
    return manifest


def _check_classes(key: str, names: Collection[str], manifest: pd.DataFrame) -> None:
    legal = sorted(manifest["label"].unique())
    unknown = sorted(set(names) - set(legal))
    if unknown:
        raise ValueError(
            f"split.{key} names classes that are not there: expected some of {legal}, "
            f"received {unknown}; correct params.yaml"
        )


def _ranked(manifest: pd.DataFrame, seed: int) -> pd.DataFrame:
    ranks = [sha256(f"{seed}:{key}".encode()).hexdigest() for key in manifest["key"]]
    return manifest.iloc[np.argsort(ranks)]


def _counts(n: int, shares: list[float]) -> list[int]:
    # Fraction(str(x)) is the decimal that was written: 100 * 0.29 is 29, where floats say 28.999...
    counts = [int(n * Fraction(str(share))) for share in shares[:-1]]
    return [*counts, n - sum(counts)]


def _check_every_split(manifest: pd.DataFrame, sizes: pd.Series, strategy: str) -> None:
    counts = pd.crosstab(manifest["label"], manifest["split"])
    counts = counts.reindex(index=sorted(sizes.index), columns=list(SPLITS), fill_value=0)
    lacking = counts[(counts == 0).any(axis=1)]
    if lacking.empty:
        return
    keys = "strategy, split.validation" if strategy == "given" else strategy
    enough = 1 + sizes[lacking.index].max()
    can_drop = (sizes >= enough).sum() > 1
    drop = f"leave such classes out with split.min_per_class={enough} or split.classes, " if can_drop else ""
    received = _list(f"{row.name!r} ({_describe(row)})" for _, row in lacking.iterrows())
    raise ValueError(
        f"{len(lacking)} of {len(sizes)} classes would have no image in some split, expected at least 1 in "
        f"every split, received {received}; "
        f"give them more images, {drop}or change split.{keys} or split.max_per_class in params.yaml"
    )


def _describe(counts: pd.Series) -> str:
    return ", ".join(f"{split}={n}" for split, n in counts.items())


def _list(items: Iterable[str]) -> str:
    """Join the first of some items, and count the others."""
    listed = [*items]
    more = f" and {len(listed) - LISTED} more" if len(listed) > LISTED else ""
    return ", ".join(listed[:LISTED]) + more
