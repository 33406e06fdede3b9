"""The benchmark at the size of a test, and the page that shows its results."""

import json
import socket
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from graft.config.features import BackboneRow
from helpers.repository import ROOT

MODULES = ("measure", "page", "drawings", "loop", "rows", "run", "growth")


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The modules of benchmarks/."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return SimpleNamespace(**{name: import_module(name) for name in MODULES})


def test_the_page_shows_the_results(bench: SimpleNamespace) -> None:
    page = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
    results = json.loads((ROOT / "benchmarks/results.json").read_text(encoding="utf-8"))
    assert bench.page.insert(page, results) == page, "rerun `make bench`, or undo the edit of the results"


def test_a_page_without_marks_is_refused(bench: SimpleNamespace) -> None:
    with pytest.raises(ValueError, match=r"has no marks: expected <!-- .* put them back"):
        bench.page.insert("# Performance\n", {})


@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")  # `model.fit` says so of its own default
@pytest.mark.long
def test_every_row_runs(bench: SimpleNamespace, tmp_path: Path) -> None:
    import keras

    def measure(name: str, arguments: dict[str, Any]) -> dict[str, float]:
        row = {"row": arguments["row"] | {"image_size": 32}} if "row" in arguments else {}
        return bench.measure.measure(name, arguments | row)

    photos, weights = tmp_path / "photos", tmp_path / "mobilenet_v2.weights.h5"
    bench.drawings.make_images(photos, 8, [])
    keras.applications.MobileNetV2(include_top=False, weights=None).save_weights(weights)
    slow = {"new_head", "two_workers"}  # run the demo twice; start processes for half a minute
    names = [name for name in bench.rows.GROUPS if name not in slow]
    results = bench.run.benchmark(names, 1, 8, 32, photos, weights, measure, matrix=64)
    text = json.dumps(results)
    assert len(results["rows"]) > len(bench.rows.GROUPS)
    for row in results["rows"].values():
        not_run = bench.rows.NO_BFLOAT16, bench.rows.NO_INT8
        assert row.get("not_run") in not_run or row["ratio"]["median"] > 0
    for private in (str(tmp_path), str(ROOT), str(Path.home()), socket.gethostname()):
        assert private not in text
    rendered = bench.page.render(json.loads(text))
    assert all(row["title"] in rendered for row in results["rows"].values())


def test_rows_that_were_not_measured_again_stay(bench: SimpleNamespace) -> None:
    first = {"machine": {"cpu": "x"}, "scale": {"size": 180}, "rows": {"a": 1, "b": 1}}
    again = first | {"rows": {"b": 2}}
    assert bench.run.merge(first, again) == first | {"rows": {"a": 1, "b": 2}}
    for key in ("machine", "scale"):
        other = again | {key: {}}
        assert bench.run.merge(first, other) == other


def test_bytes_need_photos_and_weights(bench: SimpleNamespace) -> None:
    without = SimpleNamespace(photos=7, weights=Path("weights.h5"), images=8)
    expected = "it needs --weights, and --photos with at least 8 JPEG files"
    assert bench.rows.size_on_disk(without)["size"]["not_run"] == expected


def test_growth_draws_different_images_and_gives_the_cost_of_a_command(
    bench: SimpleNamespace, tmp_path: Path
) -> None:
    bench.growth.draw(tmp_path, 6, 3)
    files = [file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*.jpg")]
    assert sorted(files) == [f"class {i % 3:04d}/{i}.jpg" for i in (0, 3, 1, 4, 2, 5)]
    assert len({file.read_bytes() for file in tmp_path.rglob("*.jpg")}) == 6
    (tmp_path / "stage.py").write_text("sum(range(10**6))")
    seconds, memory = bench.growth._run(tmp_path, "python stage.py")
    assert seconds > 0
    assert memory > 5_000_000
    with pytest.raises(RuntimeError, match=r"python missing\.py failed"):
        bench.growth._run(tmp_path, "python missing.py")


@pytest.mark.long
def test_a_measurement_runs_in_a_process_of_its_own(bench: SimpleNamespace) -> None:
    measured = bench.run.apart("machine.matmul", {"size": 64, "dtype": "float32", "repeats": 1})
    assert measured["gflop"] == pytest.approx(2 * 64**3 / 1e9)
    assert measured["startup_seconds"] > measured["seconds"] > 0
    assert measured["peak_rss"] > 10_000_000
    with pytest.raises(RuntimeError, match=r"machine\.nothing failed: (.|\n)*AttributeError"):
        bench.run.apart("machine.nothing", {})


@pytest.mark.parametrize(("unit", "plain", "ours"), [("images/s", 10, 20), ("s", 20, 10), ("MB", 8, 4)])
def test_a_ratio_above_one_is_better(bench: SimpleNamespace, unit: str, plain: float, ours: float) -> None:
    def side(figure: float) -> dict[str, Any]:
        return {"figures": [figure, figure], "peak_rss": 1, "startup_seconds": 1.0}

    row = bench.rows._row("title", 1.5, unit, side(plain), side(ours), reason="a reason")
    assert row["ratio"] == {"median": 2, "min": 2, "max": 2}
    assert (row["met"], row["reason"]) == (True, "")
    missed = bench.rows._row("title", 2.5, unit, side(plain), side(ours), reason="a reason")
    assert (missed["met"], missed["reason"]) == (False, "a reason")


def test_vgg19_at_180_pixels_takes_24_7_gflop(bench: SimpleNamespace) -> None:
    from graft.models.backbones import from_pixels, outline

    ours = import_module("ours")
    row = BackboneRow(**bench.rows.VGG19)
    backbone = from_pixels(outline(row), row)
    assert ours._gflop(backbone) == pytest.approx(24.7, abs=0.05)
