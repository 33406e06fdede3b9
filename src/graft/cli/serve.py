"""`graft serve`: a model over HTTP."""

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graft.cli.repository import Root, fail

if TYPE_CHECKING:
    from collections.abc import Callable

    from graft.serving.server.batching import Lanes
    from graft.serving.server.service import Loaded

MISSING = "{name} is not installed, which `graft serve` needs: pip install 'graft[serve]'"


class Runtime(StrEnum):
    """The program that runs the model."""

    ONNX = "onnx"
    LITERT = "litert"
    OPENVINO = "openvino"
    KERAS = "keras"


def serve(
    method: Annotated[str | None, typer.Argument(help="The method whose model is served.")] = None,
    model: Annotated[Path | None, typer.Option(help="A model file, in place of a method's.")] = None,
    runtime: Annotated[Runtime | None, typer.Option(help="By default the fastest that passed.")] = None,
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0: all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one.")] = 8000,
    api_key: Annotated[
        str | None, typer.Option(envvar="GRAFT_API_KEY", help="Clients must send it; others see it in `ps`.")
    ] = None,
    cors: Annotated[
        list[str] | None, typer.Option(help="An origin whose pages may call; repeatable.")
    ] = None,
    max_bytes: Annotated[int, typer.Option(min=1, help="Of a request's body.")] = 20_971_520,
    max_pixels: Annotated[int, typer.Option(min=1, help="Of an image.")] = 50_000_000,
    queue: Annotated[int, typer.Option(min=1, help="Images in work at once.")] = 256,
    timeout: Annotated[
        float, typer.Option(min=0.1, max=86_400, help="Seconds for a body, and for its answer.")
    ] = 30,
    log: Annotated[Path | None, typer.Option(help="A folder to keep features and scores in.")] = None,
    log_bytes: Annotated[int, typer.Option(min=1_000_000, help="Of that folder.")] = 1_000_000_000,
    threads: Annotated[int | None, typer.Option(min=1, help="Of the runtime.")] = None,
    root: Root = Path(),
) -> None:
    """Serve a model over HTTP: an API, a page to try it, metrics. SIGTERM and Ctrl-C finish what runs."""
    try:
        from graft.serving.server.app import Settings
        from graft.serving.server.limits import Limits
        from graft.serving.server.run import Server, listen, run
    except ModuleNotFoundError as error:
        fail(MISSING.format(name=error.name))
    limits = Limits(
        max_bytes=max_bytes, max_pixels=max_pixels, max_files=min(64, queue), queue=queue, timeout=timeout
    )
    try:
        if api_key is not None and (not api_key or api_key.strip() != api_key):
            raise ValueError("expected an API key that a header can hold, without blanks around it")
        file, said = _choose(method, model, runtime, root)
        server = Server(
            _loader(file, said, log, log_bytes, threads), Settings(limits, api_key, tuple(cors or ()))
        )
        with listen(host, port) as listening:
            address, number = listening.getsockname()[:2]
            name = f"[{address}]" if ":" in address else address
            typer.echo(f"{file} ({said}) on http://{name}:{number}, its interface on /docs", err=True)
            run(server, listening)
    except (OSError, ValueError, ImportError) as error:
        fail(f"cannot serve: {error}")
    typer.echo("stopped", err=True)


def _choose(method: str | None, model: Path | None, runtime: str | None, root: Path) -> tuple[Path, str]:
    """The file to serve, and what it is."""
    from graft.config.paths import MODELS
    from graft.export.registry import format_of
    from graft.methods.registry import METHODS
    from graft.serving.runtimes import choose

    if (method is None) == (model is None):
        raise ValueError(f"expected a method ({', '.join(METHODS)}) or --model FILE")
    if model is None:
        if method not in METHODS:
            raise ValueError(f"expected a method of {', '.join(METHODS)}, received {method=}")
        return choose(root / MODELS / method, runtime)
    known = format_of(model)
    if runtime not in (None, known.name):
        raise ValueError(f"{model} is for the runtime {known.name}, received {runtime=!s}")
    known.load()
    return model, known.name


def _loader(
    file: Path, said: str, log: Path | None, log_bytes: int, threads: int | None
) -> "Callable[[], Loaded]":
    """A function that loads the model, and all that needs it."""
    from graft.serving.server.service import Loaded

    def load() -> Loaded:
        from graft.serving.classifier import load as load_classifier

        classifier, explain, kept = load_classifier(file, threads), None, None
        if file.suffix == ".keras":
            from graft.serving.server.heat import open_explainer

            explain = open_explainer(file)
        if log:
            from graft.serving.request_log import RequestLog

            kept = RequestLog(log, classifier.card, log_bytes)
        return Loaded(classifier, said, explain, kept, _lanes(file, threads))

    return load


def _lanes(file: Path, threads: int | None) -> "Lanes | None":
    """The runtime for many clients, where it can be called by several threads: one core each."""
    from graft.export.registry import format_of
    from graft.serving.classifier import load
    from graft.serving.server.batching import Lanes

    number = threads or os.cpu_count() or 1
    return Lanes(load(file, 1).session, number) if format_of(file).concurrent and number > 1 else None
