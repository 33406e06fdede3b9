"""results.json -> the results in docs/performance.md, between two marks."""

from typing import Any

BEGIN = "<!-- from benchmarks/results.json; `make bench` writes it -->"
END = "<!-- end -->"


def insert(page: str, results: dict[str, Any]) -> str:
    """The page with the results between its marks.

    Raises:
        ValueError: if the page has no such marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"docs/performance.md has no marks: expected {BEGIN} and {END}; put them back")
    return f"{before}{BEGIN}\n{render(results)}\n{END}{after}"


def render(results: dict[str, Any]) -> str:
    """Machine, table, memory and start-up, and the notes, as Markdown."""
    rows = results["rows"].values()
    run = [row for row in rows if "ratio" in row]
    notes = [f"- {row['title']}: {text}." for row in rows if (text := _remarks(row))]
    return "\n".join(
        [
            _machine(results),
            "",
            "| | bar | ratio, median (min-max) | plain | ours | |",
            "|---|---|---|---|---|---|",
            *[_table_row(row) for row in rows],
            "",
            *notes,
            "",
            "Peak memory and start-up (imports, building the backbone, one batch to warm up), which the "
            "figures above leave out:",
            "",
            "| | peak RSS, plain | ours | start-up, plain | ours |",
            "|---|---|---|---|---|",
            *[_cost_row(row) for row in run],
        ]
    )


def _machine(results: dict[str, Any]) -> str:
    machine, scale = results["machine"], results["scale"]
    commits = ", ".join(sorted({row["commit"] for row in results["rows"].values()}))
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory'] / 2**30:.0f} GiB, "
        f"{machine['system']}; {', '.join(machine['flags']) or 'no vector instructions known'}. "
        f"Python {machine['python']}, TensorFlow {machine['tensorflow']}, Keras {machine['keras']}, "
        f"graft {machine['graft']} ({commits}). {scale['source']}; VGG19 at "
        f"{scale['size']} x {scale['size']} with random weights; rounds: {scale['rounds']}."
    )


def _table_row(row: dict[str, Any]) -> str:
    bar = _times(row["bar"])
    if "not_run" in row:
        return f"| {row['title']} | >= {bar} | - | - | - | not run |"
    ratio, unit = row["ratio"], row["unit"]
    spread = f"{_times(ratio['median'])} ({ratio['min']:.3g}-{ratio['max']:.3g})"
    sides = [_figures(row[side]["figures"], unit) for side in ("plain", "ours")]
    verdict = "met" if row["met"] else "**missed**"
    return f"| {row['title']} | >= {bar} | {spread} | {' | '.join(sides)} | {verdict} |"


def _cost_row(row: dict[str, Any]) -> str:
    sides = row["plain"], row["ours"]
    memory = [f"{side['peak_rss'] / 1e6:,.0f} MB" for side in sides]
    startup = [f"{side['startup_seconds']:.1f} s" for side in sides]
    return f"| {row['title']} | {' | '.join(memory + startup)} |"


def _remarks(row: dict[str, Any]) -> str:
    if "not_run" in row:
        return f"not run, {row['not_run']}"
    missed = [] if row["met"] else [f"missed: {row['reason']}"]
    return "; ".join(missed + ([row["note"]] if row["note"] else []))


def _times(ratio: float) -> str:
    return f"{ratio:.3g} x"


def _figures(figures: list[float], unit: str) -> str:
    """One figure, or each round's."""
    distinct = figures[:1] if len(set(figures)) == 1 else figures
    return f"{', '.join(f'{figure:,.4g}' for figure in distinct)} {unit}"
