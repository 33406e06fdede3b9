"""Parts, and workers that fill one store: whoever embeds what, the entries are the same bytes."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from graft.cli.main import app
from graft.config.features import BackboneRow
from graft.data.manifest import write_manifest
from graft.features.extraction import open_store
from graft.features.filling import fill
from graft.features.format import Row, plain_rows, view_rows
from graft.features.workers.parts import take_part
from graft.methods.params import Params

VIEWS = 2


class TestParts:
    @given(st.sets(st.text("abc", min_size=1, max_size=3)), st.integers(1, 3), st.integers(1, 9))
    def test_each_row_is_in_one_part_with_all_views_of_its_image(self, keys: Any, views: int, n: int) -> None:
        rows = [(key, view) for key in sorted(keys) for view in range(views)]
        parts = [take_part(rows, f"{i}/{n}") for i in range(1, n + 1)]
        assert [row for part in parts for row in part] == rows
        sizes = Counter(len(part) // views for part in parts)
        assert max(sizes) - min(sizes) <= 1
        assert all(len(part) % views == 0 for part in parts)

    @pytest.mark.parametrize("part", ["0/8", "9/8", "1", "a/b", "1/0", "-1/8", "1/8/2", ""])
    def test_what_is_no_part(self, part: str) -> None:
        with pytest.raises(ValueError, match=r"expected i/n with i from 1 to n, such as 3/8"):
            take_part([("a", 0)], part)


def contents(store: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in store.glob("*/*.parquet")}


@pytest.fixture
def recipe(params: Params, row: BackboneRow) -> tuple[Any, ...]:
    from graft.features.engines.keras import KERAS

    spec = {"augmentation": params.augmentation, "precision": "float32", "views": VIEWS}
    return SimpleNamespace(row=row, weights="random", seed=0, **spec), KERAS, "float32"


@pytest.fixture
def embeddings(recipe: tuple[Any, ...]) -> Any:
    from graft.features.views import build_embeddings

    return build_embeddings(*recipe)


@pytest.fixture
def alone(
    images: Path, manifest: pd.DataFrame, embeddings: Any, tmp_path: Path
) -> tuple[list[tuple[list[Row], Any]], dict[str, bytes]]:
    """The rows wanted with their embeddings, and the entries that one process makes of them."""
    wanted = list(zip((plain_rows(manifest), view_rows(manifest, VIEWS)), embeddings, strict=True))
    for rows, embedding in wanted:
        fill(images, rows, embedding, open_store(tmp_path / "alone", embedding), "alone")
    return wanted, contents(tmp_path / "alone")


@pytest.fixture
def client() -> Iterator[Any]:
    """Two workers of Dask in this process, a thread each."""
    distributed = pytest.importorskip("dask.distributed", reason="needs `make dask`")
    each = {"threads_per_worker": 1, "processes": False, "dashboard_address": None, "memory_limit": 0}
    with distributed.LocalCluster(n_workers=2, **each) as cluster, distributed.Client(cluster) as client:
        yield client


@pytest.mark.filterwarnings("ignore:Port 8787 is already in use")
class TestDask:
    @pytest.mark.parametrize("sees", ["all", "no store", "no images", "nothing"])
    def test_whatever_a_worker_sees_the_entries_are_the_same(
        self,
        images: Path,
        recipe: tuple[Any, ...],
        alone: Any,
        client: Any,
        tmp_path: Path,
        sees: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        from graft.features.workers import dask, worker

        embed = dask.embed_part

        def embed_elsewhere(job: worker.Job, *part: Any) -> Any:
            blind = {"probe": Path("/nowhere")} if sees in ("no store", "nothing") else {}
            blind |= {"images": Path("/nowhere")} if sees in ("no images", "nothing") else {}
            return embed(replace(job, **blind), *part)

        monkeypatch.setattr(dask, "embed_part", embed_elsewhere)
        monkeypatch.setattr(dask, "BATCHES", 2)
        wanted, expected = alone
        for rows, embedding in wanted:
            store = open_store(tmp_path / "store", embedding)
            dask.Cluster(client, recipe).fill(images, rows, embedding, store, "embed")
            assert store.missing(rows) == []
        assert contents(tmp_path / "store") == expected
        assert not list(tmp_path.rglob("*.tmp"))

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"keras": "1.0"}, r"keras='[0-9.]+', expected '1.0'"),
            ({"code of graft": "0"}, r"code of graft='\w+', expected '0'"),
        ],
    )
    def test_a_worker_that_differs_is_refused(
        self,
        images: Path,
        manifest: pd.DataFrame,
        recipe: tuple[Any, ...],
        embeddings: Any,
        client: Any,
        tmp_path: Path,
        change: dict[str, str],
        said: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        from graft.features.workers import dask
        from graft.features.workers.worker import WorkerError

        identify = dask.identify
        monkeypatch.setattr(dask, "identify", lambda embedding: identify(embedding) | change)
        store = open_store(tmp_path, embeddings[0])
        with pytest.raises(
            WorkerError, match=rf"the worker at inproc.* is refused: {said}; give it the same"
        ):
            dask.Cluster(client, recipe).fill(images, plain_rows(manifest), embeddings[0], store, "embed")
        assert contents(tmp_path) == {}

    def test_a_worker_with_other_weights_is_refused(
        self,
        images: Path,
        manifest: pd.DataFrame,
        recipe: tuple[Any, ...],
        embeddings: Any,
        client: Any,
        tmp_path: Path,
    ) -> None:
        from graft.features.workers.dask import Cluster
        from graft.features.workers.worker import WorkerError

        others, store = (
            Cluster(client, (SimpleNamespace(**{**vars(recipe[0]), "seed": 1}), *recipe[1:])),
            open_store(tmp_path, embeddings[0]),
        )
        with pytest.raises(WorkerError, match=r"refused: weights_sha256='\w+', expected '\w+'; give it"):
            others.fill(images, plain_rows(manifest), embeddings[0], store, "embed")

    def test_nobody_answers(self) -> None:
        distributed = pytest.importorskip("dask.distributed", reason="needs `make dask`")
        import dask.config

        from graft.features.workers.dask import connect
        from graft.features.workers.worker import WorkerError

        assert distributed
        with (
            dask.config.set({"distributed.comm.timeouts.connect": 0.2}),
            pytest.raises(WorkerError, match="no Dask scheduler answers there"),
            connect("tcp://127.0.0.1:9"),
        ):
            pass


def test_a_worker_reads_only_images_that_are_there(images: Path, manifest: pd.DataFrame) -> None:
    from graft.features.workers.worker import read_part

    keys = sorted(manifest["key"])[3:9]
    assert read_part(images, set(keys), "")["key"].to_pylist() == keys
    with pytest.raises(ValueError, match="1 of 7 images are not in"):
        read_part(images, {*keys, "0" * 64}, "")


class TestCommand:
    @pytest.fixture
    def root(self, params: Params, images: Path, manifest: pd.DataFrame, tmp_path: Path) -> Path:
        from dvc.utils.serialize import dump_yaml

        root = tmp_path / "root"
        (root / "data").mkdir(parents=True)
        (root / "data/images").symlink_to(images)
        write_manifest(manifest, root / "data/manifest.csv")
        values = params.model_dump(mode="json")
        values["features"]["views"] = VIEWS
        dump_yaml(root / "params.yaml", values)
        return root

    def extract(self, root: Path, *options: str, exit_code: int = 0) -> str:
        result = CliRunner().invoke(app, ["features", "extract", "--root", str(root), *options])
        assert result.exit_code == exit_code, (result.output, result.exception)
        return " ".join(result.output.split())

    def test_parts_fill_the_store(self, root: Path, alone: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GRAFT_FEATURES_OF_HEAD", "")
        assert "data/features: 0 from the store, 0 from HEAD, 20 embedded" in self.extract(
            root, "--part", "2/2", "--no-views"
        )
        again = self.extract(root, "--part", "2/2")
        assert "data/features: 20 from the store, 0 from HEAD, 0 embedded" in again
        self.extract(root, "--part", "1/2")
        every = self.extract(root)
        assert "data/features: 40 from the store, 0 from HEAD, 0 embedded" in every
        assert "data/views: 40 from the store, 0 from HEAD, 0 embedded" in every
        for rows, embedding in alone[0]:
            mine, theirs = (
                open_store(place, embedding).get(rows)
                for place in (root / ".graft/features", root.parent / "alone")
            )
            assert (mine == theirs).all()

    def test_what_is_refused(self, root: Path) -> None:
        assert "exclude each other" in self.extract(root, "--part", "1/2", "--workers", "2", exit_code=1)
        assert "expected i/n with i from 1" in self.extract(root, "--part", "0/2", exit_code=1)
        (root / "data/manifest.csv").unlink()
        assert "run `dvc repro split` first" in self.extract(root, exit_code=1)
