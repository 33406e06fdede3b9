"""The gains of test-time views and of a temperature -> tables and sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

from graft.report.costs import Timing, with_unit
from graft.report.tables import Best, Cell, Column, Show, Table, mark
from graft.report.words import describe_test, percent

Row = Mapping[str, Any]


def tabulate_views(tta: Row) -> Table:
    """One row a method: accuracies and log loss of the plain images, and with views.

    Args:
        tta: what `graft.evaluation.views.compare_views` gave.
    """
    rows = tta["methods"]

    def compare(split: str, name: str, headers: tuple[str, str], show: Show, best: Best) -> list[Column]:
        pairs = [(row["plain"][split][name], row["views"][split][name]) for row in rows]
        return _columns(pairs, (headers, ("with views", "with\nviews")), show, best)

    ends = [[percent(row["views"]["test"][f"accuracy_{end}"]) for end in ("low", "high")] for row in rows]
    columns = [
        *compare("validation", "accuracy", ("validation accuracy, %", "valid.\n%"), percent, max),
        *compare("test", "accuracy", ("test accuracy, %", "test\n%"), percent, max),
        Column("its interval", [Cell("-".join(each)) for each in ends], "its\ninterval"),
        *compare("test", "log_loss", ("test log loss, nats", "log\nloss"), "{:.3f}".format, min),
    ]
    return Table("method", [row["method"] for row in rows], columns)


def describe_views(tta: Row, confidence: float, timing: Timing) -> list[str]:
    """Say what the views cost, then a sentence on each method's test of views against none."""
    seconds = timing.get("tta", {}).get("seconds")
    took = f"; {with_unit(seconds)} for all methods' validation and test images" if seconds else ""
    cost = f"With views, a prediction runs {1 + tta['tta']} images through the model in place of 1{took}."
    return [cost, *(describe_test(row, 1 - confidence) for row in tta["methods"])]


def tabulate_calibration(metrics: Mapping[str, Row]) -> Table | None:
    """One row a calibrated method: log loss and calibration error before its temperature, and after."""
    calibrated = {method: one for method, one in metrics.items() if "calibration" in one}
    if not calibrated:
        return None

    def compare(split: str, name: str, header: str, show: Show) -> list[Column]:
        pairs = [(one["calibration"][split][name], one[split][name]) for one in calibrated.values()]
        return _columns(pairs, ((f"{split} {header}, before", ""), ("after", "")), show, min)

    temperatures = [Cell(f"{one['calibration']['temperature']:.2f}") for one in calibrated.values()]
    columns = [Column("temperature", temperatures)]
    for split in ("validation", "test"):
        columns += compare(split, "log_loss", "log loss", "{:.3f}".format)
        columns += compare(split, "ece", "calibration error, %", percent)
    return Table("method", list(calibrated), columns)


def _columns(
    pairs: Sequence[tuple[float, float]], headers: tuple[tuple[str, str], ...], show: Show, best: Best
) -> list[Column]:
    """Two columns beside each other, of which the better of each row is marked."""
    columns = zip(*(mark(pair, show, best) for pair in pairs), strict=True)
    return [Column(header, cells, short) for cells, (header, short) in zip(columns, headers, strict=True)]
