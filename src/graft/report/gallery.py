"""Which pictures the page shows: what each method answered, who was wrong, where they looked."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from graft.explain.selection import read_answers

# How many pictures of each kind stand in the page, so that it stays below 5 MB.
MISTAKES, HESITANT, CLEAR, SAMPLES = 60, 16, 20, 60

Predictions = Mapping[str, tuple[pd.DataFrame, Mapping[str, Any]]]


class Look(NamedTuple):
    """A Grad-CAM: its file below `reports/explain`, and the class it explains with the model's score."""

    file: str
    label: str
    score: float


class Answer(NamedTuple):
    """What one method said of one image.

    Attributes:
        method: its name.
        label: the class it decided on, by the model of the first seed.
        score: of that class, in [0, 1].
        right: whether that is the truth.
        n_wrong: how many of its seeds are wrong.
        n_seeds: how many it has.
        look: where it looked; None where that was not explained.
    """

    method: str
    label: str
    score: float
    right: bool
    n_wrong: int
    n_seeds: int
    look: Look | None


class Case(NamedTuple):
    """A test image and what each method said of it."""

    key: str
    path: str
    truth: str
    answers: tuple[Answer, ...]

    @property
    def n_wrong(self) -> int:
        """How many methods are wrong."""
        return sum(not answer.right for answer in self.answers)

    @property
    def hard_for_all(self) -> bool:
        """Whether every method is wrong."""
        return self.n_wrong == len(self.answers)

    @property
    def worst(self) -> float:
        """The highest score of a wrong answer; 0 without one."""
        return max((answer.score for answer in self.answers if not answer.right), default=0.0)


def list_cases(predictions: Predictions, manifest: pd.DataFrame, explained: Mapping[str, Any]) -> list[Case]:
    """Every test image with the methods' answers, sorted by key.

    Args:
        predictions: method -> frame and facts.
        manifest: frame ``key, path, label, split``.
        explained: what stands in `reports/explain/index.json`.
    """
    looks = {
        (image["key"], method): Look(one["file"], one["class"], one["score"])
        for image in explained["images"]
        for method, one in image["maps"].items()
    }
    answers = {method: _answers(frame, facts["seeds"]) for method, (frame, facts) in predictions.items()}
    test = manifest[manifest["split"] == "test"].sort_values("key")
    return [
        Case(key, path, label, tuple(_answer(key, label, m, answers[m], looks) for m in answers))
        for key, path, label in zip(test["key"], test["path"], test["label"], strict=True)
    ]


def _answers(frame: pd.DataFrame, seeds: Sequence[int]) -> dict[Any, dict[Any, Any]]:
    """Per test key, ``answer`` and ``confidence`` of the first seed, ``n_wrong`` of all and ``n_seeds``."""
    test = read_answers(frame)
    wrong = (test["answer"] != test["y_true"]).groupby(test["key"]).sum()
    first = test[test["seed"] == seeds[0]].set_index("key")
    return first.assign(n_wrong=wrong, n_seeds=len(seeds)).to_dict("index")


def _answer(
    key: str, truth: str, method: str, answers: Mapping[str, Any], looks: Mapping[tuple[str, str], Look]
) -> Answer:
    said = answers[key]
    label, score = said["answer"], float(said["confidence"])
    look = looks.get((key, method))
    return Answer(method, label, score, label == truth, int(said["n_wrong"]), int(said["n_seeds"]), look)


class Gallery(NamedTuple):
    """The pictures of the page, and how many there would be.

    Attributes:
        mistakes: the cases that some method got wrong: those wrong by all first, then by the confidence
            of the wrong answer.
        hesitant: hits, the least confident first.
        clear: a confident hit of each class, in class order.
        samples: class -> key and path of an image, of train where it has one.
        n_mistakes: how many cases some method got wrong.
        n_hard: how many of them all methods got wrong.
        n_hesitant: how many hesitant hits were explained.
        n_classes: how many classes there are.
    """

    mistakes: list[Case]
    hesitant: list[Case]
    clear: list[Case]
    samples: dict[str, tuple[str, str]]
    n_mistakes: int
    n_hard: int
    n_hesitant: int
    n_classes: int

    @property
    def cases(self) -> list[Case]:
        """All cases; one may repeat."""
        return [*self.mistakes, *self.hesitant, *self.clear]

    @property
    def keys(self) -> list[str]:
        """The keys of all pictures, sorted."""
        return sorted({case.key for case in self.cases} | {key for key, _ in self.samples.values()})

    @property
    def maps(self) -> list[str]:
        """The files of their Grad-CAMs, sorted."""
        looks = (answer.look for case in self.cases for answer in case.answers)
        return sorted({look.file for look in looks if look})


def choose_gallery(predictions: Predictions, manifest: pd.DataFrame, explained: Mapping[str, Any]) -> Gallery:
    """Choose the page's pictures.

    Args:
        predictions: method -> frame and facts.
        manifest: frame ``key, path, label, split``.
        explained: what stands in `reports/explain/index.json`.
    """
    cases = list_cases(predictions, manifest, explained)
    mistakes = [case for case in cases if case.n_wrong]
    mistakes.sort(key=lambda case: (not case.hard_for_all, -case.worst, case.key))
    hesitant = [case for case, _ in _explained(cases, explained, "hesitant")]
    samples = choose_samples(manifest)
    return Gallery(
        mistakes[:MISTAKES],
        hesitant[:HESITANT],
        _clearest(_explained(cases, explained, "clear"))[:CLEAR],
        dict(list(samples.items())[:SAMPLES]),
        len(mistakes),
        sum(case.hard_for_all for case in mistakes),
        len(hesitant),
        len(samples),
    )


def _explained(
    cases: Iterable[Case], explained: Mapping[str, Any], reason: str
) -> list[tuple[Case, list[str]]]:
    """The cases that were explained for a reason and the methods it is of, the least confident first."""
    by_key = {case.key: case for case in cases}
    chosen = [
        (by_key[image["key"]], [method for method, why in image["reasons"].items() if why == reason])
        for image in explained["images"]
        if reason in image["reasons"].values()
    ]
    return sorted(chosen, key=lambda pair: (_least(*pair), pair[0].key))


def _least(case: Case, methods: Sequence[str]) -> float:
    return min(answer.score for answer in case.answers if answer.method in methods)


def _clearest(chosen: Iterable[tuple[Case, list[str]]]) -> list[Case]:
    """Of each class the case that is the clear hit of most methods."""
    best: dict[str, Case] = {}
    for case, _ in sorted(chosen, key=lambda pair: (pair[0].truth, -len(pair[1]), pair[0].key)):
        best.setdefault(case.truth, case)
    return list(best.values())


def choose_samples(manifest: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Class -> key and path of one of its images, of train where it has one: of the smallest key."""
    rank = manifest["split"].map({"train": 0, "validation": 1, "test": 2})
    rows = manifest.assign(rank=rank).sort_values(["label", "rank", "key"]).drop_duplicates("label")
    return dict(zip(rows["label"], zip(rows["key"], rows["path"], strict=True), strict=True))
