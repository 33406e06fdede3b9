"""The templates of the pages, which escape all that they are given."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(template: str, values: dict[str, Any]) -> str:
    """Fill in a template of this package."""
    environment = Environment(
        loader=PackageLoader("graft.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(values)
