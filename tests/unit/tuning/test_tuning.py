"""`graft tune`: trials are the method's own training runs, and nothing but train and validation decides."""

import copy
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dvc.utils.serialize import dump_yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from graft.cli.main import app
from graft.cli.overrides import apply, read_overrides
from graft.config import paths
from graft.config.load import ParamsError, read_params
from graft.config.training import CachedMethod, Linear
from graft.config.tuning import Range, replace
from graft.data.manifest import read_manifest, write_manifest
from graft.features.format import write_features
from graft.methods.cached import Cached, load_cached
from graft.methods.head_training import head_trainer
from graft.methods.linear import Room, choose_grid, fit_features
from graft.methods.params import parse_params
from graft.methods.run import Run
from graft.report.charts.tuning import draw_study
from graft.report.provenance import show_value
from graft.report.tuning import name_command, tabulate_finalists
from graft.training import steps
from graft.training.decision import class_scores
from graft.tuning import study
from graft.tuning.command import tune_method
from graft.tuning.heads import HeadTrainer
from graft.tuning.space import find_present, suggest
from graft.tuning.study import Search, open_journal, run_trials
from graft.tuning.trainers import LinearTrainer
from graft.utils.belonging import read_values
from graft.utils.progress import Bar
from helpers.repository import ROOT

optuna = pytest.importorskip("optuna")
DEFAULTS = read_params(ROOT / "params.yaml")
SPACE = {
    "head": {"dropout": {"low": 0.0, "high": 0.9}, "dense": [[], [6]]},
    "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
}
N, WIDTH, VIEWS = {"train": 40, "validation": 24, "test": 20}, 12, 2


def build_root(root: Path, without: str = "") -> Path:
    """A repository as far as a search reads it, whose features lack those of a split."""
    rng = np.random.default_rng(0)
    rows = [(f"{i:064x}", split) for i, split in enumerate(s for s, n in N.items() for _ in range(n))]
    manifest = pd.DataFrame(rows, columns=["key", "split"])
    manifest["label"] = np.array(["daisy", "rose", "tulip"])[rng.integers(0, 3, len(rows))]
    manifest["path"] = manifest["key"]
    root.joinpath("data").mkdir(parents=True)
    write_manifest(manifest, root / paths.MANIFEST)
    x = (
        rng.normal(size=(1 + VIEWS, len(rows), WIDTH))
        + 2.0 * (manifest["label"] == "rose").to_numpy()[:, None]
    )
    for folder, views in ((paths.FEATURES, [0]), (paths.VIEWS, range(1, VIEWS + 1))):
        (root / folder).mkdir()
        kept = [(view, i) for view in views for i, row in enumerate(rows) if row[1] != without]
        where = tuple(np.array(kept).T)
        write_features(
            root / folder / "0.parquet", [(rows[i][0], view) for view, i in kept], x[where].astype("f2"), {}
        )
    values = copy.deepcopy(DEFAULTS)
    values["tune"] |= {name: copy.deepcopy(SPACE) for name in ("two_stage", "two_stage_views")}
    values["features"]["views"] = VIEWS
    for name in ("two_stage", "two_stage_views"):
        values[name] |= {"epochs": 5, "head": {**values[name]["head"], "dense": [6]}}
    dump_yaml(root / "params.yaml", values)
    return root


def run_of(root: Path) -> Run:
    folders = [root / each for each in (paths.IMAGES, paths.FEATURES, paths.VIEWS, paths.BACKBONE)]
    return Run(read_manifest(root / paths.MANIFEST), *folders, temporary=root / "temporary")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_root(tmp_path_factory.mktemp("tuning") / "root")


@pytest.fixture(scope="module")
def cached(root: Path) -> Cached:
    return load_cached(run_of(root), 0, 1.0, ("validation",))


BLOCK = {**DEFAULTS["two_stage"], "epochs": 4, "batch_size": 8}
BLOCK = replace(BLOCK, {"head.dense": [6], "learning_rate": 0.01})
CHANGES: list[dict[str, Any]] = [
    {},
    {"head.dropout": 0.3, "learning_rate": 0.003},
    {"head.dropout": 0.0, "mix": "mixup", "sampling": "balanced"},
    {"head.l2": 0.01, "head.dropout": 0.55},
    {"head.l2": 0.0003, "head.dropout": 0.1, "label_smoothing": 0.1},
    {"schedule.name": "cosine", "head.batch_norm": True, "head.normalise": "standardise"},
    {"schedule.name": "reduce_on_plateau", "schedule.patience": 1, "class_weight": "balanced"},
]


def check_trials(trainer: HeadTrainer, cached: Cached, change: dict[str, Any], seed: int) -> None:
    """A trial on shared programs against a training run of the method."""
    block = CachedMethod.model_validate(replace(BLOCK, change))
    told: list[float] = []
    score = trainer(block, seed, lambda _, loss: told.append(loss))
    head, history = head_trainer(cached.plain, cached.data_for(block), cached.n_classes, block)(seed, None)
    best = int(history["val_loss"].argmin())
    assert score.accuracy == history["val_accuracy"][best]
    assert (score.epochs, score.loss) == (len(history), told[best])
    if not (block.head.l2 or block.label_smoothing):
        assert told == list(history["val_loss"])
    inputs, labels = cached.data_for(block).validation
    scores = class_scores(head.predict_on_batch(inputs))[range(len(labels)), labels]
    assert score.loss == pytest.approx(float(-np.log(scores).mean()), rel=1e-6)


def test_a_trial_is_the_methods_own_training_run_bit_for_bit(cached: Cached) -> None:
    trainer = HeadTrainer(cached)
    for change in CHANGES[:2]:
        check_trials(trainer, cached, change, seed=3)


@pytest.mark.long
def test_so_it_is_with_other_options_in_any_order(cached: Cached) -> None:
    trainer = HeadTrainer(cached)
    for change in [*CHANGES[2:], CHANGES[2]]:
        check_trials(trainer, cached, change, seed=3)


@pytest.mark.long
def test_also_where_xla_compiles_the_program(cached: Cached, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "LARGE", 0)
    trainer = HeadTrainer(cached)
    for change in CHANGES[1:4:2]:
        check_trials(trainer, cached, change, seed=1)


def test_trials_share_the_programs_of_heads_of_one_shape(cached: Cached) -> None:
    trainer = HeadTrainer(cached)
    for dropout, rate in ((0.2, 0.01), (0.7, 0.001), (0.45, 0.0005)):
        block = replace(BLOCK, {"head.dropout": dropout, "learning_rate": rate})
        trainer(CachedMethod.model_validate(block), 0, lambda *_: None)
    assert trainer.compiled.cache_info().misses == 1


@pytest.mark.parametrize("normalise", ["l2", "standardise"])
@pytest.mark.parametrize("c", [None, 0.3])
def test_linear_is_fitted_as_the_method_fits_it(root: Path, cached: Cached, normalise: str, c: float) -> None:
    block = Linear.model_validate(DEFAULTS["linear"] | {"normalise": normalise, "C": c})
    room = Room(1.0, root)
    *_, history = fit_features(cached.plain, cached.labels, choose_grid(block), block, room)
    score = LinearTrainer(cached, room)(block, 0, lambda *_: None)
    assert score.loss == pytest.approx(history["val_loss"].min(), rel=1e-9)


@pytest.mark.parametrize("method", ["linear", pytest.param("two_stage_views", marks=pytest.mark.long)])
def test_test_images_are_not_read(method: str, root: Path, tmp_path: Path) -> None:
    """Their features are not even there."""
    lacking = build_root(tmp_path / "lacking", without="test")
    assert tune_method(lacking, method, 3, None) == tune_method(root, method, 3, None)


@pytest.mark.parametrize("method", ["linear", pytest.param("two_stage", marks=pytest.mark.long)])
def test_an_interrupted_search_ends_as_one_that_was_not(
    method: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study, "AT_RANDOM", 4)
    n = 9
    through = tune_method(root, method, n, None)
    other = build_root(tmp_path / "other")
    tune_method(other, method, 3, None)
    tune_method(other, method, n - 2, None)
    (journal,) = (other / paths.STUDIES).glob(f"{method}-*.jsonl")
    journal.write_bytes(journal.read_bytes()[:-40])  # as a kill leaves it
    for _ in range(2):
        assert tune_method(other, method, n, None) == through
    history = pd.read_parquet(other / paths.STUDIES / f"{method}.parquet")
    assert list(history["number"]) == list(range(1, n + 1))
    assert {*through["space"], "loss", "accuracy"} <= {*history}


def search_of(train: Any) -> Search:
    space = {"C": Range(low=0.1, high=10.0, log=True)}
    return Search(DEFAULTS["linear"], space, Linear.model_validate, train, (0,))


def test_ctrl_c_leaves_the_trials_before_it(tmp_path: Path, root: Path, cached: Cached) -> None:
    trainer, calls = LinearTrainer(cached, Room(1.0, root)), iter(range(9))

    def train(*arguments: Any) -> Any:
        if next(calls) == 3:
            raise KeyboardInterrupt
        return trainer(*arguments)

    file = tmp_path / "journal.jsonl"
    with pytest.raises(KeyboardInterrupt), open_journal(file) as journal, Bar("trials") as bar:
        run_trials(journal, search_of(train), 8, None, bar)
    with open_journal(file) as journal:
        assert len(journal.trials) == 3


@pytest.mark.long
def test_a_trial_that_time_ends_is_none(tmp_path: Path) -> None:
    found = tune_method(build_root(tmp_path / "root"), "two_stage", 10**6, 3.0)
    assert {each["state"] for each in found["trials"]} <= {"complete", "pruned"}
    assert len(found["finalists"][0]["losses"]) == len(DEFAULTS["seeds"])


def test_no_time_leaves_the_values_of_params_yaml(tmp_path: Path) -> None:
    other = build_root(tmp_path / "other")
    found = tune_method(other, "linear", 3, 1e-9)
    assert [each["number"] for each in found["finalists"]] == [0]
    assert found["trials"] == found["overrides"] == []
    assert draw_study("s", found)[0][0] is None


def test_a_journal_belongs_to_one_process_and_is_readable(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    with open_journal(file), pytest.raises(ValueError, match="another process"), open_journal(file):
        pass
    file.write_text('{"op_code": 99}\nno JSON\n{}\n')
    with pytest.raises(ValueError, match=r"is damaged .*: delete it"), open_journal(file):
        pass


def test_another_space_or_block_begins_another_study(tmp_path: Path) -> None:
    root = build_root(tmp_path / "root")
    for changes in ({}, {"tune.linear": {"C": [0.1, 1.0]}}, {"linear.C": 1.0}, {}):
        values = replace(read_params(root / "params.yaml"), changes)
        dump_yaml(root / "params.yaml", values)
        tune_method(root, "linear", 1, None)
    assert len([*(root / paths.STUDIES).glob("linear-*.jsonl")]) == 3


def test_the_report_shows_a_study_of_these_features_only(tmp_path: Path) -> None:
    root = build_root(tmp_path / "root")
    found = tune_method(root, "linear", 12, None)
    assert read_values(root, paths.TUNING) == {"linear": found}
    (trials, _), (importance, _) = draw_study("study", found)
    assert "12 trials" in trials.alt
    assert "C" in importance.alt
    assert "0" in tabulate_finalists(found).names
    shard = root / paths.FEATURES / "0.parquet"
    shard.write_bytes(shard.read_bytes()[:-9] + b"x" * 9)
    assert read_values(root, paths.TUNING) == {}


@settings(max_examples=15)  # DVC takes its time
@given(st.data())
def test_a_suggestion_is_legal_short_and_typed_as_the_command_has_it(data: st.DataObject) -> None:
    space = {
        "head.dropout": Range(low=0.05, high=0.123456),
        "learning_rate": Range(low=1e-5, high=0.9, log=True),
        "epochs": Range(low=1, high=9),
        "head.dense": [[], [6], [6, 8]],
        "mix": ["none", "mixup"],
    }
    sampler = optuna.samplers.RandomSampler(seed=data.draw(st.integers(0, 1000)))
    values = suggest(optuna.create_study(sampler=sampler).ask(), space)
    assert 0.05 <= values["head.dropout"] <= 0.123456
    assert isinstance(values["epochs"], int)
    assert float(f"{values['learning_rate']:.3g}") == values["learning_rate"]
    typed = shlex.split(name_command([f"two_stage.{key}={show_value(v)}" for key, v in values.items()]))
    assert typed[:3] == ["dvc", "exp", "run"]
    applied = next(apply(read_overrides(typed[4::2], DEFAULTS), DEFAULTS))
    assert applied["two_stage"] == replace(DEFAULTS["two_stage"], values)


def test_a_search_begins_with_the_values_of_params_yaml_that_the_space_holds() -> None:
    space = {"C": Range(low=0.1, high=1.0), "normalise": ["none", "l2"]}
    assert find_present(DEFAULTS["linear"], space) == {"normalise": "l2"}
    assert find_present(DEFAULTS["linear"] | {"C": 0.5}, space) == {"normalise": "l2", "C": 0.5}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("linear.C", {"low": 0, "high": 1.0}, "tune.linear: C: .* greater than 0, received 0"),
        ("linear.C", {"low": 2.0, "high": 1.0}, "C: expected low < high, received low=2.0 and high=1.0"),
        ("linear.C", {"low": 0.1}, "C.high: missing"),
        ("linear.C", 3, "C: expected {low: .., high: ..} or a list of choices, received 3"),
        ("linear.normalise", ["l2", "l3"], "tune.linear: normalise: .*, received 'l3'"),
        ("linear.normalize", ["l2"], "normalize: unknown key; legal here: pooling, normalise, C"),
        ("two_stage.head.dense", [[3], 4], "head.dense: .* received 4"),
        ("two_stage.head.dropout", {"low": 0.5, "high": 1.5}, "head.dropout: .* less than 1, received 1.5"),
        ("two_stage.mix", ["cutmix"], "mix=cutmix moves parts of feature maps"),
        ("inline", {}, "tune.inline: unknown key.* legal here: linear, two_stage, two_stage_views"),
    ],
)
def test_what_is_searched_must_be_legal_at_its_ends(key: str, value: Any, message: str) -> None:
    values = replace(DEFAULTS, {f"tune.{key}": value})
    with pytest.raises(ParamsError, match=message):
        parse_params(values)


EDITS = [
    ("tune.two_stage.head.dropout.high", 0.5),
    ("tune.two_stage.head.dense", [[8], [16, 8]]),
    ("tune.linear.C", {"low": 0.01, "high": 1.0, "log": False}),
]


@pytest.mark.parametrize(("key", "value"), EDITS)
def test_dvc_can_edit_a_space(key: str, value: Any) -> None:
    changed = replace(DEFAULTS, {key: value})
    assert next(apply(read_overrides([f"{key}={show_value(value)}"], DEFAULTS), DEFAULTS)) == changed


def test_what_cannot_be_tuned_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = build_root(tmp_path / "root")
    monkeypatch.chdir(root)
    other = CliRunner().invoke(app, ["tune", "inline"])
    assert (other.exit_code, other.stderr) == (
        1,
        "'inline' cannot be tuned: expected one of linear, two_stage, two_stage_views\n",
    )
    (root / paths.FEATURES / "0.parquet").unlink()
    missing = CliRunner().invoke(app, ["tune", "linear"])
    assert missing.exit_code == 1
    assert missing.stderr == "no features in data/features: expected *.parquet; run `dvc repro`\n"
