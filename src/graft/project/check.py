"""A project against the graft that is installed."""

from pathlib import Path

from graft.project.code import CODE, FILE, describe_code, read_code
from graft.project.templates import read_graph


def check_stage(stage: str, root: Path) -> None:
    """Check that a stage of a project would run the code that graft.yaml says; nothing elsewhere.

    Raises:
        ValueError: if it is of another graft.
    """
    if not (root / FILE).is_file():
        return
    recorded, installed = read_code(root), describe_code(read_graph())
    name = stage.partition("@")[0]
    if recorded[CODE].get(name) != installed[CODE].get(name):
        raise ValueError(
            f"{FILE} is of graft {recorded['version']}, and the graft {installed['version']} that is "
            f"installed has other code for {name}: run `graft upgrade`, or install graft=={recorded['version']}"
        )
