"""Features: the format, the store that survives damage, and an extraction that embeds what is missing."""

import json
import random
from collections.abc import Sequence
from contextlib import nullcontext
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.config.features import Augmentation, BackboneRow
from graft.data.augmentation import augment
from graft.data.decoding import load_pixels
from graft.features.comparison import choose_rows
from graft.features.embedding import Embedding
from graft.features.extraction import extract as extract_rows
from graft.features.format import (
    Row,
    load_features,
    plain_rows,
    read_checked,
    read_features,
    read_metadata,
    read_rows,
    shard_files,
    to_float16,
    view_rows,
    write_features,
)
from graft.features.from_commits import CHECKED, Witness
from graft.features.index import write_index
from graft.features.store import DamagedError, FeatureStore, fingerprint_id
from graft.features.views import ViewEmbedding
from graft.methods.params import Params
from graft.models.backbones import Backbone
from helpers.repository import VIEWS

FINGERPRINT = {"layer": "x", "weights_sha256": "0", "augmentation": {"rotation": 0.1}}
NAME = fingerprint_id(FINGERPRINT)
SHAPES = [(3, 2, 4), (7,)]


def make_key(i: int) -> str:
    return sha256(str(i).encode()).hexdigest()


def make_rows(n: int) -> list[Row]:
    return sorted((make_key(i), i % 3) for i in range(n))


def make_views(n: int) -> list[Row]:
    return sorted((make_key(i), 1 + i % 3) for i in range(n))


def make_values(n: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(n).normal(size=(n, *shape)).astype(np.float16)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


class TestFormat:
    @settings(max_examples=20, deadline=None)
    @given(
        n=st.integers(1, 150),
        shape=st.one_of(
            st.tuples(st.integers(1, 9)),
            st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)),
        ),
    )
    def test_what_is_written_is_read(
        self, tmp_path_factory: pytest.TempPathFactory, n: int, shape: tuple[int, ...]
    ) -> None:
        path = tmp_path_factory.mktemp("shard") / "0.parquet"
        rows, values = make_rows(n), make_values(n, shape)
        write_features(path, rows, values, FINGERPRINT)
        found, features = read_features(path)
        assert found == rows == read_rows(path)
        assert features.dtype == np.float16
        assert (features == values).all()

    @pytest.mark.parametrize("shape", SHAPES)
    def test_the_same_rows_are_the_same_bytes(self, tmp_path: Path, shape: tuple[int, ...]) -> None:
        for name in ("a", "b"):
            write_features(tmp_path / name, make_rows(100), make_values(100, shape), FINGERPRINT)
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()

    @pytest.mark.parametrize(("shape", "stored"), [((3, 2, 4), [4, 3, 2]), ((7,), [7])])
    def test_a_shard_says_what_it_is(self, tmp_path: Path, shape: tuple[int, ...], stored: list[int]) -> None:
        path = tmp_path / "0.parquet"
        write_features(path, make_rows(100), make_values(100, shape), FINGERPRINT)
        assert read_metadata(path) == {
            "shape": stored,
            "dtype": "float16",
            "layout": "channels_first",
            "fingerprint": FINGERPRINT,
        }

    def test_it_is_plain_parquet(self, tmp_path: Path) -> None:
        path, values = tmp_path / "0.parquet", make_values(100, (3, 2, 4))
        write_features(path, make_rows(100), values, FINGERPRINT)
        table, metadata = pq.read_table(path), pq.read_metadata(path)
        assert table.schema.field("feature").type == pa.binary(3 * 2 * 4 * 2)
        assert table.schema.names == ["key", "view", "feature"]
        assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [64, 36]
        columns = [metadata.row_group(0).column(i) for i in range(3)]
        assert {column.compression for column in columns} == {"ZSTD"}
        assert not any("DICTIONARY" in encoding for column in columns for encoding in column.encodings)
        raw = np.frombuffer(table["feature"][5].as_py(), "<f2").reshape(4, 3, 2)
        assert (raw == np.moveaxis(values[5], -1, 0)).all()


class TestLoad:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        rows, values = make_rows(30), make_values(30, (3, 2, 4))
        for name, part in (("0", slice(0, 11)), ("1", slice(11, 30))):
            write_features(tmp_path / f"{name}.parquet", rows[part], values[part], FINGERPRINT)
        return tmp_path

    @pytest.mark.parametrize("memory_limit", [1.0, 1e-9])
    @pytest.mark.parametrize("n", [1, 10, 30])
    def test_rows_come_in_the_order_asked_for(self, folder: Path, n: int, memory_limit: float) -> None:
        order = random.Random(n).sample(range(30), n)
        rows = [make_rows(30)[i] for i in order]
        scratch = folder / "scratch" / "x.npy"
        array = load_features([folder], rows, memory_limit, scratch)
        assert (array == make_values(30, (3, 2, 4))[order]).all()
        assert array.dtype == np.float16
        assert isinstance(array, np.memmap) == scratch.exists() == (memory_limit < 1)

    def test_a_scratch_file_is_overwritten(self, folder: Path) -> None:
        (folder / "x.npy").write_text("left over")
        array = load_features([folder], make_rows(30)[:2], 1e-9, folder / "x.npy")
        assert (array == make_values(30, (3, 2, 4))[:2]).all()

    def test_rows_of_two_folders(self, folder: Path) -> None:
        rows, values = [(key, 9) for key, _ in make_rows(5)], make_values(5, (3, 2, 4))
        (folder / "views").mkdir()
        write_features(folder / "views/0.parquet", rows, values, FINGERPRINT)
        wanted = [rows[4], make_rows(30)[7], rows[0]]
        array = load_features([folder, folder / "views"], wanted, 1.0, folder / "x.npy")
        assert (array == np.stack([values[4], make_values(30, (3, 2, 4))[7], values[0]])).all()

    def test_vectors(self, tmp_path: Path) -> None:
        write_features(tmp_path / "0.parquet", make_rows(9), make_values(9, (7,)), FINGERPRINT)
        array = load_features([tmp_path], make_rows(9)[::-1], 1.0, tmp_path / "x.npy")
        assert (array == make_values(9, (7,))[::-1]).all()

    def test_a_row_that_is_in_no_shard(self, folder: Path) -> None:
        key = make_key(99)
        with pytest.raises(KeyError, match=rf"2 rows are not in .*\('{key}', 5\): run `dvc repro`"):
            load_features([folder], [*make_rows(30), (key, 5), (key, 6)], 1.0, folder / "x.npy")

    def test_no_shard(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"no features in .*run `dvc repro`"):
            shard_files(tmp_path)


class TestStore:
    @pytest.mark.parametrize("shape", SHAPES)
    def test_what_is_put_is_there_when_opened_again(self, tmp_path: Path, shape: tuple[int, ...]) -> None:
        rows, values = make_views(20), make_values(20, shape)
        first = FeatureStore(tmp_path, FINGERPRINT, shape)
        first.put(rows[:8], values[:8])
        first.put(rows[8:16], values[8:16])
        for store in (first, FeatureStore(tmp_path, FINGERPRINT, shape)):
            assert store.missing(rows) == rows[16:]
            assert (store.get(rows[15:3:-1]) == values[15:3:-1]).all()

    def test_another_fingerprint_is_another_store(self, tmp_path: Path) -> None:
        FeatureStore(tmp_path, FINGERPRINT, (7,)).put(make_views(2), make_values(2, (7,)))
        other = {**FINGERPRINT, "layer": "y"}
        assert FeatureStore(tmp_path, other, (7,)).missing(make_views(2)) == make_views(2)
        assert fingerprint_id(other) != fingerprint_id(FINGERPRINT)
        assert fingerprint_id(dict(reversed(FINGERPRINT.items()))) == fingerprint_id(FINGERPRINT)

    def test_an_entry_is_named_by_its_sha256(self, tmp_path: Path) -> None:
        store = FeatureStore(tmp_path, FINGERPRINT, (7,))
        store.put(make_views(5), make_values(5, (7,)))
        (entry,) = (tmp_path / NAME).glob("*.parquet")
        assert entry.stem == sha256(entry.read_bytes()).hexdigest()
        assert json.loads(((tmp_path / NAME) / "fingerprint.json").read_text()) == FINGERPRINT

    @pytest.mark.parametrize("damage", ["truncated", "empty", "one bit", "no parquet"])
    def test_a_damaged_entry_is_reported_and_dropped(
        self, tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        rows, values = make_views(10), make_values(10, (7,))
        store = FeatureStore(tmp_path, FINGERPRINT, (7,))
        store.put(rows[:5], values[:5])
        (entry,) = (tmp_path / NAME).glob("*.parquet")
        store.put(rows[5:], values[5:])
        data = entry.read_bytes()
        flipped = bytearray(data)
        flipped[len(data) // 2] ^= 1
        damages = {"truncated": data[:-9], "empty": b"", "one bit": bytes(flipped), "no parquet": b"text"}
        entry.write_bytes(damages[damage])
        again = FeatureStore(tmp_path, FINGERPRINT, (7,))
        if damage == "one bit":  # the others are found when the store is opened
            with pytest.raises(DamagedError):
                again.get(rows)
        assert f"{entry.name} is damaged" in capsys.readouterr().out
        assert again.missing(rows) == rows[:5]
        assert not entry.exists()
        again.put(rows[:5], values[:5])
        assert entry.read_bytes() == data
        assert (FeatureStore(tmp_path, FINGERPRINT, (7,)).get(rows) == values).all()
        assert "damaged" not in capsys.readouterr().out

    def test_opening_reads_no_entry_that_the_index_has(self, tmp_path: Path) -> None:
        rows, values = make_views(20), make_values(20, (7,))
        store = FeatureStore(tmp_path, FINGERPRINT, (7,))
        store.put(rows[:8], values[:8])
        store.refresh()
        (entry,) = (tmp_path / NAME).glob("*.parquet")
        store.put(rows[8:], values[8:])
        data = entry.read_bytes()
        entry.write_bytes(b"")
        again = FeatureStore(tmp_path, FINGERPRINT, (7,))
        assert again.missing(rows) == []
        entry.write_bytes(data)
        assert (again.get(rows) == values).all()

    @pytest.mark.parametrize("damage", [b"", b"text", None])
    def test_a_damaged_index_is_made_again(self, tmp_path: Path, damage: bytes | None) -> None:
        rows, values = make_views(20), make_values(20, (7,))
        for half in (slice(10), slice(10, 20)):
            store = FeatureStore(tmp_path, FINGERPRINT, (7,))
            store.put(rows[half], values[half])
            store.refresh()
        index = tmp_path / NAME / "index"
        whole = index.read_bytes()
        flipped = bytearray(whole)
        flipped[len(whole) // 2] ^= 1
        index.write_bytes(bytes(flipped) if damage is None else damage)
        assert (FeatureStore(tmp_path, FINGERPRINT, (7,)).get(rows) == values).all()
        assert index.read_bytes() == whole

    def test_an_index_that_is_wrong_is_found_at_the_first_read(self, tmp_path: Path) -> None:
        rows, values = make_views(20), make_values(20, (7,))
        store = FeatureStore(tmp_path, FINGERPRINT, (7,))
        store.put(rows[:10], values[:10])
        (entry,) = (tmp_path / NAME).glob("*.parquet")
        write_index(tmp_path / NAME / "index", {entry: rows[10:]})
        again = FeatureStore(tmp_path, FINGERPRINT, (7,))
        with pytest.raises(DamagedError):
            again.get(rows[10:])
        assert again.missing(rows) == rows

    def test_it_takes_up_what_others_add_and_drop(self, tmp_path: Path) -> None:
        rows, values = make_views(20), make_values(20, (7,))
        store, other = (FeatureStore(tmp_path, FINGERPRINT, (7,)) for _ in range(2))
        other.put(rows, values)
        assert store.missing(rows) == rows
        store.refresh()
        assert store.missing(rows) == []
        for entry in (tmp_path / NAME).glob("*.parquet"):
            entry.unlink()
        with pytest.raises(DamagedError):
            store.get(rows[:2])
        assert store.missing(rows) == rows

    def test_what_a_killed_run_left_is_ignored(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        store = FeatureStore(tmp_path, FINGERPRINT, (7,))
        store.put(make_views(2), make_values(2, (7,)))
        ((tmp_path / NAME) / "tmpabc.tmp").write_bytes(b"half a batch")
        assert FeatureStore(tmp_path, FINGERPRINT, (7,)).missing(make_views(2)) == []
        assert capsys.readouterr().out == ""

    def test_a_batch_that_cannot_be_written_leaves_nothing(self, tmp_path: Path) -> None:
        store = FeatureStore(tmp_path, FINGERPRINT, (7,))
        with pytest.raises((ValueError, OverflowError)):
            store.put([("key", 2**40)], make_values(1, (7,)))  # a view beyond int16
        assert [file.name for file in (tmp_path / NAME).iterdir()] == ["fingerprint.json"]

    def test_what_a_commit_brought_is_apart_and_gives_way_to_what_was_embedded_here(
        self, tmp_path: Path
    ) -> None:
        rows, values = make_views(6), make_values(6, (7,))
        store = FeatureStore(tmp_path, FINGERPRINT, (7,))
        with store.receive() as received:
            received.put(rows, -values)
            assert store.missing(rows) == rows
            store.adopt(received, "abc")
        assert (store.get(rows) == -values).all()
        store.put(rows[:2], values[:2])
        expected = np.concatenate([values[:2], -values[2:]])
        for each in (store, FeatureStore(tmp_path, FINGERPRINT, (7,))):
            assert (each.get(rows) == expected).all()
        assert {file.parent.name for file in (tmp_path / NAME).glob("*/*")} == {"abc"}

    def test_what_is_not_adopted_is_gone(self, tmp_path: Path) -> None:
        store = FeatureStore(tmp_path, FINGERPRINT, (7,))
        with store.receive() as received:
            received.put(make_views(6), make_values(6, (7,)))
            assert received.rows == make_views(6)
        assert [file.name for file in (tmp_path / NAME).iterdir()] == ["fingerprint.json"]

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_an_entry_that_cannot_be_right_is_reported_and_dropped(
        self, tmp_path: Path, value: float, capsys: pytest.CaptureFixture[str]
    ) -> None:
        rows, values = make_views(9), make_values(9, (7,))
        values[1, 5] = value
        store = FeatureStore(tmp_path, FINGERPRINT, (7,))
        store.put(rows[:3], values[:3])
        store.put(rows[3:6], values[3:6])
        store.put(rows[6:], values[6:, :3])
        again = FeatureStore(tmp_path, FINGERPRINT, (7,))
        with pytest.raises(DamagedError, match="2 entries were damaged"):
            again.get(rows)
        assert again.missing(rows) == rows[:3] + rows[6:]
        output = capsys.readouterr().out
        assert "damaged (1 of 3 features hold NaN or an infinite value)" in output
        assert "damaged (another format: expected shape=[7]" in output


def rename(table: pa.Table) -> pa.Table:
    return table.rename_columns(["key", "view", "vector"])


def as_float32(table: pa.Table) -> pa.Table:
    wide = [np.frombuffer(value, "<f2").astype("<f4").tobytes() for value in table["feature"].to_pylist()]
    return table.set_column(2, "feature", [pa.array(wide, pa.binary(4 * 7))]).replace_schema_metadata(
        table.schema.metadata
    )


def without_a_view(table: pa.Table) -> pa.Table:
    views = pa.array([None, *table["view"].to_pylist()[1:]], pa.int16())
    return table.set_column(1, "view", views).replace_schema_metadata(table.schema.metadata)


class TestChecked:
    """Features that others made: nothing of them is believed."""

    @pytest.mark.parametrize("shape", SHAPES)
    def test_what_was_written_is_read(self, tmp_path: Path, shape: tuple[int, ...]) -> None:
        write_features(tmp_path / "a", make_rows(9), make_values(9, shape), FINGERPRINT)
        rows, values = read_checked(tmp_path / "a", shape, FINGERPRINT)
        assert rows == make_rows(9)
        assert (values == make_values(9, shape)).all()

    @pytest.mark.parametrize(
        "change",
        [
            rename,
            as_float32,
            without_a_view,
            lambda table: table.drop_columns("view"),
            lambda table: table.replace_schema_metadata(None),
            lambda table: table.replace_schema_metadata({**table.schema.metadata, b"layout": b'"hwc"'}),
            lambda table: table.replace_schema_metadata({**table.schema.metadata, b"shape": b"[3, 4]"}),
        ],
    )
    def test_another_table(self, tmp_path: Path, change: Any) -> None:
        write_features(tmp_path / "a", make_rows(9), make_values(9, (7,)), FINGERPRINT)
        pq.write_table(change(pq.read_table(tmp_path / "a")), tmp_path / "b")
        with pytest.raises(ValueError, match=r"another format: expected shape|expected no null"):
            read_checked(tmp_path / "b", (7,), FINGERPRINT)

    def test_another_shape_or_fingerprint(self, tmp_path: Path) -> None:
        write_features(tmp_path / "a", make_rows(9), make_values(9, (3, 2, 4)), FINGERPRINT)
        for shape, fingerprint in (((2, 3, 4), FINGERPRINT), ((24,), FINGERPRINT), ((3, 2, 4), {})):
            with pytest.raises(ValueError, match=r"received shape=\[4, 3, 2\] in"):
                read_checked(tmp_path / "a", shape, fingerprint)

    @given(st.binary(max_size=200))
    def test_any_bytes(self, data: bytes) -> None:
        with pytest.raises(ValueError, match="not a Parquet file of features"):
            read_checked(BytesIO(data), (7,), FINGERPRINT)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_training_refuses_what_is_not_finite(self, tmp_path: Path, value: float) -> None:
        values = make_values(9, (7,))
        values[4, 6] = value
        write_features(tmp_path / "0.parquet", make_rows(9), values, FINGERPRINT)
        with pytest.raises(
            ValueError, match=r"0\.parquet: 1 of 9 features hold NaN or infinity.*features\.md"
        ):
            load_features([tmp_path], make_rows(9), 1.0, Path())


class TestWitness:
    @settings(max_examples=30, deadline=None)
    @given(st.integers(1, 60), st.integers(0, 59), st.integers(0, 2**32 - 1), st.booleans())
    def test_it_refuses_what_differs_among_the_rows_that_it_embeds(
        self, tmp_path_factory: pytest.TempPathFactory, n: int, place: int, seed: int, large: bool
    ) -> None:
        rows, values = make_views(n), make_values(n, (7,))
        changed = values.copy()
        largest = np.abs(values[place % n]).max()
        changed[place % n, 2] += np.float16((0.1 if large else 0.0001) * largest)
        embedded = set()

        def embed(some: Sequence[Row]) -> np.ndarray:
            embedded.update(some)
            return values[[rows.index(row) for row in some]].astype(np.float32)

        store = FeatureStore(tmp_path_factory.mktemp("store"), FINGERPRINT, (7,))
        store.put(rows, changed)
        chosen = rows[place % n] in choose_rows(rows, CHECKED, seed)
        said = rf"1 of {min(n, CHECKED)} rows, embedded again, differ .* key, view = \('{rows[place % n][0]}'"
        with pytest.raises(ValueError, match=said) if large and chosen else nullcontext():
            Witness(embed, 0.01, seed).check(store)
        assert len(embedded) == min(n, CHECKED)

    def test_who_knows_the_rows_does_not_know_the_choice(self, tmp_path: Path) -> None:
        store, rows, seen = FeatureStore(tmp_path, FINGERPRINT, (7,)), make_views(60), set[Row]()
        store.put(rows, make_values(60, (7,)))

        def embed(some: Sequence[Row]) -> np.ndarray:
            seen.update(some)
            return store.get(some).astype(np.float32)

        for seed in range(40):
            Witness(embed, 0.01, seed).check(store)
        assert seen == {*rows}


class TestFloat16:
    def test_it_rounds_as_numpy_does(self) -> None:
        values = np.array([0.1, 65504.0, -65504.0, 0.0], np.float32)
        assert (to_float16(values) == values.astype(np.float16)).all()
        assert to_float16(values).dtype == np.float16

    @pytest.mark.parametrize("value", [70000.0, -70000.0, np.inf, np.nan])
    def test_a_value_that_it_cannot_hold(self, value: float) -> None:
        with pytest.raises(
            ValueError, match=r"does not fit float16: expected at most 65504, received (70000|inf|nan)"
        ):
            to_float16(np.array([1.0, value], np.float32))


def of_row(backbone: Any, row: BackboneRow, **changes: Any) -> Any:
    """An embedding; of views, where `augmentation` is given."""
    made = {"model": backbone, "row": row, "weights": "random", "precision": "float32", **changes}
    return (ViewEmbedding if "augmentation" in made else Embedding)(**made)


@pytest.fixture
def extract(
    params: Params, row: BackboneRow, images: Path, manifest: pd.DataFrame, backbone: Any, tmp_path: Path
) -> Any:
    """A function that extracts into a new folder: (name, views, ...) -> (counts, folder)."""

    def extract(name: str, views: int = 2, store: str = "store", **changes: Any) -> Any:
        table, output = changes.get("manifest", manifest), tmp_path / name
        if views:
            spec = changes.get("augmentation", params.augmentation)
            rows, embedding = view_rows(table, views), of_row(backbone, row, augmentation=spec)
        else:
            rows, embedding = plain_rows(table), of_row(backbone, row)
        return extract_rows(images, rows, embedding, tmp_path / store, None, output), output

    return extract


@pytest.fixture(params=[0, 2], ids=["plain", "views"])
def kind(request: pytest.FixtureRequest) -> int:
    """Of plain images, or of two views of 20: 40 rows either way."""
    return int(request.param)


def embedded_and_stored(counts: dict[str, float]) -> tuple[float, float]:
    return counts["embedded"], counts["from_store"]


class TestExtraction:
    def test_every_image_once_and_the_views_of_train(
        self, features: Path, views: Path, manifest: pd.DataFrame
    ) -> None:
        train = manifest.loc[manifest["split"] == "train", "key"]
        for folder, expected, wanted in (
            (features, plain_rows(manifest), [(key, 0) for key in manifest["key"]]),
            (views, view_rows(manifest, VIEWS), [(key, 1 + i) for key in train for i in range(VIEWS)]),
        ):
            rows = [row for file in shard_files(folder) for row in read_rows(file)]
            assert rows == expected == sorted(wanted)

    def test_values_are_those_of_the_backbone(
        self, features: Path, images: Path, manifest: pd.DataFrame, backbone: Any
    ) -> None:
        keys = list(manifest["key"])
        found = load_features([features], [(key, 0) for key in keys], 1.0, Path())
        expected = np.asarray(backbone(load_pixels(images, keys, 32).astype(np.float32)))
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=0.05)

    def test_a_view_is_embedded_as_it_is_augmented(
        self, views: Path, images: Path, manifest: pd.DataFrame, backbone: Any, params: Params
    ) -> None:
        keys = list(manifest.loc[manifest["split"] == "train", "key"])[:5]
        found = load_features([views], [(key, 3) for key in keys], 1.0, Path())
        pixels = augment(load_pixels(images, keys, 32), keys, [3] * 5, params.augmentation)
        np.testing.assert_allclose(found, np.asarray(backbone(pixels)), rtol=2e-3, atol=0.05)

    def test_a_second_run_embeds_nothing_and_gives_the_same_bytes(self, extract: Any, kind: int) -> None:
        counts, first = extract("a", kind)
        assert embedded_and_stored(counts) == (40, 0)
        counts, second = extract("b", kind)
        assert embedded_and_stored(counts) == (0, 40)
        assert contents(first) == contents(second)

    def test_more_views_embed_only_the_new(self, extract: Any) -> None:
        extract("a", 2)
        counts, grown = extract("b", 4)
        assert embedded_and_stored(counts) == (40, 40)
        assert contents(grown) == contents(extract("c", 4, store="other")[1])

    def test_no_rows_are_an_empty_folder(self, extract: Any, manifest: pd.DataFrame) -> None:
        assert view_rows(manifest, 0) == []
        counts, output = extract("a", 2, manifest=manifest[manifest["split"] != "train"])
        assert embedded_and_stored(counts) == (0, 0)
        assert contents(output) == {}

    def test_neither_the_store_nor_the_order_of_rows_shows(
        self, extract: Any, manifest: pd.DataFrame, kind: int
    ) -> None:
        _, whole = extract("a", kind)
        extract("b", kind, manifest=manifest.sample(13, random_state=3), store="partial")
        shuffled = manifest.sample(frac=1, random_state=1)
        counts, grown = extract("c", kind, manifest=shuffled, store="partial")
        assert counts["from_store"] > 0
        assert contents(whole) == contents(grown)

    def test_names_labels_and_folders_embed_nothing(
        self, extract: Any, manifest: pd.DataFrame, kind: int
    ) -> None:
        _, first = extract("a", kind)
        changed = manifest.assign(path="moved/" + manifest["path"].str[::-1], label="other").sample(frac=1)
        counts, second = extract("b", kind, manifest=changed)
        assert embedded_and_stored(counts) == (0, 40)
        assert contents(first) == contents(second)

    def test_another_split_embeds_only_views_of_what_is_newly_for_training(
        self, extract: Any, manifest: pd.DataFrame
    ) -> None:
        for views in (0, 2):
            extract("a", views)
        turned = manifest.assign(split=manifest["split"].map({"train": "test"}).fillna("train"))
        assert embedded_and_stored(extract("b", 0, manifest=turned)[0]) == (0, 40)
        assert embedded_and_stored(extract("b", 2, manifest=turned)[0]) == (40, 0)
        assert embedded_and_stored(extract("c", 2)[0]) == (0, 40)

    def test_added_images_embed_only_themselves(self, extract: Any, manifest: pd.DataFrame) -> None:
        new = manifest["split"].eq("test") & manifest.groupby("split").cumcount().lt(3)
        extract("a", 0, manifest=manifest[~new])
        assert embedded_and_stored(extract("b", 0)[0]) == (3, 37)

    def test_another_augmentation_embeds_no_plain_image(self, extract: Any, params: Params) -> None:
        for views in (0, 2):
            extract("a", views)
        other = Augmentation.model_validate({**params.augmentation.model_dump(), "rotation": 0.2})
        assert embedded_and_stored(extract("b", 0, augmentation=other)[0]) == (0, 40)
        assert embedded_and_stored(extract("b", 2, augmentation=other)[0]) == (40, 0)

    def test_a_tampered_entry_is_embedded_again(
        self, extract: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: int
    ) -> None:
        _, first = extract("a", kind)
        entry = next((tmp_path / "store").glob("*/*.parquet"))
        lost = len(read_rows(entry))
        entry.write_bytes(entry.read_bytes()[:-1])
        counts, second = extract("b", kind)
        assert "is damaged" in capsys.readouterr().out
        assert embedded_and_stored(counts) == (lost, 40 - lost)
        assert contents(first) == contents(second)

    def test_what_was_in_the_output_is_replaced(self, extract: Any, kind: int) -> None:
        _, first = extract("a", kind)
        (first / "zzz.parquet").write_bytes(b"of another run")
        expected = {name: data for name, data in contents(first).items() if name != "zzz.parquet"}
        assert contents(extract("a", kind)[1]) == expected

    def test_the_fingerprint_stands_in_every_shard(
        self, features: Path, views: Path, row: BackboneRow, params: Params, backbone: Any
    ) -> None:
        plain = of_row(backbone, row).fingerprint
        augmented = of_row(backbone, row, augmentation=params.augmentation).fingerprint
        assert augmented == {**plain, "augmentation": augmented["augmentation"]}
        assert all(read_metadata(file)["fingerprint"] == plain for file in shard_files(features))
        assert all(read_metadata(file)["fingerprint"] == augmented for file in shard_files(views))

    def test_the_fingerprint_holds_what_determines_a_value(
        self, row: BackboneRow, backbone: Any, params: Params
    ) -> None:
        first = of_row(backbone, row, weights="/a/w.h5").fingerprint
        assert first == of_row(backbone, row, weights="/b/w.h5").fingerprint
        assert first != of_row(backbone, row, weights="/a/w.h5", precision="bfloat16").fingerprint
        keys = {"application", "preprocessing", "layer", "pooling", "image_size", "batch_size", "format"}
        keys |= {"pretrained", "weights", "weights_sha256", "resampling", "precision", "keras", "tensorflow"}
        assert set(first) == keys
        neutral = params.augmentation.model_copy(update={"rotation": 0, "zoom": 0})
        assert of_row(backbone, row, augmentation=neutral).fingerprint["augmentation"] == {
            "flip": "horizontal",
            "fill_mode": "reflect",
            "interpolation": "bilinear",
        }

    def test_a_feature_outside_float16_leaves_the_output_alone(
        self, images: Path, manifest: pd.DataFrame, row: BackboneRow, tmp_path: Path
    ) -> None:
        huge = Backbone(row, "random", 0).build()
        for weight in huge.weights[::2]:
            weight.assign(weight * 100)
        output = tmp_path / "features"
        output.mkdir()
        (output / "0.parquet").write_bytes(b"of the last run")
        with pytest.raises(ValueError, match="does not fit float16"):
            extract_rows(images, plain_rows(manifest), of_row(huge, row), tmp_path / "store", None, output)
        assert contents(output) == {"0.parquet": b"of the last run"}
