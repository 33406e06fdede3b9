"""The parameters of a run -> tables of its methods' hyper-parameters, and how its images were augmented."""

from collections.abc import Iterator, Mapping
from typing import Any

from graft.config.features import Augmentation
from graft.data.augmentation import effective
from graft.report.provenance import show_value
from graft.report.tables import Cell, Column, Table

# What a reader looks for first; the other keys of a method's block are folded away.
FIRST = (
    *("head", "pooling", "normalise", "C", "image_size", "color_mode"),
    *("optimizer", "learning_rate", "batch_size", "patience"),
)
NETWORK = "layers"  # a whole network, which is no cell of a table


def tabulate_first(
    blocks: Mapping[str, Any], comparison: Mapping[str, Any], seeds: Mapping[str, Any]
) -> Table:
    """One row a hyper-parameter, a column a method: those of `FIRST`, then the epochs and the seeds.

    Args:
        blocks: method -> its block of params.yaml.
        comparison: what `graft.evaluation.compare.compare` gave: whose methods, and their epochs.
        seeds: method -> the seeds that it was trained with.
    """
    methods = {row["method"]: row for row in comparison["methods"]}
    rows = _select(blocks, methods, lambda key: key.partition(".")[0] in FIRST)
    facts = {
        "seeds": {method: ", ".join(map(str, seeds[method])) for method in methods},
        "epochs": {method: blocks[method].get("epochs") for method in methods},
        "epochs run": {method: row["epochs"] for method, row in methods.items()},
        "best epoch": {method: row["best_epoch"] for method, row in methods.items()},
    }
    shown = {
        name: {m: value for m, value in values.items() if value is not None} for name, values in facts.items()
    }
    return _tabulate(rows | shown, methods)


def tabulate_others(blocks: Mapping[str, Any], methods: Mapping[str, Any]) -> Table:
    """As `tabulate_first`: the rest of the blocks."""
    known = (*FIRST, NETWORK, "epochs", "seeds")
    return _tabulate(_select(blocks, methods, lambda key: key.partition(".")[0] not in known), methods)


def describe_networks(blocks: Mapping[str, Any], methods: Mapping[str, Any]) -> list[str]:
    """A sentence on the layers of each method that has them of its own."""
    own = {method: blocks[method][NETWORK] for method in methods if NETWORK in blocks[method]}
    return [f"{method} has the layers {show_value(layers)[1:-1]}." for method, layers in own.items()]


def describe_augmentation(spec: Augmentation) -> str:
    """What an augmentation does, as in params.yaml: `flip horizontal, rotation 0.05`, or `none`."""
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


def _tabulate(rows: Mapping[str, Mapping[str, Any]], methods: Mapping[str, Any]) -> Table:
    rows = {name: values for name, values in rows.items() if values}
    columns = [
        Column(method, [Cell(str(row.get(method, ""))) for row in rows.values()]) for method in methods
    ]
    return Table("", list(rows), columns)
