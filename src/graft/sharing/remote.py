"""The team's remote: is there one, is it the same for everybody, can it be written."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dvc.config import Config
from dvc.config_schema import RelPath
from dvc.data_cloud import Remote
from dvc.exceptions import DvcException
from dvc.repo import Repo

ADD = "dvc remote add --default"
ANY = "/folder/everybody/mounts (or ssh://host/folder, s3://bucket/folder)"
SHOWN = 3
AGAIN = "nothing here has changed; run it again when that is mended"


class ShareError(Exception):
    """What is wrong, and the command that mends it."""


def open_remote(repo: Repo, name: str | None) -> Remote:
    """The remote of that name, else the default one.

    Raises:
        ShareError: if there is none, if its address means another place in each clone, or if DVC cannot
            speak to its kind.
    """
    name = name.lower() if name else repo.config["core"].get("remote")  # DVC's names are lower case
    remotes = repo.config["remote"]
    if not name:
        known = (
            f"; or make one of {', '.join(remotes)} the default: `dvc remote default NAME`" if remotes else ""
        )
        raise ShareError(f"no remote is configured: `{ADD} team {ANY}`, `git commit .dvc/config`{known}")
    if name not in remotes:
        raise ShareError(
            f"remote={name!r} is not configured (known: {', '.join(remotes) or 'none'}): `{ADD} {name} {ANY}`"
        )
    url = remotes[name]["url"]
    if isinstance(url, RelPath) or url.startswith("~"):
        kind = "a relative path" if isinstance(url, RelPath) else "in a home folder"
        absolute = Path(url).expanduser()
        raise ShareError(
            f"remote {name!r} is {kind}, which is another place for each of the team; expected an absolute "
            f"path: `{ADD} --force {name} {absolute}`, `git commit .dvc/config`"
        )
    try:
        remote = repo.cloud.get_remote(name)
        if remote.worktree or remote.fs.version_aware or remote.fs.protocol in ("http", "https"):
            raise ShareError(
                f"remote {name!r} is version_aware, worktree or HTTP, without a run-cache: use `dvc push`"
            )
        return remote
    except DvcException as error:
        raise ShareError(f"remote {name!r}: {error}") from error


def require_writable(remote: Remote) -> None:
    """Raise ShareError if the remote is a folder of this machine into which nothing can be written."""
    if remote.fs.protocol != "local":
        return
    path = Path(remote.path)
    while not path.exists():
        path = path.parent
    if not (path.is_dir() and os.access(path, os.W_OK | os.X_OK)):
        what = "you may not write into it" if path.is_dir() else "it is no folder"
        raise ShareError(
            f"remote {remote.name!r}, {remote.path}: cannot write to {path}: {what}; mend that, "
            f"or use another: `{ADD} --force {remote.name} {ANY}`"
        )


def find_uncommitted(dvc_dir: Path, mine: Path, name: str, is_default: bool) -> str | None:
    """What a clone with this .dvc lacks to find the remote; None where it lacks nothing."""
    config: Any = Config(str(dvc_dir)).load_one("repo")
    if "url" not in config["remote"].get(name, {}):
        return f"the remote {name!r} is not in the committed .dvc/config"
    ours: Any = Config(str(mine)).load_one("repo")
    for key in ("url", "endpointurl"):
        theirs = config["remote"][name].get(key)
        if ours["remote"].get(name, {}).get(key) != theirs:
            return f"your {key} of the remote {name!r} is not committed; in the commit it is {theirs}"
    if is_default and config["core"].get("remote") != name:
        return f"the committed .dvc/config does not name {name!r} as the default"
    return None


@contextmanager
def talking_to(remote: Remote) -> Iterator[None]:
    """Turn what any kind of remote may raise into a ShareError."""
    try:
        remote.fs.exists(remote.path)  # one request, before as many as there are objects wait for an answer
        yield
    except ShareError:
        raise
    except Exception as error:  # of the file system, boto, asyncssh, ...
        raise ShareError(f"{describe(remote)}: {reason(error)}; {AGAIN}") from error


def describe(remote: Remote) -> str:
    return f"remote {remote.name!r} ({remote.fs.unstrip_protocol(remote.path)})"


def reason(error: BaseException) -> str:
    """An exception in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def shorten(names: list[str]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more:,} more" if more > 0 else "")
