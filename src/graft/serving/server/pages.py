"""The pages for people: one to try the model, one of the API's documentation; both without a network."""

from importlib.resources import files

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader

STATIC = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}


def add_pages(app: FastAPI) -> None:
    """Add the page, its style and script, and `/docs`, which is made of `/openapi.json`."""
    folder = files("graft.serving.server") / "page"
    for path, (name, kind) in STATIC.items():
        _add(app, path, (folder / name).read_bytes(), kind)
    documented = _render_docs(app).encode()

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return HTMLResponse(documented)


def _add(app: FastAPI, path: str, content: bytes, kind: str) -> None:
    @app.get(path, include_in_schema=False)
    async def static() -> Response:
        return Response(content, media_type=kind)


def _render_docs(app: FastAPI) -> str:
    loader = PackageLoader("graft.serving.server", "page")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("docs.html.j2").render(api=app.openapi())
