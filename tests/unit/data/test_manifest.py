"""A manifest comes back from its file as it went in."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from graft.data.manifest import class_names, read_manifest, write_manifest

# All that may stand in a path or a label: commas, quotes, newlines, any script; no NUL, no half characters.
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place for the manifest, in a folder that does not exist yet."""
    return tmp_path_factory.mktemp("manifest") / "data" / "manifest.csv"


def frame(paths: list[str], label: str) -> pd.DataFrame:
    """A manifest."""
    rows = [(f"{n:064x}", path, label, "train") for n, path in enumerate(paths)]
    return pd.DataFrame(rows, columns=["key", "path", "label", "split"])


@given(paths=st.lists(texts, min_size=1, unique=True), label=texts)
@example(paths=["a,b.jpg", 'a "b".jpg', "a\nb.jpg", "a\rb.jpg", "a\r\nb.jpg", " a ", "'", '"'], label="NA")
@example(paths=["日本/猫.jpg", "é.jpg", "e\u0301.jpg"], label="007")
@example(paths=["nan", "null", "1e5", "#", "\ufeff"], label="nan")
def test_every_text_survives(file: Path, paths: list[str], label: str) -> None:
    manifest = frame(paths, label)
    write_manifest(manifest, file)
    expected = manifest.sort_values("path", ignore_index=True)
    assert read_manifest(file).to_dict("list") == expected.to_dict("list")


@given(paths=st.lists(texts, min_size=1, unique=True), order=st.randoms(use_true_random=False))
def test_the_order_of_rows_and_columns_does_not_change_a_byte(
    file: Path, paths: list[str], order: object
) -> None:
    manifest = frame(paths, "cat")
    write_manifest(manifest, file)
    first = file.read_bytes()
    rows = list(range(len(manifest)))
    order.shuffle(rows)  # type: ignore[attr-defined]
    write_manifest(manifest.iloc[rows, ::-1], file)
    assert file.read_bytes() == first


def test_the_file_is_plain_csv(file: Path) -> None:
    write_manifest(frame(["b.jpg", "a,.jpg"], "two words"), file)
    lines = [
        "key,path,label,split",
        f'{1:064x},"a,.jpg",two words,train',
        f"{0:064x},b.jpg,two words,train",
        "",
    ]
    assert file.read_bytes() == "\n".join(lines).encode()


def test_class_names_are_sorted_labels() -> None:
    manifest = pd.concat([frame(["a"], label) for label in ("rose", "daisy", "Zinnia", "rose")])
    assert class_names(manifest) == ["Zinnia", "daisy", "rose"]
