"""docs/experiments.md and the CI's report, run as they stand: in clones of one small repository."""

import json
import re
import shlex
import sys
from io import StringIO

import pandas as pd
import psutil
import pytest
from dvc.utils.serialize import load_yaml

from helpers.repository import AFTER_A_HEAD, METHODS, ROOT, commit, dvc, edit, executed, run

pytestmark = pytest.mark.long
PAGE = (ROOT / "docs/experiments.md").read_text(encoding="utf-8")
QUEUE = "Sweep: the queue"  # runs in a clone of its own
NO_GRAFT = """
import sys
class NoGraft:
    def find_spec(name, *_):
        if name.split(".")[0] == "graft":
            raise ImportError(name)
sys.meta_path.insert(0, NoGraft)
"""


def commands(section):
    """The commands of a section of the page."""
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return "".join(re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)).splitlines()


@pytest.fixture(scope="module")
def origin(copy_of_built):
    """A bare Git repository of the small results, whose DVC outputs are on a remote."""
    repo = copy_of_built
    dvc(repo, "remote", "add", "--default", "team", str(repo.parent / "remote"))
    dvc(repo, "push", "--quiet")
    commit(repo, "remote")
    bare = repo.parent / "origin.git"
    run(repo, "git", "clone", "--quiet", "--bare", ".", str(bare))
    return bare


@pytest.fixture(scope="module")
def clone(origin, tmp_path_factory):
    """A function that clones it."""

    def clone(name):
        folder = tmp_path_factory.mktemp(name)
        run(folder, "git", "clone", "--quiet", str(origin), str(folder / "repo"))
        return folder / "repo"

    return clone


@pytest.fixture(scope="module")
def page(clone, origin):
    """What each command of the page printed, in their order; and the folder it was run in."""
    repo = clone("page")
    dvc(repo, "pull", "--quiet")
    printed = {}
    for section in re.findall(r"^## (.+)$", PAGE, re.MULTILINE):
        for command in [] if section == QUEUE else commands(section):
            filled = command.replace("<this repository>", shlex.quote(str(origin)))
            outside = command.startswith("dvc artifacts get")
            printed[command] = run(repo.parent if outside else repo, "sh", "-c", filled)
    return printed, repo


def output(page, start):
    """What the only command that starts so printed."""
    (found,) = (text for command, text in page[0].items() if command.startswith(start))
    return found


def table(markdown):
    """The first table of a text in Markdown."""
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return pd.DataFrame(cells[2:], columns=cells[0])


NAMES = {"wide", "rate-0.003", "rate-0.0001"}
SHOW = "dvc exp show --only-changed --drop '.*/'"
FIGURES = [f"two_stage.{split}_{kind}" for kind in ("acc", "mean") for split in ("test", "val")]
OPTIONS = ["two_stage.head.dense", "two_stage.learning_rate"]


def test_a_change_of_head_trains_that_head_only(page):
    ran = executed(output(page, "graft run -n wide"))
    assert sorted(ran) == sorted(AFTER_A_HEAD)


def test_the_loop_trains_every_rate(page):
    ran = executed(output(page, "for rate in"))
    assert ran == ["train_two_stage", "evaluate@two_stage"] * 2


def shown(page):
    """The table of experiments, from `--csv`."""
    return pd.read_csv(StringIO(output(page, f"{SHOW} --csv")), index_col="Experiment")


def test_the_table_has_short_columns_of_what_differs_only(page):
    csv, markdown = shown(page), table(output(page, f"{SHOW} --md"))
    differ = [name for name in FIGURES if name in csv]
    assert differ
    assert csv.columns.tolist() == ["rev", "typ", "Created", *differ, *OPTIONS]
    assert set(csv.index.dropna()) == NAMES
    assert markdown.columns.tolist() == ["Experiment", "Created", *differ, *OPTIONS]
    plain = page[0][SHOW]
    assert all(name in plain for name in [*NAMES, *differ, *OPTIONS])
    assert "…" not in plain  # nothing is cut off


def test_the_best_test_accuracy_comes_first(page):
    names = re.findall(r"── \w+ \[(.+?)\]", output(page, f"{SHOW} --sort-by"))
    assert set(names) == NAMES
    assert shown(page).loc[names, "two_stage.test_acc"].is_monotonic_decreasing


def test_a_diff_is_of_both_experiments(page):
    text = output(page, "dvc exp diff wide")
    for name, wide, fast in ((OPTIONS[0], "[2048]", "[8]"), (OPTIONS[1], "0.0003", "0.003")):
        assert re.search(rf"^params.yaml +{name} +{re.escape(wide)} +{re.escape(fast)} ", text, re.MULTILINE)
    changes = table(output(page, "dvc metrics diff --md"))
    assert changes.columns.tolist() == ["Path", "Metric", "HEAD", "wide", "Change"]
    assert set(changes["Metric"]) <= set(FIGURES)


def charts(html):
    """The Vega charts of a page of DVC's, by title."""
    decoder = json.JSONDecoder()
    found = [decoder.raw_decode(html, match.end())[0] for match in re.finditer("var spec = ", html)]
    return {chart["title"]["text"]: chart for chart in found}


def test_plots_lay_two_experiments_over_each_other(page, tmp_path):
    _, repo = page
    printed = output(page, "dvc plots diff wide rate-0.003 --targets")
    assert (repo / "dvc_plots/index.html").as_uri() in printed
    dvc(repo, "plots", "diff", "wide", "rate-0.003", "--out", str(tmp_path))
    found = charts((tmp_path / "index.html").read_text(encoding="utf-8"))
    for chart in found.values():
        assert {point["rev"] for point in chart["data"]["values"]} == {"wide", "rate-0.003"}
    lines = {title: chart for title, chart in found.items() if "facet" not in chart}
    assert {"Validation accuracy by epoch", "Validation loss by epoch", "Training loss by epoch"} < set(lines)
    for title, chart in lines.items():
        assert chart["encoding"]["color"]["field"] == "rev", title
        assert chart["encoding"]["strokeDash"]["field"] == "filename", title
    (roc,) = (chart for title, chart in lines.items() if title.startswith("ROC"))
    assert [roc["encoding"][axis]["title"] for axis in "xy"] == ["false positive rate", "true positive rate"]
    assert "loess" not in json.dumps(roc)
    for method in METHODS:  # side by side
        confusion = found[f"{method} on the test images"]
        assert confusion["facet"]["column"]["field"] == "rev"
        axes = confusion["spec"]["encoding"]
        assert (axes["x"]["title"], axes["y"]["title"]) == ("actual", "predicted")


def test_the_winner_is_applied_without_training(page):
    assert executed(output(page, "dvc repro")) == []
    _, repo = page
    assert run(repo, "git", "status", "--porcelain", "--untracked-files=no") == ""
    assert run(repo, "git", "log", "origin/HEAD", "-1", "--format=%s") == "two_stage: a wider head\n"


def test_the_artifact_opens_without_graft(page):
    """In another folder, and with an import of graft refused."""
    _, repo = page
    assert (repo.parent / "model.keras").read_bytes() == (repo / "models/two_stage/model.keras").read_bytes()
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    check = "assert 'graft' not in sys.modules\nprint(model.predict(images).shape)"
    assert "(1, 5)" in run(repo.parent, sys.executable, "-I", "-c", f"{NO_GRAFT}\n{code}\n{check}")


def test_the_artifacts_are_the_deployable_files():
    graph = load_yaml(ROOT / "dvc.yaml")
    files = {name: f"models/{name}/model.keras" for name in METHODS}
    assert {name.replace("-", "_"): each["path"] for name, each in graph["artifacts"].items()} == files
    for method, file in files.items():
        assert file in graph["stages"][f"train_{method}"]["outs"]


@pytest.fixture
def queue(clone):
    """A clean clone; no worker outlives it."""
    repo = clone("queue")
    yield repo
    for process in workers(repo):
        process.kill()


def workers(repo):
    """The processes that run in a repository."""
    found = psutil.process_iter(["cwd", "status"])
    return [each for each in found if each.info["cwd"] == str(repo) and each.info["status"] != "zombie"]


def test_the_queue_works_from_a_clean_clone(queue):
    # Into a file, as on a terminal: the worker keeps its end of a pipe open.
    printed = {}
    for command in commands(QUEUE):
        run(queue, "sh", "-c", f"{command} > ../printed 2>&1")
        printed[command] = (queue.parent / "printed").read_text(encoding="utf-8")
    psutil.wait_procs(workers(queue), timeout=60)
    assert workers(queue) == []
    assert "Started '1' new experiments task queue worker" in printed["dvc queue start"]
    assert re.findall(r"(drop-\d) .* (\w+)$", printed["dvc queue status"], re.MULTILINE) == [
        ("drop-1", "Success"),
        ("drop-2", "Success"),
    ]
    assert executed(printed["dvc queue logs drop-1"]) == ["train_two_stage", "evaluate@two_stage"]
    assert sorted(dvc(queue, "exp", "list", "--name-only").split()) == ["drop-1", "drop-2"]
    assert run(queue, "git", "status", "--porcelain") == ""  # the workspace is left alone


def test_the_readme_shows_the_page_s_table():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for command in [*commands("Change a parameter")[:1], *commands("Compare")[:1]]:
        assert f"\n{command} " in readme


def report(repo):
    """What the CI's report says in a repository."""
    workflow = load_yaml(ROOT / ".github/workflows/ci.yml")
    (script,) = (step["run"] for step in workflow["jobs"]["demo"]["steps"] if step.get("name") == "Report")
    summary = repo.parent / "summary.md"
    run(repo, "env", f"GITHUB_STEP_SUMMARY={summary}", "bash", "-e", "-c", script)
    return summary.read_text(encoding="utf-8")


def test_the_report_says_what_the_commit_changed_and_what_the_machine(clone):
    """In a fresh clone, without any data."""
    repo = clone("report")
    edit(repo, {"two_stage.epochs": 2})
    file = repo / "metrics/summary/two_stage.json"
    figures = json.loads(file.read_text())["two_stage"]
    file.write_text(json.dumps({"two_stage": {**figures, "test_acc": 0.125}}))
    commit(repo, "two epochs")
    file.write_text(json.dumps({"two_stage": {**figures, "test_acc": 0.25}}))
    first, second = report(repo).split("## The demo as committed")
    metrics, params = first.split("| Param")
    changed = table(metrics).set_index("Metric")
    assert changed.index.tolist() == ["two_stage.test_acc"]
    assert changed.loc["two_stage.test_acc", "HEAD"] == "0.125"
    assert re.search(r"^\| two_stage.epochs +\| 1 +\| 2 +\| 1 ", params, re.MULTILINE)
    rebuilt = table(second).set_index("Metric")
    assert rebuilt.loc["two_stage.test_acc", ["HEAD", "workspace"]].tolist() == ["0.125", "0.25"]
    assert {f"{method}.val_acc" for method in METHODS} < set(rebuilt.index)
