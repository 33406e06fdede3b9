"""The repository that a command is about."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from graft.utils.terminal import printable

if TYPE_CHECKING:
    from dvc.repo import Repo

Root = Annotated[Path, typer.Option(help="The repository's root.")]


@contextmanager
def opened(root: Path) -> "Iterator[Repo]":
    """Open the repository; what a person has to mend is printed, without a traceback."""
    import logging
    import sqlite3

    import pygit2
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.repo import Repo

    from graft.sharing.remote import ShareError
    from graft.utils.errors import explain_system_error
    from graft.utils.git import GitError

    for name in ("dvc", "dvc_data", "dvc_objects"):  # they print tracebacks of what is reported here
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        with Repo(str(root)) as repo:
            yield repo
    except pygit2.GitError as error:  # such as a folder of somebody else's
        fail(f"{error}; if you trust its owner: git config --global --add safe.directory {root.resolve()}")
    except PermissionError as error:
        fail(explain_system_error(error))
    except (ShareError, GitError, DvcException, OSError, sqlite3.Error) as error:
        hint = "; run this in the repository, or name it with --root" * isinstance(error, NotDvcRepoError)
        fail(f"{error}{hint}")


def fail(message: str) -> NoReturn:
    """Print a message on stderr, with what would steer a terminal escaped, and exit with 1."""
    typer.echo("\n".join(map(printable, message.split("\n"))), err=True)
    raise typer.Exit(1)
