"""`graft new` and `graft upgrade`: a project of one's own."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from graft.cli.repository import Root, fail


def new(
    folder: Annotated[Path, typer.Argument(help="The folder to make; absent or empty.")],
    images: Annotated[Path, typer.Option(help="A folder of images by class, or a zip or tar of one.")],
    backbone: Annotated[str, typer.Option(help="A backbone that graft knows.")] = "mobilenet_v2",
    remote: Annotated[str | None, typer.Option(help="URL of the DVC remote that a team shares.")] = None,
) -> None:
    """Make a project for your images: a Git and DVC repository that `dvc repro` builds."""
    from dvc.exceptions import DvcException

    from graft.project.new import Project
    from graft.utils.errors import explain_system_error
    from graft.utils.git import GitError

    try:
        committed = Project(folder, images, backbone, remote).create()
    except (ValueError, GitError, DvcException) as error:
        fail(str(error))
    except OSError as error:
        fail(explain_system_error(error))
    if not committed:
        typer.echo("not committed: Git does not know you yet (git config --global user.name, user.email)")
    typer.echo(f"{folder} is ready: cd {shlex.quote(str(folder))} && graft repro")


def upgrade(
    root: Root = Path(),
    dry: Annotated[bool, typer.Option("--dry", help="Only say what would change.")] = False,
) -> None:
    """Bring a project to the graft that is installed, and say which stages that makes stale, and why."""
    from graft.project.upgrade import apply, plan
    from graft.utils.errors import explain_system_error

    try:
        found = plan(root)
        if not dry:
            apply(found, root)
    except (ValueError, FileNotFoundError) as error:
        fail(str(error))
    except OSError as error:
        fail(explain_system_error(error))
    for line in found.describe():
        typer.echo(line)
