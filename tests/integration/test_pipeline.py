"""The whole pipeline as a person runs it: the real stages, DVC and Git, in a repository of its own.

The graph is built once, small, and committed; every test starts from that commit.
"""

import re
import shutil
import sys
import zipfile
from io import BytesIO

import pandas as pd
import pytest
from dvc.utils.serialize import dump_yaml, load_yaml

from graft.config.load import read_params
from helpers.repository import (
    AFTER_A_HEAD,
    EXTRACTIONS,
    METHODS,
    N_IMAGES,
    N_TRAIN,
    PARAMS,
    ROOT,
    SOCKET,
    STAGES,
    dvc,
    edit,
    executed,
    extraction,
    hashes,
    make_folder,
    picture,
    run,
)


@pytest.fixture
def repo(copy_of_built):
    repo = copy_of_built
    run(repo, "git", "reset", "--hard", "--quiet")
    run(repo, "git", "clean", "-d", "--force", "--quiet")
    dvc(repo, "checkout", "--force", "--quiet")
    return repo


def test_one_repro_builds_everything_and_git_holds_only_the_small_results(repo, built):
    assert sorted(executed(built.output)) == sorted(STAGES)
    folders = ["data", "metrics", "models", "predictions", "reports"]
    small = {"metrics/comparison.json", "metrics/comparison.csv"}
    for method in METHODS:
        assert (repo / f"models/{method}/model.keras").stat().st_size > 1000
        small |= {f"metrics/{method}.json", f"metrics/summary/{method}.json", f"models/{method}/.gitignore"}
        small |= {f"metrics/plots/{method}/{name}.csv" for name in ("confusion", "roc", "roc_per_class")}
    ignoring = ("data", "metrics", "models", "predictions", "reports")
    ignores = {f"{folder}/.gitignore" for folder in ignoring}
    assert set(run(repo, "git", "ls-files", *folders).split()) == small | ignores
    assert run(repo, "git", "ls-files", "dvc.lock") == "dvc.lock\n"
    assert run(repo, "git", "status", "--porcelain") == ""
    assert extraction(repo) == (N_IMAGES + N_TRAIN, 0, 0)


def test_a_first_run_prints_two_lines_a_stage_then_the_table(built):
    of_dvc = r"Running stage|> python |Updating lock|To track|To enable|\t|Use `dvc push`|$"
    lines = [line for line in built.output.splitlines() if not re.match(of_dvc, line)]
    assert len(lines) <= 2 * len(STAGES) + 24
    assert max(map(len, lines)) <= 120
    for stage in STAGES:
        i = lines.index(f"[{STAGES.index(stage) + 1}/{len(STAGES)}] {stage}")
        assert any(re.fullmatch(r"  .+; \d+\.\d s", line) for line in lines[i + 1 : i + 3]), stage
    last = "\n".join(lines[lines.index(f"[{len(STAGES)}/{len(STAGES)}] report") :])
    assert "reports/index.html" in last
    assert all(re.search(rf"^{method} ", last, re.MULTILINE) for method in METHODS)
    assert not re.search("oneDNN|cudart|absl|failed to load", built.output)


def test_the_table_has_a_row_a_method_and_says_what_was_not_pretrained(repo):
    table = run(repo, "graft", "table")
    for method in METHODS:
        assert re.search(rf"^ ?{method} +\*?[0-9]", table, re.MULTILINE)
    assert "backbone vgg16 was NOT pre-trained (weights: random)" in " ".join(table.split())


def test_a_second_repro_does_nothing(repo):
    output = dvc(repo, "repro")
    assert executed(output) == []
    assert "Data and pipelines are up to date." in output
    assert run(repo, "git", "status", "--porcelain") == ""


@pytest.mark.long
def test_a_fresh_clone_without_data_or_a_preloaded_process_computes_the_same_lock_and_bytes(repo, tmp_path):
    clone = tmp_path / "clone"
    run(tmp_path, "git", "clone", "--quiet", str(repo), str(clone))
    # DVC as it is, and each stage imports its libraries itself.
    alone = ("env", f"{SOCKET}=", sys.executable, "-m", "dvc", "repro", "train_two_stage_views")
    output = run(clone, *alone)
    assert {"extract_features", "extract_views", "train_two_stage_views"} < {*executed(output)}
    in_git = {"compare", *(f"evaluate@{method}" for method in METHODS)}  # and the report has no output
    assert {*executed(output + dvc(clone, "repro"))} == {*STAGES} - in_git - {"report"}
    assert {*executed(dvc(clone, "repro", "--force", "--single-item", "evaluate", "compare"))} == in_git
    assert run(clone, "git", "status", "--porcelain") == ""
    assert (clone / "dvc.lock").read_bytes() == (repo / "dvc.lock").read_bytes()
    assert hashes(clone) == hashes(repo)
    run(clone, "graft", "report", "open")
    assert (clone / "reports/index.html").exists()
    assert run(clone, "git", "status", "--porcelain") == ""


def extract(repo):
    """Run the extractions, whatever DVC has of them."""
    assert executed(dvc(repo, "repro", "--force", "--single-item", *EXTRACTIONS)) == EXTRACTIONS
    return extraction(repo)


@pytest.mark.long
def test_features_come_from_the_store_else_from_head_and_only_new_views_from_the_backbone(repo):
    before = hashes(repo)
    assert extract(repo) == (0, N_IMAGES + N_TRAIN, 0)
    shutil.rmtree(repo / ".graft")
    assert extract(repo) == (0, 0, N_IMAGES + N_TRAIN)
    assert hashes(repo) == before
    edit(repo, {"features.views": 2})
    assert extract(repo) == (N_TRAIN, N_IMAGES + N_TRAIN, 0)


@pytest.mark.long
def test_an_experiment_trains_one_head_shows_and_is_taken_back_without_training(repo, tmp_path):
    before = hashes(repo)
    output = dvc(repo, "exp", "run", "--set-param", "two_stage.head.dropout=0.25", "--name", "quarter")
    assert sorted(executed(output)) == sorted(AFTER_A_HEAD)
    changed = {name for name, value in hashes(repo).items() if before[name] != value}
    assert {"models/two_stage/model.keras", "predictions/two_stage.parquet"} < changed
    assert not [name for name in changed if re.search("^data|^[^r].*(views|inline|scratch)", name)]

    shown = pd.read_csv(BytesIO(dvc(repo, "exp", "show", "--csv").encode()), dtype=str)
    assert shown.set_index("Experiment").loc["quarter", "two_stage.head.dropout"] == "0.25"
    assert "two_stage.head.dropout" in dvc(repo, "params", "diff")
    assert "two_stage.test_acc" in shown
    assert "two_stage.val_mean" in dvc(repo, "metrics", "diff", "--all")
    metrics = dvc(repo, "metrics", "show")
    dvc(repo, "plots", "show", "--out", str(tmp_path / "plots"))
    page = (tmp_path / "plots/index.html").read_text()
    assert "Validation accuracy by epoch" in page
    for method in METHODS:
        assert f"{method}.test_acc" in metrics
        assert f"{method} on the test images" in page  # its confusion matrix
        for curve in ("accuracy", "loss", "val_accuracy", "val_loss") if "epochs" in PARAMS[method] else ():
            assert f'"filename": "{method}/live/plots/metrics/{curve}.tsv"' in page
        assert f'"filename": "{method}/roc.csv"' in page

    assert "as committed again: models/two_stage/" in run(repo, "graft", "back")
    assert run(repo, "git", "status", "--porcelain") == ""
    assert executed(dvc(repo, "repro")) == []
    assert hashes(repo) == before


@pytest.mark.long
def test_an_experiment_changes_one_value_of_params_and_no_comment(tmp_path):
    repo = tmp_path / "repo"
    repo.mkdir()
    shutil.copy(ROOT / "params.yaml", repo)
    (repo / "dvc.yaml").write_text("stages: {look: {cmd: echo, params: [seed]}}")
    run(repo, "git", "init", "--quiet")
    dvc(repo, "init", "--quiet")
    run(repo, "git", "add", "--all")
    run(repo, "git", "commit", "--quiet", "--message", "start")
    expected = read_params(ROOT / "params.yaml")
    expected["seed"] = 1
    dvc(repo, "exp", "run", "--set-param", "seed=1")
    assert read_params(repo / "params.yaml") == expected
    expected["two_stage"]["head"]["dense"] = []
    dvc(repo, "exp", "run", "--set-param", "two_stage.head.dense=[]")
    assert read_params(repo / "params.yaml") == expected
    comments = [re.findall("#.*", (root / "params.yaml").read_text()) for root in (ROOT, repo)]
    assert comments[0] == comments[1]


@pytest.mark.long
def test_an_experiment_elsewhere_runs_the_code_of_its_own_checkout(repo):
    with (repo / "src/graft/data/split.py").open("a") as file:
        file.write('\nprint("split by", __file__)\n')
    output = dvc(repo, "exp", "run", "--temp", "split")
    assert executed(output) == ["split"]
    assert re.search(
        rf"^split by {re.escape(str(repo / '.dvc/tmp/exps'))}/.*split\.py$", output, re.MULTILINE
    )


class TestStatus:
    @pytest.fixture
    def clone(self, built, tmp_path):
        """A fresh clone, which has the code and the lock, and no data."""
        run(tmp_path, "git", "clone", "--quiet", str(built.repo), str(tmp_path / "clone"))
        return tmp_path / "clone"

    @pytest.fixture
    def lock(self, clone):
        return load_yaml(clone / "dvc.lock")

    def status(self, clone, fails=True):
        *stages, last = run(clone, "graft", "status", fails=fails).splitlines()
        return dict(line.split(": ", 1) for line in stages), last

    def test_a_fresh_clone_is_fresh_without_any_data(self, clone):
        assert self.status(clone, fails=False) == ({}, "dvc.lock is fresh")
        (clone / "README.md").write_text("another file")
        edit(clone, {"backbones.vgg19.image_size": 100})  # which no stage uses here
        assert self.status(clone, fails=False)[1] == "dvc.lock is fresh"

    def test_code_and_parameters_make_it_stale(self, clone):
        with (clone / "src/graft/data/split.py").open("a") as file:
            file.write("# another\n")
        edit(clone, {"scratch.epochs": 2})
        changed = dict.fromkeys(("train_scratch", "report"), "scratch modified")
        assert self.status(clone)[0] == {"split": "src/graft/data/split.py modified", **changed}

    @pytest.mark.long
    def test_metrics_of_another_run_make_it_stale(self, clone):
        (clone / "metrics/inline.json").write_text("{}")
        stale = self.status(clone)[0]
        assert set(stale) == {"evaluate@inline", "compare", "report"}
        assert all("metrics/inline.json modified" in reasons for reasons in stale.values())

    def test_stages_that_do_not_follow_from_each_other_make_it_stale(self, clone, lock):
        for dep in lock["stages"]["train_inline"]["deps"]:
            if dep["path"] == "data/manifest.csv":
                dep["md5"] = "0" * 32
        dump_yaml(clone / "dvc.lock", lock)
        assert self.status(clone)[0] == {"train_inline": "data/manifest.csv comes from a different run"}

    def test_a_stage_that_was_never_run_makes_it_stale(self, clone, lock):
        del lock["stages"]["report"]
        dump_yaml(clone / "dvc.lock", lock)
        stale, last = self.status(clone)
        assert stale == {"report": "not in dvc.lock"}
        assert "dvc.lock is stale: run `dvc repro`" in last

    def test_outside_a_repository(self, tmp_path):
        output = run(tmp_path, "graft", "status", fails=True)
        assert "run this in the repository, or name it with --root" in output
        assert "Traceback" not in output


@pytest.mark.long
def test_an_unknown_key_stops_before_any_work(repo):
    before = hashes(repo)
    edit(repo, {"split.fraction": 0.5})
    output = dvc(repo, "repro", fails=True)
    assert "split.fraction: unknown key; remove it or correct its name (received 0.5; legal here: " in output
    assert executed(output) == ["split"]
    run(repo, "graft", "back")
    assert hashes(repo) == before
    assert "Key 'fraction' is not in struct" in dvc(repo, "exp", "run", "-S", "split.fraction=1", fails=True)


@pytest.mark.long
def test_a_folder_of_ones_own_outside_the_repository(repo, tmp_path):
    folder = make_folder(tmp_path / "my photos")
    edit(repo, {"dataset": "folder", "source": str(folder)})
    assert executed(dvc(repo, "repro", "split")) == ["download", "prepare", "split"]
    manifest = pd.read_csv(repo / "data/manifest.csv")
    assert set(manifest["label"]) == {"red rose", "tulip"}
    assert "red rose/写真 é 0.jpg" in set(manifest["path"])
    assert executed(dvc(repo, "repro", "split")) == []

    (folder / "tulip/one more.jpg").write_bytes(picture(1000))
    assert executed(dvc(repo, "repro", "split")) == ["download", "prepare", "split"]
    assert len(pd.read_csv(repo / "data/manifest.csv")) == len(manifest) + 1


def empty(tmp_path):
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


def one_class(tmp_path):
    return make_folder(tmp_path / "photos", ["tulip"])


def climbing_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("tulip/1.jpg", picture(1))
        archive.writestr("../rose/2.jpg", picture(2))
    return tmp_path / "photos.zip"


def text_as_image(tmp_path):
    folder = make_folder(tmp_path / "photos")
    (folder / "tulip/notes.jpg").write_text("no picture")
    return folder


@pytest.mark.parametrize(
    ("source", "stage", "message"),
    [
        (empty, "download", r"photos holds no image: expected files ending in .*jpg"),
        pytest.param(
            one_class,
            "download",
            r"photos has one class only: expected .*, received 'tulip'",
            marks=pytest.mark.long,
        ),
        pytest.param(
            climbing_archive,
            "download",
            r"unsafe member name '\.\./rose/2\.jpg'",
            marks=pytest.mark.long,
        ),
        (text_as_image, "prepare", r"1 of 9 images rejected \(11\.11%\), .*max_rejected=0\.02"),
    ],
)
def test_bad_images_stop_the_stage_and_leave_nothing_half_written(repo, tmp_path, source, stage, message):
    edit(repo, {"dataset": "folder", "source": str(source(tmp_path))})
    output = dvc(repo, "repro", "split", fails=True)
    assert "Traceback" not in output
    assert re.search(message, output)
    assert executed(output)[-1] == stage
    assert not (repo / {"download": "data/raw", "prepare": "data/images"}[stage]).exists()
    assert not (repo / "data/images.partial").exists()
    assert not (tmp_path / "rose").exists()


@pytest.mark.long
def test_after_a_failure_the_old_parameters_bring_everything_back(repo, tmp_path):
    before = hashes(repo)
    folder = make_folder(tmp_path / "photos")
    shutil.copy(folder / "tulip/写真 é 0.jpg", folder / "red rose/again.jpg")
    edit(repo, {"dataset": "folder", "source": str(folder)})
    output = dvc(repo, "repro", "split", fails=True)
    assert "Traceback" not in output
    assert "expected one label per image, received several for 1 of 8" in output
    run(repo, "git", "checkout", "params.yaml")
    assert executed(dvc(repo, "repro", "split")) == []  # all from the run-cache
    assert hashes(repo) == before
