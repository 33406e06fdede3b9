"""A new project: a Git and DVC repository that `dvc repro` builds."""

import json
import logging
import shutil
from dataclasses import dataclass
from importlib.metadata import distribution, version
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from graft.config.features import BUNDLED, HAVE_BUNDLED, IMAGENET
from graft.project.code import FILES, describe_code, digest_texts, write_code
from graft.project.templates import PARAMS, kept, project_files, project_params, read_graph
from graft.utils.files import write_text
from graft.utils.git import GitError, git

DOCUMENTS = {"README.md": "README.md.j2", ".github/workflows/ci.yml": "ci.yml.j2"}


@dataclass(frozen=True)
class Project:
    """A project to be made.

    Attributes:
        folder: of the project; it must be absent or empty.
        images: a folder of images by class, or an archive of one; its full path stands in params.yaml.
        backbone: a row of `backbones`.
        remote: URL of the DVC remote; None: none yet.
    """

    folder: Path
    images: Path
    backbone: str
    remote: str | None = None

    def create(self) -> bool:
        """Write and commit it; False where Git knows no author, so that the commit is left to a person.

        Raises:
            ValueError: if the folder is in use, the images do not exist or there is no such backbone.
            graft.utils.git.GitError: if Git does not work, or refuses the commit.
            dvc.exceptions.DvcException: if DVC does not take the remote.
        """
        if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise ValueError(f"{self.folder}: expected a new or an empty folder, received one in use")
        if not self.images.exists() or not str(self.images).isprintable():
            raise ValueError(f"--images {str(self.images)!r}: expected a folder or an archive that exists")
        if self.remote and "://" not in self.remote and not Path(self.remote).is_absolute():
            raise ValueError(
                f"--remote {self.remote}: expected a URL or an absolute path: a relative one is another "
                "place for each of the team"
            )
        weights = BUNDLED if self.backbone in HAVE_BUNDLED else IMAGENET
        contents = project_files(project_params(str(self.images.resolve()), self.backbone, weights))
        contents["requirements.txt"] = requirement(contents[PARAMS])
        begun = self.folder.exists()
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            for name, text in (contents | self._documents(contents[PARAMS])).items():
                write_text(text, self.folder / name)
            described = describe_code(read_graph()) | {FILES: digest_texts(kept(contents))}
            write_code(described, self.folder)
            return self._commit()
        except BaseException:  # a second try must find it as this one did
            shutil.rmtree(self.folder)
            if begun:
                self.folder.mkdir()
            raise

    def _documents(self, params: str) -> dict[str, str]:
        environment = Environment(
            loader=PackageLoader("graft.project", "documents"),
            undefined=StrictUndefined,
            keep_trailing_newline=True,
            trim_blocks=True,
        )
        values = {"name": self.folder.resolve().name, "version": version("graft"), "remote": self.remote}
        values["extra"] = extra_of(params)
        return {name: environment.get_template(source).render(values) for name, source in DOCUMENTS.items()}

    def _commit(self) -> bool:
        from dvc.repo import Repo

        logging.getLogger("dvc").setLevel(logging.WARNING)
        git(self.folder, "init", "--quiet", "--initial-branch=main")
        with Repo.init(str(self.folder)) as repo, repo.config.edit() as config:
            config["core"]["analytics"] = False
            if self.remote:
                config["core"]["remote"] = "storage"
                config["remote"] = {"storage": {"url": self.remote}}
        git(self.folder, "add", "--all")
        try:
            git(self.folder, "var", "GIT_COMMITTER_IDENT")
        except GitError:
            return False
        git(self.folder, "commit", "--quiet", "--message", f"A project of graft {version('graft')}")
        return True


def extra_of(params: str) -> str:
    """The extra of graft that the backbone of a params.yaml needs, as pip writes it."""
    return "[hub]" if "library: keras_hub" in params else ""


def requirement(params: str) -> str:
    """requirements.txt: the graft that is installed, with the hash of its wheel where pip recorded it.

    Args:
        params: the text of params.yaml, which decides on an extra.
    """
    said = json.loads(distribution("graft").read_text("direct_url.json") or "{}")
    line = f"graft{extra_of(params)}=={version('graft')}"
    info = said.get("archive_info", {})
    if digest := info.get("hashes", {}).get("sha256") or info.get("hash", "").removeprefix("sha256="):
        line += f" --hash=sha256:{digest}"  # the latter as pip before 23.1 has it
    return f"{line}\n"
