"""Links from the work tree into DVC's cache: what is in both then lies on the disk once."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from dvc.repo import Repo

HARD_LINKS = "hardlink,copy"


def choose_links(repo: Repo) -> None:
    """Let DVC link this clone's outputs into its cache, unless somebody has chosen a `cache.type`.

    Where the file system has reflinks, which share bytes until one side changes, they are DVC's own choice;
    elsewhere it would copy. Hard links are as good as long as a file is replaced, never changed: DVC makes
    them read-only. In one list with reflinks they are useless, since DVC then leaves a folder that a stage
    has written as a copy. So they are set for a file system without reflinks, in `.dvc/config.local`, which
    no other clone gets. In a checkout that can only be read, nothing is set.
    """
    if "type" in repo.config["cache"]:
        return
    with suppress(OSError):
        if _only_hard_links(repo, Path(repo.cache.local_cache_dir)):
            with repo.config.edit("local") as config:
                config["cache"]["type"] = HARD_LINKS


def _only_hard_links(repo: Repo, cache: Path) -> bool:
    cache.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=cache) as here, TemporaryDirectory(dir=repo.tmp_dir) as there:
        file, link = Path(here, "file"), Path(there, "link")
        file.write_bytes(b"a")
        return not _works(repo.fs.reflink, file, link) and _works(os.link, file, link)


def _works(link: Callable[[str, str], object], file: Path, name: Path) -> bool:
    try:
        link(str(file), str(name))
    except OSError:
        return False
    return True
