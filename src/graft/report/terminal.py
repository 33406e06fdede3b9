"""A comparison as a table for people: with the seconds, which the comparison itself leaves out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from graft.report.costs import Timing, Value, notes_on_cache, show_seconds, split_seconds
from graft.report.words import Row, better_method, describe_noise, describe_seeds, percent


def print_comparison(comparison: Mapping[str, Any], timing: Timing, console: Console) -> None:
    """Print one row a method, the best of each column starred, then the tests and the seeds in words.

    Args:
        comparison: what `graft.evaluation.compare.compare` returned.
        timing: stage -> ``seconds`` and, for a training, ``seconds_preparation`` and
            ``seconds_training``; a stage may be missing.
        console: where to; 80 columns are enough.
    """
    rows, confidence = comparison["methods"], comparison["confidence"]
    console.print(build_table(rows, timing, confidence))
    for note in notes(rows, timing):
        console.print(Text(note))
    if comparison["pairs"]:
        console.print(Text("\nTest images that only one of two methods got right (McNemar, exact):"))
    for pair in comparison["pairs"]:
        _print_indented(describe_pair(pair, 1 - confidence), console)
    if any(row["n_seeds"] > 1 for row in rows):
        print_seeds(comparison, console)


def print_seeds(comparison: Mapping[str, Any], console: Console) -> None:
    """Print each method's accuracies over its seeds, and what differs by more than their noise."""
    console.print(Text("\nOver the seeds (mean ± sd of the test accuracy):"))
    for row in comparison["methods"]:
        _print_indented(describe_seeds(row, comparison["test_accuracy_by_seed"][row["method"]]), console)
    pairs = comparison["pairs"]
    known = [pair for pair in pairs if pair["exceeds_noise"] is not None]
    if known:
        level = f"{100 * comparison['confidence']:g} %"
        console.print(Text(f"Difference of the means in points, {level} interval (Welch, Bonferroni):"))
    for pair in known:
        _print_indented(describe_noise(pair), console)
    if len(known) < len(pairs):
        _print_indented("(pairs in which a method has one seed are left out)", console)


def _print_indented(line: str, console: Console) -> None:
    console.print(Padding(Text(line), (0, 0, 0, 2), expand=False))


def build_table(rows: Sequence[Row], timing: Timing, confidence: float) -> Table:
    """The table: one row a method; ``*`` marks the best of a column, ``-`` an unknown."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=0)
    interval = [f"{percent(row['test_accuracy_low'])}-{percent(row['test_accuracy_high'])}" for row in rows]
    columns: dict[str, list[str] | list[Text]] = {
        "method": [str(row["method"]) for row in rows],
        "test\n%": _mark([row["test_accuracy"] for row in rows], percent, max),
        f"{100 * confidence:g} %\ninterval": interval,
        "valid.\n%": _mark([row["validation_accuracy"] for row in rows], percent, max),
        "train.\nparams": _mark([row["trainable_params"] for row in rows], _millions, min),
        "all\nparams": _mark([row["total_params"] for row in rows], _millions, min),
        "model\nMB": _mark([row["model_bytes"] / 1e6 for row in rows], "{:.1f}".format, min),
        "images\nembed.": _mark([row["images_embedded"] for row in rows], "{:,}".format, min),
    }
    seconds = [split_seconds(row["method"], timing) for row in rows]
    columns["sec.\nprep."] = _mark([preparation for preparation, _ in seconds], show_seconds, min)
    columns["sec.\ntrain"] = _mark([training for _, training in seconds], show_seconds, min)
    for header in columns:
        table.add_column(header, justify="left" if header == "method" else "right", overflow="fold")
    for cells in zip(*columns.values(), strict=True):
        table.add_row(*cells)
    return table


def _mark(values: Sequence[Value], show: Callable[[float], str], best: Callable[..., float]) -> list[Text]:
    known = [value for value in values if value is not None]
    winner = best(known) if len(set(known)) > 1 else None
    return [
        Text("-")
        if value is None
        else Text("*" + show(value), style="bold green")
        if value == winner
        else Text(show(value))
        for value in values
    ]


def _millions(value: float) -> str:
    return f"{value / 1e6:.2f}M" if value < 1e7 else f"{value / 1e6:.1f}M"


def notes(rows: Sequence[Row], timing: Timing) -> Iterator[str]:
    """What one must know to read the table: the images, the backbone, the shared extraction."""
    yield f"{rows[0]['n_seen_test']:,} test images; * best of its column."
    backbones = {row["backbone"]: row for row in rows if row["backbone"] != "none"}
    for name, row in backbones.items():
        if row["pretrained"]:
            yield f"backbone {name}, weights {row['weights']}"
        else:
            yield (
                f"backbone {name} was NOT pre-trained (weights: {row['weights']}): this shows that "
                "the machinery works, not what transfer is worth"
            )
    yield from notes_on_cache(timing)


def describe_pair(pair: Row, significance: float) -> str:
    """A paired test in a line, judged by its Holm-adjusted p-value."""
    better = better_method(pair, significance)
    return (
        f"{pair['first']} vs {pair['second']}: {pair['n_first_only']} / {pair['n_second_only']}, "
        f"p = {pair['p_value']:.2g} (Holm {pair['p_value_holm']:.2g}): "
        f"{f'{better} is better' if better else 'no significant difference'}"
    )
