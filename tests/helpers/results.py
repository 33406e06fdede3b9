"""A DVC repository with results but without training: its stages take them from params.yaml, in a moment."""

import json
import shutil

import pytest
from dvc.utils.serialize import dump_yaml

from helpers.comparison import make_facts, make_metrics
from helpers.repository import ROOT, commit, dvc, edit, run

TWO = ("linear", "two_stage")
# What a method's accuracy is made of.
CAUSE = {"linear": ("linear", "C"), "two_stage": ("two_stage", "learning_rate")}
TRAIN = """\
import json, sys
from pathlib import Path
from graft.config.load import read_params
block, key = json.loads(Path("cause.json").read_text())[sys.argv[1]]
Path("predictions").mkdir(exist_ok=True)
accuracy = round(0.9 - (read_params("params.yaml")[block][key] or 0), 3)
Path(f"predictions/{sys.argv[1]}.parquet").write_text(f"{accuracy} {Path('data/manifest.csv').read_text()}")
"""
EVALUATE = """\
import json, sys
from pathlib import Path
accuracy = float(Path(f"predictions/{sys.argv[1]}.parquet").read_text().split()[0])
metrics = json.loads(Path(f"{sys.argv[1]}.json").read_text())
metrics["test"] |= {"accuracy": accuracy, "accuracy_low": accuracy - 0.1, "accuracy_high": accuracy + 0.05}
metrics["seeds"]["values"][0]["test_accuracy"] = accuracy
Path("metrics").mkdir(exist_ok=True)
Path(f"metrics/{sys.argv[1]}.json").write_text(json.dumps(metrics))
"""
PAIR = {"first": "linear", "second": "two_stage", "n_first_only": 3, "n_second_only": 1, "p_value": 0.6}
PAIR |= {"p_value_holm": 0.6, "difference": 0, "difference_low": None, "difference_high": None}
COMPARISON = json.dumps({"pairs": [PAIR | {"exceeds_noise": None}]})
COMPARE = f"import pathlib; pathlib.Path('metrics/comparison.json').write_text({COMPARISON!r})"
REPORT = """\
from pathlib import Path
Path("reports/index.html").write_text("page")
print("drawn")
"""
SCRIPTS = {
    "split.py": "from pathlib import Path\nPath('data').mkdir(exist_ok=True)\n"
    "Path('data/manifest.csv').write_text(Path('params.yaml').read_text().partition('dataset:')[2][:40])",
    "train.py": TRAIN,
    "evaluate.py": EVALUATE,
    "compare.py": COMPARE,
    "stages/report.py": REPORT,
}


def _graph():
    trained = {
        f"train_{name}": {
            "cmd": f"python train.py {name}",
            "deps": ["data/manifest.csv"],
            "params": [name],
            "outs": [f"predictions/{name}.parquet"],
        }
        for name in TWO
    }
    kept = {"cache": False}
    metrics = [f"metrics/{name}.json" for name in TWO]
    evaluate = {
        "cmd": "python evaluate.py ${item}",
        "deps": ["predictions/${item}.parquet"],
        "outs": [{"metrics/${item}.json": kept}],
    }
    return {
        "split": {
            "cmd": "python split.py",
            "params": ["seed", "dataset", "source"],
            "outs": ["data/manifest.csv"],
        },
        **trained,
        "evaluate": {"foreach": [*TWO], "do": evaluate},
        "compare": {
            "cmd": "python compare.py",
            "deps": metrics,
            "outs": [{"metrics/comparison.json": kept}],
        },
    }


def build_results(repo):
    """Make the repository, built and committed."""
    (repo / "stages").mkdir(parents=True)
    (repo / "reports").mkdir()
    shutil.copy(ROOT / "params.yaml", repo)
    edit(repo, {"two_stage.learning_rate": 0.001})
    shutil.copy(ROOT / ".gitignore", repo)
    for name, text in SCRIPTS.items():
        (repo / name).write_text(text)
    for name in TWO:
        (repo / f"{name}.json").write_text(json.dumps(make_metrics(0.5) | {"facts": make_facts(name)}))
    (repo / "cause.json").write_text(json.dumps(CAUSE))
    (repo / "reports/.gitkeep").touch()
    dump_yaml(repo / "dvc.yaml", {"stages": _graph()})
    run(repo, "git", "init", "--quiet")
    dvc(repo, "init", "--quiet")
    dvc(repo, "repro", "--quiet")
    run(repo, "graft", "params")  # which looks the layers up in Keras, once for all copies
    commit(repo, "results")


@pytest.fixture(scope="session")
def results(tmp_path_factory):
    """The repository; not to be changed: `copy_of_results` is."""
    repo = tmp_path_factory.mktemp("results") / "repo"
    build_results(repo)
    return repo


@pytest.fixture
def copy_of_results(results, tmp_path):
    return shutil.copytree(results, tmp_path / "repo", symlinks=True)
