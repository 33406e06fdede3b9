"""Results as a person reads them: `graft table`, `graft experiments`, the end of `graft repro` and `run`."""

import csv
import json
import re
import shutil
from io import StringIO

import pytest

from graft.config.load import read_params
from helpers.repository import METHODS, commit, dvc, edit, environment, run

PATHS = ["~/photos", "photos (1)", "Bilder/schön", "a=b", "2024"]
# Of an `evaluate` that wrote no seeds.
OLDER = """\
import pathlib, sys
text = pathlib.Path(f"{sys.argv[1]}.json").read_text()
pathlib.Path(f"metrics/{sys.argv[1]}.json").write_text(text)
"""
ROW = r"^{} +\*?([\d.]+|-) "


def table(repo):
    return run(repo, "graft", "table")


def accuracy(text, method):
    """The test accuracy that a row of the table shows."""
    return re.search(ROW.format(method), text, re.MULTILINE)[1]


class TestTable:
    def test_it_names_the_dataset_the_backbone_and_the_weights(self, results):
        text = table(results)
        dataset = read_params(results / "params.yaml")["dataset"]
        assert text.startswith(f"Dataset {dataset}, backbone vgg19, weights random\n")
        assert (accuracy(text, "linear"), accuracy(text, "two_stage")) == ("90.0", "89.9")
        assert "linear is better than two_stage on 3 images" in text
        assert accuracy(text, "inline") == "-"  # which this repository does not train

    def test_a_method_of_other_parameters_is_a_row_of_dashes(self, copy_of_results):
        edit(copy_of_results, {"linear.C": 0.1})
        text = table(copy_of_results)
        assert (accuracy(text, "linear"), accuracy(text, "two_stage")) == ("-", "89.9")
        others = ", ".join(method for method in METHODS if method != "two_stage")
        assert f"{others}: not run with these parameters" in " ".join(text.split())
        assert "is better than" not in text

    def test_with_another_dataset_nothing_is_shown(self, copy_of_results):
        edit(copy_of_results, {"dataset": "flowers"})
        text = table(copy_of_results)
        assert "No result is of these parameters" in text
        assert "89.9" not in text

    def test_a_trial_is_shown_by_its_name_and_not_beside_tests_of_another_run(self, copy_of_results):
        trial = ("exp", "run", "-n", "slow", "-S", "two_stage.learning_rate=0.05", "evaluate@two_stage")
        dvc(copy_of_results, *trial)
        text = table(copy_of_results)
        assert text.splitlines()[0].endswith(", experiment slow")
        assert (accuracy(text, "linear"), accuracy(text, "two_stage")) == ("90.0", "85.0")
        assert "is better than" not in text
        commit(copy_of_results, "slow")
        assert "experiment" not in table(copy_of_results)

    def test_metrics_that_were_edited_are_of_no_run(self, copy_of_results):
        file = copy_of_results / "metrics/linear.json"
        file.write_text(file.read_text() + "\n")
        assert accuracy(table(copy_of_results), "linear") == "-"


@pytest.fixture(scope="module")
def repo(results, tmp_path_factory):
    """A repository with experiments of several kinds."""
    repo = shutil.copytree(results, tmp_path_factory.mktemp("experiments") / "repo", symlinks=True)
    run(repo, "graft", "run", "-n", "schön", "-S", "two_stage.learning_rate=0.05", "compare")
    run(repo, "graft", "run", "-n", "wide", "-S", "two_stage.head.dense=[512, 256]", "compare")
    run(repo, "graft", "back")
    run(repo, "graft", "run", "-n", "part", "-S", "dataset=flowers", "evaluate@linear")
    run(repo, "graft", "back")
    run(repo, "graft", "run", "--queue", "-n", "q", "-S", "linear.C=0.2,0.3")
    return repo


@pytest.mark.long
class TestExperiments:
    def rows(self, repo, *options):
        text = run(repo, "graft", "experiments", "--csv", *options)
        return list(csv.DictReader(StringIO(text)))

    def test_it_fits_into_80_columns_and_says_what_differs(self, repo):
        text = run(repo, "graft", "experiments")
        assert max(map(len, text.splitlines())) <= 80
        assert "  two_stage.head.dense=[512, 256]\n" in text
        assert re.search(r"^q-1 \(queued\)$", text, re.MULTILINE)
        assert re.search(r"^schön\n +90\.0 +85\.0 .*\n +80\.0-95\.0 +75\.0-90\.0$", text, re.MULTILINE)

    def test_csv_and_json_hold_the_same_experiments(self, repo):
        rows = {row["name"]: row for row in self.rows(repo)}
        objects = {each["name"]: each for each in json.loads(run(repo, "graft", "experiments", "--json"))}
        assert set(rows) == set(objects) == {"master", "schön", "wide", "part", "q-1", "q-2"}
        assert (
            float(rows["schön"]["two_stage.test"]) == objects["schön"]["results"]["two_stage"]["test"] == 0.85
        )
        assert objects["wide"]["differs"] == [
            "two_stage.head.dense=[512, 256]",
            "two_stage.learning_rate=0.05",
        ]

    def test_results_of_another_dataset_are_not_shown_as_its_own(self, repo):
        (part,) = (row for row in self.rows(repo) if row["name"] == "part")
        assert part["linear.test"] == "0.9"
        assert part["two_stage.test"] == ""

    def test_the_best_comes_first_or_the_names_are_in_order(self, repo):
        values = [
            row["two_stage.test"] for row in self.rows(repo, "--sort", "two_stage") if row["two_stage.test"]
        ]
        assert values == sorted(values, reverse=True)
        names = [row["name"] for row in self.rows(repo, "--sort", "name")]
        assert names == sorted(names)
        assert "--sort='bad': expected name, linear" in run(
            repo, "graft", "experiments", "--sort", "bad", fails=True
        )


def test_without_experiments_and_outside_of_a_repository_it_is_a_sentence(results, tmp_path):
    assert run(results, "graft", "experiments").startswith("no experiment began at this commit")
    said = run(tmp_path, "graft", "experiments", fails=True)
    assert "run this in the repository, or name it with --root" in said


class TestRepro:
    def test_what_runs_is_not_announced_by_dvc_and_the_page_is_drawn(self, copy_of_results):
        edit(copy_of_results, {"linear.C": 0.1})
        output = run(copy_of_results, "graft", "repro")
        assert not re.search("^(Running|>|Updating)", output, re.MULTILINE)
        assert output.endswith("drawn\n")

    def test_a_second_one_runs_nothing_and_prints_the_table_and_the_page(self, copy_of_results):
        run(copy_of_results, "graft", "repro")
        output = run(copy_of_results, "graft", "repro")
        assert "Data and pipelines are up to date." in output
        assert accuracy(output, "linear") == "90.0"
        assert output.endswith("reports/index.html\n")
        assert "drawn" not in output

    def test_what_dvc_restores_is_named(self, copy_of_results):
        for rate in (0.05, 0.001):
            edit(copy_of_results, {"two_stage.learning_rate": rate})
            output = run(copy_of_results, "graft", "repro")
        assert "'train_two_stage' is cached" in output

    def test_what_fails_is_said_and_fails(self, copy_of_results):
        (copy_of_results / "train.py").write_text("raise SystemExit('no')")
        edit(copy_of_results, {"linear.C": 0.1})
        assert "failed to reproduce 'train_linear'" in run(copy_of_results, "graft", "repro", fails=True)
        edit(copy_of_results, {"seed": -1})
        output = run(copy_of_results, "graft", "repro", fails=True)
        assert output.startswith("params.yaml is not valid:\n  seed: ")

    def test_options_and_targets_are_those_of_dvc(self, copy_of_results):
        output = run(copy_of_results, "graft", "repro", "--dry", "--force", "split")
        assert "drawn" not in output


class TestRun:
    @pytest.mark.parametrize(
        "path",
        ["a,b", *(pytest.param(path, marks=pytest.mark.long) for path in PATHS)],
    )
    def test_a_path_arrives_as_it_is(self, copy_of_results, path):
        run(copy_of_results, "graft", "run", "-S", "dataset=folder", "-S", f"source={path}", "split")
        home = environment(copy_of_results)["HOME"]
        assert read_params(copy_of_results / "params.yaml")["source"] == path.replace("~", home)

    def test_a_wrong_key_is_answered_before_anything_runs(self, copy_of_results):
        output = run(copy_of_results, "graft", "run", "-S", "two_stage.hed.dropout=0.3", fails=True)
        assert output.startswith(
            "-S two_stage.hed.dropout: two_stage has no key 'hed'; did you mean two_stage.head?"
        )
        assert run(copy_of_results, "git", "status", "--porcelain") == ""

    def test_a_wrong_value_too(self, copy_of_results):
        output = run(copy_of_results, "graft", "run", "-S", "two_stage.head.dropout=1.3", fails=True)
        assert output.startswith(
            "params.yaml would not be valid:\n  two_stage.head.dropout: input should be less"
        )


def test_a_lock_with_the_conflict_of_a_merge_is_said(copy_of_results):
    lock = copy_of_results / "dvc.lock"
    lock.write_text(f"<<<<<<< HEAD\n{lock.read_text()}")
    said = run(copy_of_results, "graft", "table", fails=True)
    assert said.startswith("dvc.lock cannot be read: ")
    commit(copy_of_results, "with the conflict")
    assert json.loads(run(copy_of_results, "graft", "experiments", "--json"))[0]["results"] == {}


def test_an_experiment_with_metrics_of_an_older_format_hides_no_other(copy_of_results):
    file = copy_of_results / "linear.json"
    file.write_text(json.dumps({k: v for k, v in json.loads(file.read_text()).items() if k != "seeds"}))
    (copy_of_results / "evaluate.py").write_text(OLDER)
    run(copy_of_results, "dvc", "repro", "--force", "evaluate@linear")
    commit(copy_of_results, "older")
    assert "linear" not in json.loads(run(copy_of_results, "graft", "experiments", "--json"))[0]["results"]


@pytest.mark.parametrize("command", ["run", "repro"])
def test_in_a_sub_folder_the_root_is_asked_for(copy_of_results, command):
    output = run(copy_of_results / "stages", "graft", command, fails=True)
    assert output == "params.yaml is not in this folder: run this in the root of the repository\n"


def test_a_params_yaml_that_cannot_be_read_is_said(copy_of_results):
    run(copy_of_results, "graft", "run", "-n", "wide", "-S", "two_stage.head.dense=[2048]", "compare")
    (copy_of_results / "params.yaml").write_text("seed: [")
    assert "\n  params.yaml cannot be read\n" in run(copy_of_results, "graft", "experiments")
