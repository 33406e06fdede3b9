"""The parameters of a run -> tables of its methods' hyper-parameters, and how its images were augmented."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from graft.config.features import Augmentation
from graft.data.augmentation import effective
from graft.report.provenance import show_value
from graft.report.tables import Cell, Column, Table

# What a reader looks for first; the other keys of a method's block are folded away.
FIRST = (
    *("teacher", "temperature", "alpha", "head", "pooling", "normalise", "C", "image_size", "color_mode"),
    *("members", "weights"),
    *("optimizer", "learning_rate", "batch_size", "epochs", "patience"),
)
NETWORK = "layers"  # a whole network, which is no cell of a table


def describe_training(facts: Mapping[str, Any], history: pd.DataFrame) -> dict[str, str]:
    """Describe what a training run took and chose: features that are not Keras's in float32, seeds, epochs,
    the strength of the penalty or the weights of the heads in a mean.

    Args:
        facts: of the predictions.
        history: one row an epoch or, of a method without epochs, each ``C`` that was tried.
    """
    found: dict[str, Any] = {"features in": facts.get("features"), "seeds": list(facts["seeds"])}
    found |= {"epochs run": facts["epochs"], "best epoch": facts["best_epoch"]}
    if "C" in history:
        found["best C"] = history.sort_values("val_loss", kind="stable")["C"].tolist()[0]
    if "members" in facts:
        found["mean of"] = {f"{m['method']}_{m['seed']}": round(m["weight"], 3) for m in facts["members"]}
    return {name: show_value(value) for name, value in found.items() if value is not None}


def tabulate_first(blocks: Mapping[str, Any], trained: Mapping[str, Mapping[str, str]]) -> Table:
    """One row a hyper-parameter, a column a method: those of `FIRST`, then what `describe_training` gave.

    Args:
        blocks: method -> its block of params.yaml.
        trained: method -> what `describe_training` gave for it.
    """
    rows = _select(blocks, trained, lambda key: key.partition(".")[0] in FIRST)
    for method, facts in trained.items():
        for name, value in facts.items():
            rows.setdefault(name, {})[method] = value
    return _tabulate(rows, trained)


def tabulate_others(blocks: Mapping[str, Any], methods: Mapping[str, Any]) -> Table:
    """Tabulate the rest of the blocks, as `tabulate_first` does."""
    known = (*FIRST, NETWORK, "seeds")
    return _tabulate(_select(blocks, methods, lambda key: key.partition(".")[0] not in known), methods)


def describe_networks(blocks: Mapping[str, Any], methods: Mapping[str, Any]) -> list[str]:
    """A sentence on the layers of each method that has them of its own."""
    own = {method: blocks[method][NETWORK] for method in methods if NETWORK in blocks[method]}
    return [f"{method} has the layers {show_value(layers)[1:-1]}." for method, layers in own.items()]


def describe_augmentation(spec: Augmentation) -> str:
    """Say what an augmentation does, as in params.yaml: `flip horizontal, rotation 0.05`, or `none`."""
    return ", ".join(f"{name} {value}" for name, value in effective(spec).items()) or "none"


def _select(blocks: Mapping[str, Any], methods: Mapping[str, Any], wanted: Any) -> dict[str, dict[str, str]]:
    """Key of a block, dotted -> method -> value as text."""
    rows: dict[str, dict[str, str]] = {}
    for method in methods:
        for key, value in _flatten(blocks[method]):
            if wanted(key):
                rows.setdefault(key, {})[method] = value
    return rows


def _flatten(block: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in block.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", "null" if value is None else show_value(value)


def _tabulate(rows: Mapping[str, Mapping[str, str]], methods: Mapping[str, Any]) -> Table:
    columns = [Column(method, [Cell(row.get(method, "")) for row in rows.values()]) for method in methods]
    return Table("", list(rows), columns)
