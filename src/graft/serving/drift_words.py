"""The numbers of `graft.serving.monitoring` -> sentences: what changed, how sure that is, and what to do."""

from collections.abc import Mapping
from typing import Any

from graft.report.words import percent

Row = Mapping[str, Any]
SEEN, SAID = ("components", "kernel"), ("classes", "confidence")
ADVICE = {
    "seen": "Look at some of the images that arrive: another camera, light, focus, cropping or subject?",
    "classes": "Its classes come in other proportions, or it takes one for another.",
    "label": "Only labels tell how accurate the model still is: label about 100 of them, and compare with "
    "the model's test accuracy; if it is lower, train on them as well.",
}


def summarise(drift: Mapping[str, Any]) -> str:
    """The verdict in one sentence."""
    changed = [row["name"] for row in drift["tests"] if row["changed"]]
    seen, said = ([name for name in changed if name in names] for names in (SEEN, SAID))
    if not changed:
        return "No drift was found: what differs from the reference is within chance."
    if not seen:
        tested = any(row["name"] in SEEN for row in drift["tests"])
        images = "the images themselves do not" if tested else "the images themselves could not be compared"
        return f"DRIFT: the model's answers differ from those on validation and test; {images}."
    answers = "and so do the model's answers" if said else "but the model's answers do not"
    return f"DRIFT: the images differ from those of training, {answers}."


def explain(drift: Mapping[str, Any]) -> list[str]:
    """A sentence on the images, on each test, on how sure all is, and on what to do."""
    sentences = [_count(drift), *(EXPLAIN[row["name"]](row, drift) for row in drift["tests"])]
    sentences.append(
        f"Were nothing changed, one of these {len(drift['tests'])} tests would say otherwise in at most "
        f"{100 * drift['alpha']:g} % of all logs (Holm)."
    )
    return [*sentences, *_advise(drift)]


def _count(drift: Row) -> str:
    n_images, n = drift["n_images"], drift["n_logged"]
    drawn = f", of which {drift['n_sampled']:,} were drawn," * (drift["n_sampled"] < n)
    return (
        f"{n:,} requests from {drift['first'][:16]} to {drift['last'][:16]} UTC{drawn} are {n_images:,} "
        "images."
    )


def _explain_components(row: Row, drift: Row) -> str:  # noqa: ARG001
    details = row["details"]
    share = (
        f"{details['components']} principal components of the features, {percent(details['variance'])} % of"
    )
    found = f"{details['changed']} of " if row["changed"] else ""
    verb = "changed" if row["changed"] else "as in training within chance"
    return f"{found}{share} the variance: {verb}; {_distance(row)}."


def _explain_kernel(row: Row, drift: Row) -> str:  # noqa: ARG001
    verb = "changed" if row["changed"] else "as in training within chance"
    return f"The features as a whole: {verb}; MMD² {row['statistic']:.4f}, {_p(row)}."


def _explain_classes(row: Row, drift: Row) -> str:
    most = max(drift["classes"], key=lambda each: abs(each["share"] - each["reference"]))
    verb = "changed" if row["changed"] else "as on validation and test within chance"
    return (
        f"The predicted classes: {verb}; most of all {most['label']!r}, {percent(most['share'])} % "
        f"({percent(most['low'])}-{percent(most['high'])}) instead of {percent(most['reference'])} %, "
        f"{_p(row)}."
    )


def _explain_confidence(row: Row, drift: Row) -> str:
    verb = "changed" if row["changed"] else "as on validation and test within chance"
    means = f"{percent(drift['confidence'])} % on average, there {percent(drift['reference_confidence'])} %"
    return f"The confidence, the highest score: {verb}; {means}; {_distance(row)}."


EXPLAIN = {
    "components": _explain_components,
    "kernel": _explain_kernel,
    "classes": _explain_classes,
    "confidence": _explain_confidence,
}


def _distance(row: Row) -> str:
    least = f"from {row['noticeable']:.2f} on it is always noticed"
    return f"largest distance {row['statistic']:.2f} of 1 ({least}), {_p(row)}"


def _p(row: Row) -> str:
    p = row["p_value_holm"]
    return "p < 0.0001" if p < 0.0001 else f"p = {p:.2g}"


def _advise(drift: Row) -> list[str]:
    changed = {row["name"] for row in drift["tests"] if row["changed"]}
    if not changed:
        return []
    advice = [ADVICE["seen"]] if changed & {*SEEN, "confidence"} else [ADVICE["classes"]]
    return [*advice, ADVICE["label"]]
