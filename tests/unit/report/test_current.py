"""The results that are of the parameters at hand, by what dvc.lock records."""

import json

import pytest

from graft.report.current import Lock, read_current
from graft.utils.files import digest, write_json
from helpers.comparison import make_facts, make_metrics

PARAMS = {"seed": 1, "split": {"validation": 0.1}, "linear": {"C": None}, "rates": [0.1, 1e-05]}


def stage(deps=(), outs=(), **params):
    return {
        "deps": [{"path": path, "md5": md5} for path, md5 in deps],
        "outs": [{"path": path, "md5": md5} for path, md5 in outs],
        "params": {"params.yaml": params},
    }


@pytest.fixture
def stages():
    return {
        "split": stage([("code.py", "c")], [("manifest", "m")], **{"seed": 1, "split.validation": 0.1}),
        "train": stage([("manifest", "m")], [("scores", "s")], linear={"C": None}, rates=[0.1, 1e-05]),
        "evaluate": stage([("scores", "s"), ("manifest", "m")], [("metrics", "e")]),
    }


def current(stages, params=PARAMS):
    lock = Lock({"stages": stages}, params)
    return [name for name in ("split", "train", "evaluate") if lock.is_current(name)]


def test_all_of_one_run_is_current(stages):
    assert current(stages) == ["split", "train", "evaluate"]


@pytest.mark.parametrize(
    ("params", "left"),
    [
        ({"linear": {"C": 0.1}}, ["split"]),
        ({"rates": [0.1]}, ["split"]),
        ({"seed": 2}, []),
        ({"split": {}}, []),
        ({"split": None}, []),
        ({"another": 1}, ["split", "train", "evaluate"]),
    ],
)
def test_what_follows_from_other_parameters_is_not(stages, params, left):
    assert current(stages, PARAMS | params) == left


def test_what_rests_on_another_output_is_not(stages):
    stages["split"]["outs"][0]["md5"] = "another"
    assert current(stages) == ["split"]


def test_what_was_never_run_is_not(stages):
    del stages["train"]
    assert current(stages) == ["split", "evaluate"]  # whose input then is a file like any other
    assert Lock({}, PARAMS).is_current("split") is False


def test_a_lock_knows_what_a_stage_read(stages):
    lock = Lock({"stages": stages}, PARAMS)
    assert (lock.reads("evaluate", "scores"), lock.reads("evaluate", "x"), lock.reads("x", "y")) == (
        "s",
        None,
        None,
    )


def test_views_are_shown_only_with_the_parameters_and_the_models_that_they_are_of(tmp_path):
    metrics = make_metrics(0.5) | {"facts": make_facts("linear")}
    plain = {"test": {"accuracy": metrics["test"]["accuracy"]}}
    views = {"tta": 4, "methods": [{"method": "linear", "plain": plain}]}
    for name, values in {"metrics/linear": metrics, "predictions/tta/index": views}.items():
        write_json(values, tmp_path / f"{name}.json")
    made = [("metrics/linear.json", digest(tmp_path / "metrics/linear.json", "md5"))]
    stages = {"evaluate@linear": stage([], made)}
    stages["tta"] = stage([], [("predictions/tta", "t.dir")], **{"predict.tta": 4})
    (tmp_path / "dvc.lock").write_text(json.dumps({"stages": stages}))

    def shown(tta):
        values = {"dataset": "demo", "source": "photos", "predict": {"tta": tta}}
        (tmp_path / "params.yaml").write_text(json.dumps(values))
        current = read_current(tmp_path)
        assert [row["method"] for row in current.comparison["methods"]] == ["linear"]
        return current.comparison.get("tta")

    assert shown(4) == views
    assert shown(0) is None
    plain["test"]["accuracy"] += 0.01
    write_json(views, tmp_path / "predictions/tta/index.json")
    assert shown(4) is None
