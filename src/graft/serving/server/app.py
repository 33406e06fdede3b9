"""The application: a service, its routes, and what stands around them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from graft.serving.server.guard import Guard
from graft.serving.server.limits import Limits, RefusedError
from graft.serving.server.pages import add_pages
from graft.serving.server.routes import REFUSALS, Problem, make_router
from graft.serving.server.service import Loaded, Service


@dataclass(frozen=True)
class Settings:
    """The behaviour of a server.

    Attributes:
        limits: what it takes.
        api_key: that clients must have; None: none.
        cors: origins whose pages may call it, such as ``https://example.org``.
    """

    limits: Limits = field(default_factory=Limits)
    api_key: str | None = None
    cors: tuple[str, ...] = ()


def build_app(
    load: Callable[[], Loaded], settings: Settings, on_failure: Callable[[Exception], None]
) -> FastAPI:
    """Build the application.

    Args:
        load: loads the model; it runs in a thread, while the server already listens.
        settings: how the server is to behave.
        on_failure: is called if loading fails.
    """
    service = Service(settings.limits)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        starting = asyncio.create_task(_start(service, load, on_failure))
        yield
        await starting
        service.close()

    app = FastAPI(title="graft serve", version="1", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.service = service
    responses = {status: {"model": Problem, "description": text} for status, text in REFUSALS.items()}
    app.include_router(make_router(service), responses=responses)
    add_pages(app)
    _answer_refusals(app, service)
    app.add_middleware(Guard, metrics=service.metrics, limits=settings.limits, api_key=settings.api_key)
    if settings.cors:
        headers = ["Authorization", "X-API-Key", "Content-Type"]
        app.add_middleware(
            CORSMiddleware, allow_origins=settings.cors, allow_methods=["GET", "POST"], allow_headers=headers
        )
    return app


async def _start(
    service: Service, load: Callable[[], Loaded], on_failure: Callable[[Exception], None]
) -> None:
    try:
        await service.start(load)
    except Exception as error:
        on_failure(error)


def _answer_refusals(app: FastAPI, service: Service) -> None:
    """Give every refusal a JSON sentence."""

    @app.exception_handler(RefusedError)
    async def refused(_: Request, error: RefusedError) -> Response:
        service.metrics.rejected.labels(error.reason).inc()
        headers = {"Retry-After": "1"} if error.status == 503 else None
        return JSONResponse({"detail": error.detail}, error.status, headers)

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> Response:
        said = {
            404: f"there is no {request.url.path[:80]}",
            405: f"{request.url.path} takes no {request.method}",
        }
        detail = f"{said.get(error.status_code, error.detail)}: see /docs"
        return JSONResponse({"detail": detail}, error.status_code, error.headers)

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> Response:  # a fault of ours, which uvicorn logs
        return JSONResponse({"detail": f"the server failed: {type(error).__name__}"}, 500)
