"""A file against the Keras model that it was made of: the same answers, or it does not count."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np

from graft.evaluation.compare import mcnemar
from graft.export.measure import Measured
from graft.training.decision import decide

SIGNIFICANT = 0.05  # p-value of McNemar's test, below which an accuracy is another


class Tolerance(NamedTuple):
    """The differences from Keras that a file may have.

    Attributes:
        difference: of any score.
        answers: share of the images whose answer may be another.
        reason: of these two.
    """

    difference: float
    answers: float
    reason: str


TOLERANCES = {
    "float32": Tolerance(1e-3, 0.0, "sums in another order: 1e-5 was seen, a broken graph is off by 0.1"),
    "float16": Tolerance(
        0.05, 0.02, "11 bits a weight: 0.02 was seen on 75 photos, 0.7 % other answers on 600"
    ),
    "int8": Tolerance(0.5, 0.05, "8 bits: 0.18 was seen on 75 photos, 2.3 % other answers on 600"),
}


def compare_to_keras(measured: Measured, keras: Measured, y_true: np.ndarray) -> dict[str, Any]:
    """Compare a file's scores with those of Keras, on the same images.

    Args:
        measured, keras: the file's and Keras's.
        y_true: (n,) class numbers.

    Returns:
        ``max_difference``, ``differing_answers`` (how many), ``n_images``, ``accuracy``, ``accuracy_keras``
        and ``p_value``.
    """
    answers, expected = decide(measured.scores), decide(keras.scores)
    right, right_keras = answers == y_true, expected == y_true
    difference = float(np.abs(measured.scores - keras.scores).max())
    return {
        "max_difference": difference if np.isfinite(difference) else None,
        "differing_answers": int((answers != expected).sum()),
        "n_images": len(y_true),
        "accuracy": float(right.mean()),
        "accuracy_keras": float(right_keras.mean()),
        "p_value": mcnemar(right, right_keras)["p_value"],
    }


def find_faults(compared: Mapping[str, Any], precision: str) -> list[str]:
    """List in words what is beyond the tolerance of a precision; nothing if all is well.

    One answer may differ on however few images; in float32 only where the difference leaves no doubt that
    the two best classes were equal, which the limit on it implies.

    >>> compared = {"max_difference": 0.2, "differing_answers": 0, "n_images": 9}
    >>> find_faults(compared | {"accuracy": 1.0, "accuracy_keras": 1.0, "p_value": 1.0}, "float32")
    ['a score differs by 0.2 (at most 0.001)']
    """
    limit, n = TOLERANCES[precision], compared["n_images"]
    difference, differing = compared["max_difference"], compared["differing_answers"]
    faults = []
    if difference is None:
        faults.append("a score is not a number")
    elif difference > limit.difference:
        faults.append(f"a score differs by {difference:.2g} (at most {limit.difference:g})")
    if differing > max(1, limit.answers * n):
        faults.append(f"{differing} of {n} answers differ (at most {limit.answers:.0%}, or one)")
    if compared["accuracy"] < compared["accuracy_keras"] and compared["p_value"] < SIGNIFICANT:
        ours, theirs = compared["accuracy"], compared["accuracy_keras"]
        faults.append(
            f"the accuracy is {ours:.1%}, not {theirs:.1%} (McNemar's p = {compared['p_value']:.2g})"
        )
    return faults


def list_versions(packages: tuple[str, ...]) -> dict[str, str]:
    """The installed versions of packages."""
    return {name: version(name) for name in packages}
