"""An export is made, run again and recorded, or refused."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.export.check import TOLERANCES, compare_to_keras, find_faults
from graft.export.making import PARTIAL, Source, _replace, export
from graft.export.measure import Measured
from graft.export.records import read_exports, write_exports
from graft.export.registry import FORMATS, Format
from graft.models.card import read_card
from graft.utils.temporary import emptied

RECORD = {"format": "onnx", "precision": "int8", "file": "exports/a.onnx", "bytes": 3}


def compare(scores: Any, keras_scores: Any, y_true: Any) -> dict[str, Any]:
    return compare_to_keras(Measured(scores, {}), Measured(keras_scores, {}), y_true)


@given(st.integers(1, 60), st.integers(2, 7), st.integers(0, 2**32 - 1), st.sampled_from(list(TOLERANCES)))
def test_the_same_scores_have_no_fault_and_others_do(n: int, k: int, seed: int, precision: str) -> None:
    rng = np.random.default_rng(seed)
    scores, y_true = rng.dirichlet(np.ones(k), n), rng.integers(0, k, n)
    same = compare(scores, scores, y_true)
    assert find_faults(same, precision) == []
    assert (same["max_difference"], same["differing_answers"], same["p_value"]) == (0, 0, 1)
    far = np.roll(np.eye(k)[scores.argmax(1)], 1, axis=1)
    assert any(
        "a score differs" in each
        for each in find_faults(compare(far, np.eye(k)[scores.argmax(1)], y_true), precision)
    )
    assert find_faults(compare(scores * np.nan, scores, y_true), precision)[0] == "a score is not a number"


def test_many_other_answers_are_a_fault_though_the_scores_are_close() -> None:
    expected = np.tile([0.5001, 0.4999], (50, 1))
    faults = find_faults(compare(expected[:, ::-1], expected, np.zeros(50, int)), "float32")
    assert "50 of 50 answers differ (at most 0%, or one)" in faults
    assert any("McNemar" in each for each in faults)


@pytest.fixture(scope="module")
def in_keras() -> dict[str, Any]:
    """The runs of the model in Keras, which two tests compare with: each takes ten seconds."""
    return {}


@pytest.fixture
def source(trained: Any, images: Path, manifest: Any, tmp_path: Path) -> Source:
    folder = tmp_path / "models/two_stage"
    folder.mkdir(parents=True)
    shutil.copy(trained["two_stage"].model, folder)
    return Source(folder, images, manifest, "0" * 40)


@pytest.mark.long
def test_an_export_is_recorded_beside_others_and_has_the_commit(
    source: Source, in_keras: dict[str, Any]
) -> None:
    pytest.importorskip("onnxruntime")
    vars(source).update(in_keras)
    for precision in ("float32", "float16"):
        _, faults = export(source, FORMATS["onnx"], precision)
        assert faults == []
    records = read_exports(source.folder)
    assert [each["file"] for each in records] == [
        "exports/two_stage-float16.onnx",
        "exports/two_stage-float32.onnx",
    ]
    for record in records:
        file = source.folder / record["file"]
        assert FORMATS["onnx"].load().read_card(file)["commit"] == "0" * 40
        assert record["bytes"] == file.stat().st_size
        assert (record["passed"], record["forced"], record["n_images"]) == (True, False, 10)
        for name in ("images_per_second", "keras_images_per_second"):
            assert set(record[name]) == set(record[f"{name}_one_thread"]) == {"1", "16"}
            assert min(record[name].values()) > 0
    assert files_of(source) == {".lock", "two_stage-float16.onnx", "two_stage-float32.onnx"}
    in_keras["keras"] = source.keras


def files_of(source: Source) -> set[str]:
    return {each.name for each in (source.folder / "exports").iterdir()}


def test_what_a_kill_left_is_removed_and_no_record_is_of_another_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exports, format = tmp_path / "exports", FORMATS["onnx"]
    (exports / ".partial-killed").mkdir(parents=True)
    (tmp_path / "model.keras").touch()
    with emptied(exports, PARTIAL) as made:
        assert list(exports.iterdir()) == [made]
        (exports / "a.onnx").write_text("old")
        (made / "a.onnx").write_text("new")
        write_exports(tmp_path, [RECORD])
        monkeypatch.setattr(Path, "rename", interrupt)
        with pytest.raises(KeyboardInterrupt):
            _replace(tmp_path, RECORD, format, made, keep=True)
        monkeypatch.undo()
        assert read_exports(tmp_path) == []
        _replace(tmp_path, RECORD, format, made, keep=True)
        assert (read_exports(tmp_path), (exports / "a.onnx").read_text()) == ([RECORD], "new")


def interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.long
def test_other_weights_are_refused_unless_forced(source: Source, in_keras: dict[str, Any]) -> None:
    """A format whose writer damages the model: its file runs, and answers otherwise."""
    pytest.importorskip("onnxruntime")
    vars(source).update(in_keras)
    real = FORMATS["onnx"].load()

    def write(model: Any, *rest: Any) -> None:
        kernel = model.layers[-1].layers[-1].kernel
        kernel.assign(-10 * keras.ops.flip(kernel, axis=1))
        real.write(model, *rest)

    class Damaging(Format):
        def load(self) -> Any:
            return SimpleNamespace(write=write, read_card=real.read_card)

    damaging = Damaging("onnx", "onnx_file", ".onnx", None, ("float32",))
    record, faults = export(source, damaging, "float32")
    assert "a score differs by" in faults[0]
    assert (read_exports(source.folder), files_of(source)) == ([], {".lock"})
    record, _ = export(source, damaging, "float32", force=True)
    assert (record["passed"], record["forced"]) == (False, True)
    assert read_exports(source.folder) == [record]
    export(source, damaging, "float32")  # refused again: neither it nor the forced one stays
    assert (read_exports(source.folder), files_of(source)) == ([], {".lock"})


def test_images_are_chosen_by_key_whatever_the_order_of_the_manifest(source: Source, manifest: Any) -> None:
    shuffled = Source(source.folder, source.images, manifest.sample(frac=1, random_state=0), None)
    np.testing.assert_array_equal(source.calibration, shuffled.calibration)
    for ours, theirs in zip(source.test, shuffled.test, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert len(source.calibration) == (manifest["split"] == "train").sum()


def test_a_manifest_of_other_classes_is_refused(source: Source, manifest: Any) -> None:
    other = Source(source.folder, source.images, manifest.replace({"label": {"rose": "fern"}}), None)
    with pytest.raises(ValueError, match=r"has the classes .*rose.*, the manifest has .*fern"):
        _ = other.card


def test_records_of_another_model_or_of_missing_or_cut_files_are_dropped(source: Source) -> None:
    assert read_exports(source.folder) == []
    (source.folder / "exports").mkdir()
    for name in ("a.onnx", "b.xml", "b.bin", "cut.onnx"):
        (source.folder / "exports" / name).write_bytes(b"012"[: 2 if name == "cut.onnx" else 3])
    others = [RECORD | {"file": f"exports/{name}.onnx"} for name in ("gone", "cut")]
    two_files = RECORD | {"format": "openvino", "file": "exports/b.xml", "bytes": 6}
    write_exports(source.folder, [RECORD, two_files, *others])
    assert read_exports(source.folder) == [RECORD, two_files]
    (source.folder / "model.keras").write_bytes(b"another")
    assert read_exports(source.folder) == []
    for text in ("{", "[]", "{}"):
        (source.folder / "exports.json").write_text(text)
        with pytest.raises(ValueError, match=r"is not what graft writes .* delete it"):
            read_exports(source.folder)


def test_the_card_is_that_of_the_model_and_its_commit(source: Source) -> None:
    card = read_card(source.folder / "model.keras") | {"commit": "0" * 40}
    assert source.card == card
    views = {"augmentation": {"flip": "horizontal"}}
    assert Source(source.folder, source.images, source.manifest, "0" * 40, **views).card == card | views
