"""The routes of the API: what they take, and what they answer."""

import json
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field

from graft.serving.server.bodies import JSON, MULTIPART, Form, Images, media_type, parse, read_body
from graft.serving.server.limits import RefusedError
from graft.serving.server.service import Service, answered

AT_ONCE = 1 << 19  # bytes of a body that is parsed in less time than another thread needs to begin
REFUSALS: dict[int | str, str] = {
    400: "the request is no proper HTTP",
    401: "the API key is missing or wrong",
    408: "the request did not arrive in time",
    413: "too many bytes, pixels or images",
    415: "the body is neither a form nor JSON",
    422: "no image, or a damaged body",
    503: "not warm yet, busy, or no answer in time: try again after the seconds in Retry-After",
}


class Prediction(BaseModel):
    """An image's answer, or why there is none."""

    name: str = Field(description="of the file, as the client called it; in JSON its number")
    label: str = Field("", description="the class that is predicted")
    score: float = Field(0, description="its probability")
    scores: dict[str, float] = Field({}, description="the probability of each class")
    error: str = Field("", description="why the image has no answer; then there is no label")
    status: int = Field(0, description="and the status that it would have had alone")


class Predictions(BaseModel):
    """A row an image, in their order."""

    predictions: list[Prediction]


class Model(BaseModel):
    """The model that is served."""

    card: dict[str, Any] = Field(description="classes, provenance, accuracy")
    runtime: str
    heat_maps: bool = Field(description="whether `/v1/explain` answers")
    limits: dict[str, float] = Field(description="max_bytes, max_pixels, max_files")


class Problem(BaseModel):
    """Why a request was refused."""

    detail: str


def _takes(**more: Any) -> dict[str, Any]:
    """The body of a request, as OpenAPI describes it."""
    files = {"type": "array", "items": {"type": "string", "format": "binary"}}
    form = {"type": "object", "properties": {"files": files, **more}}
    content = {MULTIPART: {"schema": form}, JSON: {"schema": Images.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}


def make_router(service: Service) -> APIRouter:
    """Make the routes of a service."""
    router = APIRouter()

    @router.post("/v1/predict", response_model=Predictions, openapi_extra=_takes())
    async def predict(request: Request) -> Response:
        """Predict the class of each image: of the files of a form, or of JSON with base64.

        A file that is refused is a row with its reason; if it is the only one, the request is refused.
        """
        _ = service.ready
        with service.memory.taken() as take:
            form = await _form(request, service, take)
            rows = await answered(service.predict(form.files), request.receive, service.limits.timeout)
        return Response(json.dumps({"predictions": rows}), media_type=JSON)

    @router.post(
        "/v1/explain",
        response_class=Response,
        responses={
            200: {"content": {"image/png": {}}},
            404: {"description": "the runtime makes no heat maps"},
        },
        openapi_extra=_takes(label={"type": "string"}),
    )
    async def explain(request: Request) -> Response:
        """Draw where the model looks in one image, for the class `label` or for the predicted one."""
        _ = service.ready
        with service.memory.taken() as take:
            form = await _form(request, service, take)
            if len(form.files) > 1:
                raise RefusedError(413, "too_many", "expected one image")
            work = service.explain(form.files[0][1], form.fields.get("label"))
            drawn = await answered(work, request.receive, service.limits.timeout)
        return Response(drawn, media_type="image/png")

    @router.get("/v1/model", response_model=Model)
    async def model() -> Response:
        """Describe the model: its card, the runtime, the limits."""
        loaded, limits = service.ready, service.limits
        names = ("max_bytes", "max_pixels", "max_files")
        return JSONResponse(
            {
                "card": loaded.classifier.card,
                "runtime": loaded.runtime,
                "heat_maps": loaded.explain is not None,
                "limits": {name: getattr(limits, name) for name in names},
            }
        )

    @router.get("/healthz")
    async def healthz() -> dict[str, bool]:
        """Say that the server runs."""
        return {"ok": True}

    @router.get("/readyz")
    async def readyz() -> dict[str, bool]:
        """Say whether the model is warm: 503 as long as it is not."""
        return {"ready": service.ready is not None}

    @router.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Give what was counted, as Prometheus reads it."""
        return Response(service.metrics.render(), media_type=CONTENT_TYPE_LATEST)

    return router


async def _form(request: Request, service: Service, take: Any) -> Form:
    kind, boundary = media_type(request)
    body = await read_body(request, service.limits, take)
    work = partial(parse, kind, boundary, body, service.limits.max_files)
    return work() if len(body) <= AT_ONCE else await service.in_thread(work)
