"""`graft monitor`: do the images that a server gets still look like those that the model was trained on?"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graft.cli.repository import Root, fail

if TYPE_CHECKING:
    from graft.serving.reference import Reference

DRIFT = 3  # 1 is an error, and 2 a wrong option, as typer and the shell have it
AGO = re.compile(r"(\d{1,6})([mhd])")
UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def parse_since(text: str) -> datetime:
    """Read a time, ISO 8601 (without a zone: local), or how long ago it was: ``30m``, ``24h``, ``7d``.

    Raises:
        typer.BadParameter: if it is neither.
    """
    try:
        if ago := AGO.fullmatch(text):
            return datetime.now().astimezone() - timedelta(**{UNITS[ago[2]]: int(ago[1])})
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"expected 30m, 24h, 7d or 2026-11-28T09:00, received {text!r}") from None


def monitor(
    folder: Annotated[Path, typer.Argument(help="The folder that a server logs its requests to.")],
    root: Root = Path(),
    method: Annotated[str | None, typer.Option(help="Of the model; else that of the newest request.")] = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            parser=parse_since, metavar="TIME", help="Leave out what came before: 24h, 7d, 2026-11-28."
        ),
    ] = None,
    alpha: Annotated[
        float, typer.Option(min=0.005, max=0.5, help="Probability of a false alarm, over all tests.")
    ] = 0.05,
    json: Annotated[Path | None, typer.Option(help="Write all numbers to this file.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of samples and permutations.")] = 0,
) -> None:
    """Compare logged requests with what the model was trained and measured on.

    Exits with 0 if there is no drift, 3 if there is, 1 if they cannot be compared, 2 on wrong usage.
    """
    from graft.serving.drift_words import explain, summarise
    from graft.serving.logged import newest_card, read_log
    from graft.serving.monitoring import LIMIT, measure_drift
    from graft.serving.reference import read_reference

    try:
        logged_card = newest_card(folder)
        name = method or logged_card["method"]
        reference = read_reference(root, name)
        logged = read_log(folder, reference.card, since, LIMIT, seed)
        if not logged.n_found and logged.n_others:
            fail(_explain_refusal(name, reference, logged_card))
        drift = {"method": name, **measure_drift(reference, logged, alpha, seed)}
    except (OSError, ValueError, KeyError) as error:
        fail(f"{error.args[0] if isinstance(error, KeyError) else error}")
    notes = [reference.lacking, *_describe_rest(logged.n_others, logged.n_unreadable)]
    drift |= {"verdict": summarise(drift), "sentences": [*explain(drift), *filter(None, notes)]}
    _write(drift, root, json)
    typer.echo("\n  ".join([drift["verdict"], *drift["sentences"]]))
    if drift["drift"]:
        raise typer.Exit(DRIFT)


def _explain_refusal(method: str, reference: "Reference", logged: Mapping[str, Any]) -> str:
    differing = [name for name, value in reference.card.items() if logged.get(name) != value]
    return (
        f"the log is of another model than models/{method}/model.keras: they differ in "
        f"{', '.join(differing)}; go to the commit of that model, or log with this one"
    )


def _describe_rest(n_others: int, n_unreadable: int) -> list[str]:
    others = [f"{n_others:,} requests are of other models, and left out."] if n_others else []
    return others + ([f"{n_unreadable:,} files cannot be read, and are left out."] if n_unreadable else [])


def _write(drift: Mapping[str, Any], root: Path, json: Path | None) -> None:
    from graft.config.paths import MONITORING, PREDICTIONS
    from graft.utils.belonging import write_values
    from graft.utils.files import write_json

    try:
        write_values(
            root, MONITORING / f"{drift['method']}.json", drift, [PREDICTIONS / f"{drift['method']}.parquet"]
        )
        if json:
            write_json(drift, json)
    except OSError as error:
        fail(f"the numbers cannot be written: {error}")
