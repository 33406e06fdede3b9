"""A project against the graft that is installed."""

from pathlib import Path

from graft.project.code import CODE, FILE, describe_code, read_code
from graft.project.templates import read_graph


def check_stages(root: Path, *stages: str) -> None:
    """Check that stages of a project would run the code that graft.yaml says; nothing elsewhere.

    Args:
        root: the project's.
        stages: as DVC names them; none: all.

    Raises:
        ValueError: if it is that of another graft.
    """
    if not (root / FILE).is_file():
        return
    recorded, installed = read_code(root), describe_code(read_graph())
    names = [stage.partition("@")[0] for stage in stages] or [*installed[CODE]]
    if other := [name for name in names if recorded[CODE].get(name) != installed[CODE].get(name)]:
        before, now = recorded["version"], installed["version"]
        raise ValueError(
            f"{FILE} is of graft {before}, and the graft {now} that is installed has other code for "
            f"{', '.join(other)}: run `graft upgrade`, or install graft=={before}"
        )
