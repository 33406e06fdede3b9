"""Predictions -> the images that the page shows: what each method predicted, and where it looked."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import pandas as pd

from graft.explain.selection import CLEAR_HITS, predict_test

# How many images of each kind stand in the page, so that it stays below 5 MB.
MISTAKES, HESITANT, SAMPLES = 60, 16, 30

# Method -> frame and facts, as graft.evaluation.predictions.read_predictions gives them.
Predictions = Mapping[str, tuple[pd.DataFrame, Mapping[str, Any]]]


class Prediction(NamedTuple):
    """The prediction of one method for one image.

    Attributes:
        method: its name.
        label: the class that the model of the first seed predicts.
        score: of that class, in [0, 1].
        right: whether that is the truth.
        n_wrong: how many of its seeds are wrong.
        n_seeds: how many it has.
        heat_map: the file below `reports/explain` that explains this label; None without one.
    """

    method: str
    label: str
    score: float
    right: bool
    n_wrong: int
    n_seeds: int
    heat_map: str | None


class Case(NamedTuple):
    """A test image and what each method predicted for it."""

    key: str
    path: str
    truth: str
    predictions: tuple[Prediction, ...]

    @property
    def n_wrong(self) -> int:
        """The number of methods that are wrong."""
        return sum(not one.right for one in self.predictions)

    @property
    def hard_for_all(self) -> bool:
        """True if every method is wrong."""
        return self.n_wrong == len(self.predictions)

    @property
    def worst(self) -> float:
        """The highest score of a wrong prediction; 0 without one."""
        return max((one.score for one in self.predictions if not one.right), default=0.0)


def list_cases(predictions: Predictions, manifest: pd.DataFrame, explained: Mapping[str, Any]) -> list[Case]:
    """List every test image with its predictions, sorted by key; arguments as of `choose_gallery`."""
    heat_maps = {
        (image["key"], method, one["class"]): one["file"]
        for image in explained["images"]
        for method, one in image["maps"].items()
    }
    by_method = {method: _reduce(frame, facts["seeds"]) for method, (frame, facts) in predictions.items()}
    test = manifest[manifest["split"] == "test"].sort_values("key")
    if any(rows.keys() != set(test["key"]) for rows in by_method.values()):
        raise ValueError("some predictions are of other images than data/manifest.csv")
    cases = []
    for key, path, label in zip(test["key"], test["path"], test["label"], strict=True):
        found = (
            Prediction(m, **rows[key], heat_map=heat_maps.get((key, m, rows[key]["label"])))
            for m, rows in by_method.items()
        )
        cases.append(Case(key, path, label, tuple(found)))
    return cases


def _reduce(frame: pd.DataFrame, seeds: Sequence[int]) -> dict[Any, dict[Any, Any]]:
    """Test key -> the fields of `Prediction` from ``label`` to ``n_seeds``."""
    test = predict_test(frame).rename(columns={"predicted": "label", "confidence": "score"})
    test["right"] = test["label"] == test["y_true"]
    n_wrong = (~test["right"]).groupby(test["key"]).sum()
    first = test[test["seed"] == seeds[0]].set_index("key").assign(n_wrong=n_wrong, n_seeds=len(seeds))
    return first[["label", "score", "right", "n_wrong", "n_seeds"]].to_dict("index")


class Gallery(NamedTuple):
    """The images of the page, and how many there would be.

    Attributes:
        mistakes: the cases that some method got wrong: those wrong by all first, then by the confidence
            of the wrong prediction.
        hesitant: hits, the least confident first.
        clear: a confident hit of each class, in class order.
        samples: class -> key and path of an image, of train where it has one.
        counts: of all ``mistakes``, ``hesitant`` and ``samples``, and of the mistakes ``hard`` for all.
    """

    mistakes: list[Case]
    hesitant: list[Case]
    clear: list[Case]
    samples: dict[str, tuple[str, str]]
    counts: dict[str, int]

    @property
    def cases(self) -> list[Case]:
        """All cases; one may repeat."""
        return [*self.mistakes, *self.hesitant, *self.clear]

    @property
    def keys(self) -> list[str]:
        """The keys of all images, sorted."""
        return sorted({case.key for case in self.cases} | {key for key, _ in self.samples.values()})

    @property
    def maps(self) -> list[str]:
        """The files of their Grad-CAMs, sorted."""
        found = (one.heat_map for case in self.cases for one in case.predictions)
        return sorted(set(filter(None, found)))


def choose_gallery(predictions: Predictions, manifest: pd.DataFrame, explained: Mapping[str, Any]) -> Gallery:
    """Choose the page's images.

    Args:
        predictions: of validation and test.
        manifest: frame ``key, path, label, split``.
        explained: what stands in `reports/explain/index.json`.
    """
    cases = list_cases(predictions, manifest, explained)
    mistakes = [case for case in cases if case.n_wrong]
    mistakes.sort(key=lambda case: (not case.hard_for_all, -case.worst, case.key))
    hesitant = sorted(_explained(cases, explained, "hesitant"), key=lambda pair: min(pair[1]))
    # Of each class the case that is the clear hit of most methods.
    clear = sorted(_explained(cases, explained, "clear"), key=lambda pair: (pair[0].truth, -len(pair[1])))
    samples = choose_samples(manifest)
    counts = {"mistakes": len(mistakes), "hesitant": len(hesitant), "samples": len(samples)}
    return Gallery(
        mistakes[:MISTAKES],
        [case for case, _ in hesitant[:HESITANT]],
        [next(same)[0] for _, same in groupby(clear, lambda pair: pair[0].truth)][:CLEAR_HITS],
        dict(list(samples.items())[:SAMPLES]),
        counts | {"hard": sum(case.hard_for_all for case in mistakes)},
    )


def _explained(
    cases: Iterable[Case], explained: Mapping[str, Any], reason: str
) -> Iterator[tuple[Case, list[float]]]:
    """Yield the cases explained for a reason, and the scores of the methods with that reason."""
    reasons = {image["key"]: image["reasons"] for image in explained["images"]}
    for case in cases:
        whose = [method for method, why in reasons.get(case.key, {}).items() if why == reason]
        if whose:
            yield case, [one.score for one in case.predictions if one.method in whose]


def choose_samples(manifest: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Choose for each class the image of the smallest key, of train where it has one: class -> key, path."""
    rank = manifest["split"].map({"train": 0, "validation": 1, "test": 2})
    rows = manifest.assign(rank=rank).sort_values(["label", "rank", "key"]).drop_duplicates("label")
    return dict(zip(rows["label"], zip(rows["key"], rows["path"], strict=True), strict=True))
