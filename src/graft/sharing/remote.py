"""The team's remote: is there one, and is it the same for everybody."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dvc.config import Config
from dvc.config_schema import RelPath
from dvc.exceptions import DvcException
from dvc.fs import LocalFileSystem
from dvc.repo import Repo

from graft.sharing.store import Store

ADD = "dvc remote add --default"
ANY = "/folder/everybody/mounts (or ssh://host/folder, s3://bucket/folder)"
SHOWN = 3
AGAIN = "nothing here has changed; run it again when that is mended"


class ShareError(Exception):
    """Something is wrong with sharing; the text says what, and the command that mends it."""


def open_remote(repo: Repo, name: str | None) -> Store:
    """Open the remote of that name, else the default one.

    Raises:
        ShareError: if there is none, if its address means another place in each clone, or if DVC cannot
            speak to its kind.
    """
    name = name.lower() if name else repo.config["core"].get("remote")  # DVC's names are lower case
    remotes = repo.config["remote"]
    if name not in remotes:
        known = ", ".join(remotes) or "none"
        raise ShareError(
            f"{f'remote={name!r} is not' if name else 'no default remote is'} configured (known: {known}): "
            f"`{ADD} {name or 'team'} {ANY}`, `git commit .dvc/config`"
        )
    url = remotes[name]["url"]
    if isinstance(url, RelPath) or url.startswith("~"):
        raise ShareError(
            f"remote {name!r} is a relative path or in a home folder, which is another place for each of the "
            f"team; expected an absolute path: `{ADD} --force {name} {Path(url).expanduser()}`, "
            "`git commit .dvc/config`"
        )
    try:
        remote = repo.cloud.get_remote(name)
    except DvcException as error:
        raise ShareError(f"remote {name!r}: {error}") from error
    if remote.worktree or remote.fs.version_aware or remote.fs.protocol in ("http", "https"):
        raise ShareError(
            f"remote {name!r} is version_aware, worktree or HTTP, without a run-cache: use `dvc push`"
        )
    return Store(name, remote.fs, remote.path)


def open_cache(repo: Repo) -> Store:
    """The local cache, which several repositories may share."""
    return Store("", LocalFileSystem(), repo.cache.local_cache_dir)


def find_uncommitted(remote: Store, mine: Repo, clone: Repo) -> str | None:
    """Say what a clone lacks to find the remote; None where it lacks nothing."""
    name = remote.name
    ours, theirs = (Config(repo.dvc_dir).load_one("repo") for repo in (mine, clone))
    if "url" not in theirs["remote"].get(name, {}):
        return f"the remote {name!r} is not in the committed .dvc/config"
    for key in ("url", "endpointurl"):
        value = theirs["remote"][name].get(key)
        if ours["remote"].get(name, {}).get(key) != value:
            return f"your {key} of the remote {name!r} is not committed; in the commit it is {value}"
    if ours["core"].get("remote") == name != theirs["core"].get("remote"):
        return f"the committed .dvc/config does not name {name!r} as the default"
    return None


@contextmanager
def talking_to(remote: Store) -> Iterator[None]:
    """Turn what any kind of remote may raise into a ShareError."""
    try:
        # One request, before as many as there are objects wait for an answer.
        remote.fs.exists(remote.path)
        yield
    except ShareError:
        raise
    except Exception as error:  # of the file system, boto, asyncssh, ...
        raise ShareError(f"{remote}: {reason(error)}; {AGAIN}") from error


def reason(error: BaseException) -> str:
    """Put an exception into one line."""
    return " ".join(str(error).split()) or type(error).__name__


def shorten(names: list[str]) -> str:
    """Join the first names, and say how many more there are."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more:,} more" if more > 0 else "")
