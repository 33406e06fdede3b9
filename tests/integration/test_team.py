"""A team's six stories in the words of docs/team.md: its own commands, in clones of Ann, Ben and Mia.

Ann builds the pipeline once, small. Then, for each remote, she sets it up and shares what she has. Stories in
which Git does the work (4 and 5), or nothing of graft's reads the remote (2), are told with one remote.
"""

import json
import re
import shlex
import shutil
from hashlib import md5
from types import MappingProxyType, SimpleNamespace

import pandas as pd
import pytest
from dvc.utils.serialize import load_yaml

from helpers.remotes import make_remote
from helpers.repository import (
    EXTRACTIONS,
    METHODS,
    OF_A_HEAD,
    ROOT,
    SMALL,
    commit,
    copy_project,
    dvc,
    edit,
    executed,
    extraction,
    feature_rows,
    picture,
    run,
)

pytestmark = pytest.mark.long
PAGE = (ROOT / "docs/team.md").read_text(encoding="utf-8")
CLONE = "git clone <this repository> graft"
# The other stages of a whole `dvc repro` on other photos: test_pipeline.py.
EXTRACT = f"dvc repro --pull {' '.join(EXTRACTIONS)}"
ONLY_FEATURES = {
    "dvc repro --pull": EXTRACT,
    "graft share push": "graft share push || true",
}


def section(number):
    """The console blocks of a story, a list of commands each."""
    heading = "A remote" if number == 0 else rf"{number}\. [^\n]*"
    (text,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    blocks = re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [[re.sub(r"  +#.*", "", line) for line in block.splitlines()] for block in blocks]


def tell(folder, commands, substitutes=MappingProxyType({})):
    """Type commands of the page into the shell of a folder; what they printed. `git merge` has conflicts."""
    output = ""
    for command in commands:
        if command.startswith("cd "):
            folder /= command.removeprefix("cd ")
        else:
            typed = substitutes.get(command, command)
            output += run(folder, "sh", "-c", typed, fails=command.startswith("git merge"))
    return output


def add_photos(folder, numbers):
    """As many photos of cats and of dogs as there are numbers; equal numbers make equal photos."""
    for c, name in enumerate(("cat", "dog")):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in numbers:
            (folder / name / f"{number}.jpg").write_bytes(picture(2 * number + c))


@pytest.fixture(scope="module")
def built(once):
    """Ann's repository after her first `dvc repro` on 40 photos, and a branch `ann` with ten more."""
    folder = once("ann", build)
    rows = [pd.read_pickle(folder / f"{name}.pickle") for name in ("rows", "rows_of_ann")]
    return SimpleNamespace(repo=folder / "graft", rows=rows[0], rows_of_ann=rows[1])


def build(folder):
    repo = folder / "graft"
    copy_project(repo)
    theirs = {"dataset": "folder", "source": "pets", "split.max_per_class": None, "seeds": [0]}
    edit(repo, SMALL | theirs)
    add_photos(repo / "pets", range(20))
    run(repo, "git", "init", "--quiet", "--initial-branch", "main")
    commit_photos(repo)
    pd.to_pickle(feature_rows(repo), folder / "rows.pickle")

    run(repo, "git", "switch", "--quiet", "--create", "ann")
    add_photos(repo / "pets", range(20, 25))
    commit_photos(repo, *EXTRACTIONS)
    pd.to_pickle(feature_rows(repo), folder / "rows_of_ann.pickle")
    run(repo, "git", "switch", "--quiet", "main")
    dvc(repo, "checkout", "--quiet")


def commit_photos(repo, *target):
    dvc(repo, "add", "--quiet", "pets")
    dvc(repo, "repro", *target)
    commit(repo, "photos")


@pytest.fixture(scope="module", params=["local", "ssh", "s3"])
def team(request, built, tmp_path_factory):
    """Ann's repository, its `origin`, and a remote that she has set up and pushed to, all by the page."""
    folder = tmp_path_factory.mktemp(request.param)
    remote = make_remote(request, folder / "remote")
    repo, origin = folder / "ann/graft", folder / "origin.git"
    shutil.copytree(built.repo, repo, symlinks=True)
    run(folder, "git", "clone", "--quiet", "--bare", str(repo), str(origin))
    run(repo, "git", "remote", "add", "origin", str(origin))
    run(repo, "git", "fetch", "--quiet", "origin")
    run(repo, "git", "branch", "--quiet", "--set-upstream-to", "origin/main")
    *kinds, share = section(0)
    set_up = kinds[["local", "ssh", "s3"].index(request.param)]
    tell(repo, [with_values(command, remote) for command in set_up] + share)
    run(repo, "git", "rebase", "--quiet", "main", "ann")  # as if it began after there was a remote
    run(repo, "git", "tag", "not-merged")
    run(repo, "git", "push", "--quiet", "--force", "origin", "ann", "not-merged")
    run(repo, "git", "switch", "--quiet", "main")
    credentials = repo / ".dvc/config.local"
    credentials.touch()  # a folder asks for none
    yield SimpleNamespace(folder=folder, repo=repo, origin=origin, remote=remote, credentials=credentials)
    remote.close()


def with_values(command, remote):
    """A command that sets up a remote, with the address and the settings of this one."""
    *words, _ = shlex.split(command)
    value = remote.url if "add" in words else {**remote.settings, **remote.credentials}[words[-1]]
    return shlex.join([*words, value])


def clone(team, name, branch="main"):
    """A fresh clone with what Git does not carry: the credentials."""
    (team.folder / name).mkdir()
    run(team.folder / name, "sh", "-c", cloning(team, branch))
    return team.folder / name / "graft"


def cloning(team, branch="main"):
    return f"git clone --quiet --branch {branch} {team.origin} graft && cp {team.credentials} graft/.dvc"


@pytest.fixture(scope="module")
def new_mate(team):
    """A clone after story 1, and what its commands printed."""
    (commands,) = section(1)
    (team.folder / "joins").mkdir()
    output = tell(team.folder / "joins", commands, {CLONE: cloning(team), "make setup": ""})
    return SimpleNamespace(repo=team.folder / "joins/graft", output=output)


def test_1_a_new_teammate_runs_no_stage(new_mate):
    assert executed(new_mate.output) == []
    assert "Data and pipelines are up to date." in new_mate.output
    assert all(f"{method}.json" in new_mate.output for method in METHODS)  # of `dvc metrics show`
    assert run(new_mate.repo, "graft", "report", "open").startswith("reports/index.html")


@pytest.mark.parametrize("team", ["local"], indirect=True)
def test_1_so_it_is_without_graft(team):
    repo = clone(team, "plain")
    assert executed(dvc(repo, "repro", "--pull")) == []
    assert dvc(repo, "status") == "Data and pipelines are up to date.\n"


@pytest.fixture(scope="module")
def mia(team):
    """Mia's clone after her experiment, which she has pushed, and what her commands printed."""
    (commands,) = section(2)
    (team.folder / "mia").mkdir()
    output = tell(team.folder / "mia", commands, {CLONE: cloning(team), "make setup": ""})
    return SimpleNamespace(repo=team.folder / "mia/graft", output=output)


@pytest.fixture(scope="module")
def ben(team):
    """A clone into which nothing was pulled, after Ben has added ten photos on a branch `ben`."""
    (commands,) = section(3)
    repo = clone(team, "ben")
    add_photos(repo.parent / "home/new", range(30, 35))
    output = tell(repo, commands, ONLY_FEATURES)
    return SimpleNamespace(repo=repo, output=output, rows=feature_rows(repo))


@pytest.mark.parametrize("team", ["local"], indirect=True)
def test_2_another_head_needs_no_photo(team, mia):
    assert sorted(executed(mia.output)) == sorted([*OF_A_HEAD, "compare"])
    files = (mia.repo / ".dvc/cache/files/md5").glob("??/*")
    present = {file.parent.name + file.name for file in files}
    recorded = lock(mia.repo)
    assert recorded["data/features"] in present
    for folder in ("pets", "data/raw", "data/images"):
        assert not (mia.repo / folder).exists()
        listed = json.loads(team.remote.read_object(recorded[folder]))
        assert present.isdisjoint({recorded[folder], *(each["md5"] for each in listed)})


@pytest.mark.parametrize("team", ["local"], indirect=True)
def test_2_another_head_builds_no_backbone(mia, ben):
    line = "backbone VGG16: "  # which building one prints
    assert line in ben.output
    assert line not in mia.output


@pytest.mark.parametrize("team", ["local", "s3"], indirect=True)
def test_3_of_ten_photos_more_only_they_are_embedded(built, ben):
    new = ben.rows - built.rows
    assert sum(view == 0 for _, view in new) == 10
    assert extraction(ben.repo) == (len(new), 0, len(ben.rows & built.rows))


@pytest.mark.parametrize("team", ["local"], indirect=True)
def test_4_the_experiment_of_a_colleague_runs_no_stage(team, new_mate):
    bens, anns = section(4)
    assert "train_two_stage" in executed(tell(new_mate.repo, bens))
    repo = clone(team, "takes")
    assert executed(tell(repo, anns)) == []
    theirs, before = lock(new_mate.repo), lock(team.repo)
    assert lock(repo) == theirs != before
    predictions = repo / "predictions/two_stage.parquet"
    assert md5(predictions.read_bytes()).hexdigest() == theirs["predictions/two_stage.parquet"]


@pytest.mark.parametrize("team", ["local"], indirect=True)
def test_5_a_merge_embeds_nothing_twice(team, built, ben):
    """In a clone that has none of the features, neither Ann's nor Ben's."""
    commands, _ = section(5)
    repo = clone(team, "merges", branch="ann")
    check_merge(built, ben, repo, tell(repo, commands, ONLY_FEATURES))
    assert run(repo, "git", "status", "--porcelain") == ""


@pytest.mark.parametrize("team", ["local"], indirect=True)
def test_5_nor_does_a_merge_that_was_committed_first(team, built, ben):
    commands, _ = section(5)
    place = commands.index("dvc repro --pull")
    repo = clone(team, "commits", branch="not-merged")
    committed_first = [*commands[:place], *commands[place + 1 : place + 3], commands[place]]
    afresh = {"dvc repro --pull": f"{EXTRACT} --no-run-cache", "git switch ann": ""}
    check_merge(built, ben, repo, tell(repo, committed_first, afresh))


@pytest.mark.parametrize("team", ["local"], indirect=True)
def test_5_where_both_changed_the_same_photo(team):
    (_, driver, *_), as_ben_has_it = section(5)
    repo = clone(team, "same")
    origin = team.folder / "same.git"
    run(repo, "git", "clone", "--quiet", "--bare", str(team.origin), str(origin))
    run(repo, "git", "remote", "set-url", "origin", str(origin))
    dvc(repo, "config", "--local", "cache.type", "hardlink,copy")  # as `graft repro` chooses
    dvc(repo, "pull", "--quiet", "pets")
    before = {path.name for path in (repo / "pets/cat").iterdir()}
    for number, branch in enumerate(("ben", "ann")):
        run(repo, "git", "switch", "--quiet", "--force-create", branch, "main")
        dvc(repo, "checkout", "--quiet", "pets.dvc")
        for name in ("1.jpg", f"{branch}.jpg"):
            (repo / "pets/cat" / name).unlink(missing_ok=True)  # it may be a link into the cache
            (repo / "pets/cat" / name).write_bytes(picture(1000 + number))
        dvc(repo, "add", "--quiet", "pets")
        run(repo, "git", "commit", "--quiet", "--message", branch, "pets.dvc")
        run(repo, "git", "push", "--quiet", "--force", "origin", branch)
    tell(repo, [driver, "git merge origin/ben"])
    assert run(repo, "git", "status", "--short", "pets.dvc") == "UU pets.dvc\n"
    for command in as_ben_has_it:
        run(repo, "sh", "-c", command)
    dvc(repo, "checkout", "--quiet", "pets.dvc")
    assert {path.name for path in (repo / "pets/cat").iterdir()} == before | {"ann.jpg", "ben.jpg"}
    assert (repo / "pets/cat/1.jpg").read_bytes() == picture(1000)
    assert run(repo, "git", "status", "--porcelain") == ""


def check_merge(built, ben, repo, output):
    """Embedded were only views of photos that neither branch had for training, but the merge has."""
    assert {*EXTRACTIONS} <= {*executed(output)}
    rows, known = feature_rows(repo), built.rows_of_ann | ben.rows
    assert sum(view == 0 for _, view in rows) == 60
    assert all(view for _, view in rows - known)
    assert extraction(repo) == (len(rows - known), 0, len(rows & known))


def test_6_what_is_not_shared_is_named(team):
    ((command,),) = section(6)
    tell(team.repo, [command])
    model = lock(team.repo)["models/two_stage/model.keras"]
    data = team.remote.read_object(model)
    team.remote.remove_object(model)
    assert "train_two_stage" in run(team.repo, *command.split(), fails=True)
    team.remote.write_object(model, data)
    tell(team.repo, [command])


def lock(repo):
    """{path: md5} of everything that dvc.lock records."""
    stages = load_yaml(repo / "dvc.lock")["stages"].values()
    return {
        each["path"]: each["md5"]
        for stage in stages
        for each in stage.get("deps", []) + stage.get("outs", [])
    }
