"""The references that the site makes: nothing is missing in them."""

import re
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

from helpers.repository import PARAMS, ROOT


@pytest.fixture(scope="module")
def hooks() -> Any:
    pytest.importorskip("mkdocs", reason="needs `make docs`")
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        yield import_module("hooks")
    finally:
        sys.path.remove(str(ROOT / "docs"))


def keys(values: dict[str, Any], path: str = "") -> Iterator[str]:
    for key, value in values.items():
        yield f"{path}{key}"
        if isinstance(value, dict):
            yield from keys(value, f"{path}{key}.")


def test_every_key_of_params_has_its_row_default_and_meaning(hooks: Any) -> None:
    rows = dict(re.findall(r"^\| `(\S+)` \| (.*) \|$", hooks.describe_params(), re.MULTILINE))
    described = [key for key in keys(PARAMS) if not re.match(r"backbones|tune\.\w+\.", key)]
    assert [key for key in rows if not re.match(r"backbones|tune\.\w+\.", key)] == described
    assert [*rows][-1] == "backbones.vgg19.batch_size"
    assert rows["seed"] == "`0` | integer ≥ 0 < 4,294,967,296 | of the split and a backbone's random weights"
    assert rows["inline.patience"].startswith("`2` | integer ≥ 1 or null | ")
    assert rows["features.engine"].startswith("`keras` | `keras`, `openvino` | keras \\| openvino: what runs")


def test_every_command_is_there(hooks: Any) -> None:
    text = hooks.describe_commands()
    for name in ("graft predict", "graft features gc", "graft share push", "graft new"):
        assert f"## {name}\n" in text
    assert "| `--dry` | Only say what would change. |" in text


@pytest.mark.parametrize(
    ("page", "link", "target"),
    [
        ("index.md", "docs/team.md", "team.md"),
        ("team.md", "../README.md", "index.md"),
        ("recipes.md", "../docs/training.md", "training.md"),
        ("performance.md", "../benchmarks/plain.py", "code/benchmarks/plain.py"),
        ("team.md", "features.svg", "features.svg"),
    ],
)
def test_a_link_leads_to_what_a_file_is_on_the_site(hooks: Any, page: str, link: str, target: str) -> None:
    assert hooks._target(page, link) == target
