"""Predictions -> numbers with confidence intervals.

Every result is a pure function of the rows: they are sorted by key first, so neither their order
nor the shard they came from can change one byte.
"""

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, log_loss, precision_recall_fscore_support, roc_auc_score

from graft.data.manifest import class_names
from graft.evaluation.confusion import FEW, PAIRS, count_confusions, worst_classes
from graft.evaluation.imbalance import is_imbalanced
from graft.evaluation.predictions import labels_of, score_matrix
from graft.evaluation.seeds import summarise_seeds
from graft.training.decision import decide


def evaluate(
    predictions: pd.DataFrame, facts: Mapping[str, Any], manifest: pd.DataFrame, confidence: float, bins: int
) -> dict[str, Any]:
    """Measure one method on the validation and the test images.

    Args:
        predictions: frame ``key, split, y_true, seed, y_score.<label>...`` of validation and test.
        facts: of the training run: ``n_seen_train``, ``method`` and ``seeds`` are used.
        manifest: frame ``key, path, label, split``.
        confidence: of the accuracy's interval, in (0, 1).
        bins: of the expected calibration error, at least 1.

    Returns:
        ``test`` and ``validation`` (see `measure_split`; ``per_class`` of the `worst_classes`), which are of
        the first seed, and where the manifest `is_imbalanced` have ``balanced_accuracy``, the mean recall of
        all classes; ``n_seen`` for each split; ``seeds`` (see `graft.evaluation.seeds.summarise_seeds`);
        ``confidence``, ``classes`` in class order and ``facts``.

    Raises:
        ValueError: if the predictions of a seed are not of exactly the manifest's images, labels and
            classes, or a split lacks a class.
    """
    n_seen = check_predictions(predictions, facts, manifest)
    measured = {}
    for seed in facts["seeds"]:
        rows = predictions[predictions["seed"] == seed]
        parts = {split: rows[rows["split"] == split] for split in ("test", "validation")}
        measured[seed] = {split: measure_split(part, confidence, bins) for split, part in parts.items()}
    first = measured[facts["seeds"][0]]
    if is_imbalanced(manifest):
        for one in first.values():
            one["balanced_accuracy"] = mean(row["recall"] for row in one["per_class"])
    return {
        **{split: one | {"per_class": worst_classes(one["per_class"])} for split, one in first.items()},
        "n_seen": n_seen,
        "seeds": summarise_seeds(measured),
        "confidence": confidence,
        "classes": class_names(manifest),
        "facts": dict(facts),
    }


def check_predictions(
    predictions: pd.DataFrame, facts: Mapping[str, Any], manifest: pd.DataFrame
) -> dict[str, int]:
    """Check that the predictions of each seed are of exactly the manifest's images.

    Returns:
        The number of images that each seed saw of each split: train, validation, test.

    Raises:
        ValueError: naming everything that differs.
    """
    problems, seeds = [], sorted(set(predictions["seed"]))
    if seeds != sorted(facts["seeds"]):
        problems.append(f"seeds={seeds}, expected {sorted(facts['seeds'])}")
    for seed in facts["seeds"]:
        rows = predictions[predictions["seed"] == seed]
        n_seen = {"train": int(facts["n_seen_train"])}
        n_seen |= {split: int((rows["split"] == split).sum()) for split in ("validation", "test")}
        found = _differing_rows(rows, manifest)
        for split, n in n_seen.items():
            expected = int((manifest["split"] == split).sum())
            found += [f"n_seen.{split}={n}, expected {expected}"] * (n != expected)
        problems += [f"seed={seed}: {problem}" for problem in found]
    classes = labels_of(predictions)
    if classes != class_names(manifest):
        problems.append(f"classes={classes}, expected {class_names(manifest)}")
    if problems:
        raise ValueError(
            f"the predictions of method={facts.get('method')} do not match the manifest: "
            f"{'; '.join(problems)}. Run `dvc repro` to make both again."
        )
    return n_seen


def _differing_rows(predictions: pd.DataFrame, manifest: pd.DataFrame) -> list[str]:
    rows = manifest[manifest["split"] != "train"]
    keys, known = predictions["key"], predictions["key"].isin(rows["key"])
    expected = rows.drop_duplicates("key").set_index("key").reindex(keys).set_axis(keys.index)
    differs = {
        "repeated keys": keys[keys.duplicated()],
        "keys missing": rows.loc[~rows["key"].isin(keys), "key"],
        "keys that are no validation or test image": keys[~known],
        "keys of another split": keys[known & (expected["split"] != predictions["split"])],
        "keys whose y_true is another label": keys[known & (expected["label"] != predictions["y_true"])],
    }
    return [f"{len(found)} {what}, e.g. key={min(found)}" for what, found in differs.items() if len(found)]


def predict_labels(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The (n,) labels predicted for prediction rows, in their order, and the (n,) float64 scores of these."""
    scores, classes = score_matrix(rows)
    decided = decide(scores)
    return np.array(classes, dtype=object)[decided], scores[np.arange(len(scores)), decided]


def decode_rows(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Turn prediction rows, sorted by key, into arrays.

    Returns:
        (n,) true class numbers, (n, n_classes) float64 scores and the labels in class order.

    Raises:
        ValueError: if a class has no row, or the scores are not probabilities.
    """
    rows = rows.sort_values("key")
    scores, classes = score_matrix(rows)
    _check_probabilities(scores)
    absent = sorted(set(classes) - set(rows["y_true"]))
    if absent:
        raise ValueError(
            f"expected an image of every class in each split, received none of {absent} among "
            f"{len(rows)} rows; give the split a larger share in params.yaml"
        )
    truth = rows["y_true"].map({label: number for number, label in enumerate(classes)})
    return truth.to_numpy(np.intp), scores, classes


def _check_probabilities(scores: np.ndarray) -> None:
    sums = scores.sum(axis=1)
    if not (((scores >= 0) & (scores <= 1)).all() and np.allclose(sums, 1, atol=1e-3)):
        raise ValueError(
            f"scores must lie in [0, 1] and sum to 1 in each row, received min={scores.min():g}, "
            f"max={scores.max():g}, sums={sums.min():g}..{sums.max():g}; end the model in sigmoid or softmax"
        )


def measure_split(rows: pd.DataFrame, confidence: float, bins: int) -> dict[str, Any]:
    """Measure the predictions of one split.

    Returns:
        ``accuracy`` (top-1) with its Wilson interval ``accuracy_low``, ``accuracy_high``;
        ``log_loss`` (nats); ``roc_auc`` (two classes: of class 1; more: one-vs-rest, macro);
        ``ece``; ``per_class``, a list of label, precision, recall, f1 and support; and of at most
        `FEW` classes ``confusion_matrix`` (rows true, columns predicted, in class order), of more
        ``most_confused`` (the first `PAIRS` rows of `count_confusions`). Precision is 0 for a class
        that was never predicted.
    """
    truth, scores, classes = decode_rows(rows)
    decided = decide(scores)
    probabilities = scores / scores.sum(axis=1, keepdims=True)  # as float32 they sum to 1 only almost
    labels = range(len(classes))
    n_right = int((decided == truth).sum())
    interval = binomtest(n_right, len(truth)).proportion_ci(confidence, method="wilson")
    table = precision_recall_fscore_support(truth, decided, labels=labels, zero_division=0.0)
    quantities = dict(zip(("precision", "recall", "f1", "support"), table, strict=True))
    per_class = pd.DataFrame(quantities, index=classes)
    return {
        "accuracy": n_right / len(truth),
        "accuracy_low": float(interval.low),
        "accuracy_high": float(interval.high),
        "log_loss": float(log_loss(truth, probabilities, labels=labels)),
        "roc_auc": measure_roc_auc(truth, scores),
        "ece": calibration_error(scores[np.arange(len(truth)), decided], decided == truth, bins),
        "per_class": per_class.reset_index(names="label").to_dict("records"),
        **_confusions(truth, decided, classes),
    }


def _confusions(truth: np.ndarray, decided: np.ndarray, classes: Sequence[str]) -> dict[str, Any]:
    """The entry of `measure_split` on classes taken for each other, from class numbers."""
    if len(classes) <= FEW:
        return {"confusion_matrix": confusion_matrix(truth, decided, labels=range(len(classes))).tolist()}
    names = np.array(classes, dtype=object)
    return {"most_confused": count_confusions(names[truth], names[decided])[:PAIRS].to_dict("records")}


def measure_roc_auc(truth: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve: of class 1 for two classes, else the mean of one-vs-rest.

    Of more than `FEW` classes it is counted in pairs (Mann and Whitney 1947): the same but for rounding, and
    ten times as fast.
    """
    if scores.shape[1] > FEW:
        return float(np.mean([_count_area(truth == n, scores[:, n]) for n in positive_classes(scores)]))
    return float(np.mean([roc_auc_score(truth == n, scores[:, n]) for n in positive_classes(scores)]))


def _count_area(own: np.ndarray, scores: np.ndarray) -> float:
    """The share of pairs of an own and another image in which the own one scores higher; ties count half."""
    others, mine = np.sort(scores[~own]), scores[own]
    below, up_to = (np.searchsorted(others, mine, side) for side in ("left", "right"))
    return float((below + up_to).sum() / (2 * len(mine) * len(others)))


def positive_classes(scores: np.ndarray) -> list[int]:
    """The classes that have a ROC curve: class 1 of two, else each against the rest."""
    return [1] if scores.shape[1] == 2 else list(range(scores.shape[1]))


def calibration_error(confidences: np.ndarray, right: np.ndarray, bins: int) -> float:
    """Expected calibration error of the predicted class (Guo et al. 2017, arXiv 1706.04599).

    Args:
        confidences: (n,) scores of the predicted classes, in [0, 1].
        right: (n,) bool, whether the prediction was right.
        bins: number of equal-width bins, see `calibration_bins`.

    Returns:
        The mean over images of their bin's |accuracy - mean confidence|, in [0, 1].

    Examples:
        >>> calibration_error(np.array([0.75, 1.0]), np.array([False, True]), bins=2)
        0.375
    """
    index = calibration_bins(confidences, bins)
    return float(np.abs(np.bincount(index, weights=right - confidences)).sum() / len(right))


def calibration_bins(confidences: np.ndarray, bins: int) -> np.ndarray:
    """The (n,) numbers of the bins that confidences fall into; bin m is (m / bins, (m + 1) / bins].

    Examples:
        >>> calibration_bins(np.array([0.0, 0.5, 0.51, 1.0]), bins=2).tolist()
        [0, 0, 1, 1]
    """
    index: np.ndarray = np.clip(np.ceil(confidences * bins).astype(np.intp) - 1, 0, bins - 1)
    return index
