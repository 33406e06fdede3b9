"""datasets: what each module's fetch puts into data/raw, and what its read yields from there."""

import csv
import io
import zipfile
from collections import Counter
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from graft.config.data import Folder
from graft.data.datasets import cats_and_dogs, demo, flowers, folder, load_dataset
from graft.data.download import DownloadError, Source
from graft.data.ingest import prepare
from graft.data.raw import RawImage, is_image
from helpers.archives import MAKERS, each_archive, each_kind, make_folder, make_tar, make_zip
from helpers.datasets import write_flowers, write_microsoft
from helpers.limits import prepare_params
from helpers.servers import published, send, serve

JUNK = {
    "cat/Thumbs.db": b"",
    "cat/.hidden.jpg": b"",
    "__MACOSX/cat/._1.jpg": b"",
    "README.txt": b"",
    ".git/a.jpg": b"",
}


def fetch_folder(source: Path, raw: Path, options: Folder = folder.PLAIN) -> list[RawImage]:
    folder.fetch(raw, source, raw.parent / "cache", options)
    return sorted(folder.read(raw))


# --- all ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cats_and_dogs", "cifar10", "demo", "fashion_mnist", "flowers", "folder"])
def test_every_dataset_has_the_same_face(name: str) -> None:
    dataset = load_dataset(name)
    sources = dataset.SOURCE if isinstance(dataset.SOURCE, tuple) else (dataset.SOURCE,)
    assert sources == (None,) or all(isinstance(source, Source) for source in sources)
    assert callable(dataset.fetch)
    assert callable(dataset.read)


@pytest.mark.parametrize("name", ["birds", "__init__", "_arrays", "demo.fetch", ""])
def test_an_unknown_dataset(name: str) -> None:
    with pytest.raises(
        ValueError, match=rf"unknown dataset='{name}': expected one of cats_and_dogs, cifar10, demo, f"
    ):
        load_dataset(name)


def test_what_is_an_image() -> None:
    assert all(is_image(f"cat/x.{e}") for e in ("jpg", "JPEG", "Png", "gif", "bmp", "webp"))
    assert not any(map(is_image, [*JUNK, "cat/jpg", "cat/x.tiff", "cat/x.jpg.txt"]))


# --- demo --------------------------------------------------------------------------------------


@pytest.fixture
def demo_images(tmp_path: Path) -> list[RawImage]:
    demo.fetch(tmp_path / "raw", Path("photos"), tmp_path / "cache")
    return list(demo.read(tmp_path / "raw"))


def test_demo_is_80_images_of_each_of_five_classes(demo_images: list[RawImage]) -> None:
    labels = Counter(image.label for image in demo_images)
    assert labels == dict.fromkeys(["daisy", "dandelion", "rose", "sunflower", "tulip"], 80)
    assert len({image.data for image in demo_images}) == 400
    for opened in (Image.open(io.BytesIO(image.data)) for image in demo_images):
        assert (opened.format, opened.mode, opened.size) == ("JPEG", "RGB", (128, 128))


def test_demo_credits_each_image(demo_images: list[RawImage]) -> None:
    text = (files("graft") / "bundled/CREDITS.csv").read_text(encoding="utf-8")
    credited = {row.pop("file"): row for row in csv.DictReader(io.StringIO(text))}
    assert credited.keys() == {image.path for image in demo_images}
    for path, credit in credited.items():
        page = f"https://www.flickr.com/photo.gne?id={Path(path).stem}"
        assert credit == {"source": page, "licence": "CC BY 2.0"}
    assert all(
        word in demo.NOTICE for word in ("photographers", "CREDITS.csv", "CC BY 2.0", "cropped", "scaled")
    )


# --- folder ------------------------------------------------------------------------------------

PHOTOS = {"cat/1.jpg": b"1", "cat/sub/2.PNG": b"2", "Großer Hund/日本 3.webp": b"3"}
TREE = {
    "train/cat/1.jpg": b"1",
    "validation/cat/2.jpg": b"2",
    "test/dog/x/1.jpg": b"3",
    "train/dog/4.jpg": b"4",
}


@each_kind
def test_a_folder_per_class(tmp_path: Path, kind: str) -> None:
    images = fetch_folder(MAKERS[kind](tmp_path / kind, PHOTOS | JUNK), tmp_path / "raw")
    assert images == [
        ("Großer Hund/日本 3.webp", "Großer Hund", None, b"3"),
        ("cat/1.jpg", "cat", None, b"1"),
        ("cat/sub/2.PNG", "cat", None, b"2"),
    ]
    assert sorted(p.name for p in (tmp_path / "raw").rglob("*")) == ["listing.csv", "survey.json"]


@each_kind
def test_a_tree_of_splits(tmp_path: Path, kind: str) -> None:
    images = fetch_folder(MAKERS[kind](tmp_path / kind, TREE), tmp_path / "raw")
    assert images == [
        ("test/dog/x/1.jpg", "dog", "test", b"3"),
        ("train/cat/1.jpg", "cat", "train", b"1"),
        ("train/dog/4.jpg", "dog", "train", b"4"),
        ("validation/cat/2.jpg", "cat", "validation", b"2"),
    ]


@each_kind
@pytest.mark.parametrize("files", [PHOTOS, TREE])
def test_a_folder_around_everything_is_seen_through(
    tmp_path: Path, kind: str, files: dict[str, bytes]
) -> None:
    plain = fetch_folder(make_folder(tmp_path / "plain", files), tmp_path / "raw1")
    wrapped = {f"my data/{name}": data for name, data in files.items()}
    images = fetch_folder(MAKERS[kind](tmp_path / kind, wrapped), tmp_path / "raw2")
    assert images == [image._replace(path=f"my data/{image.path}") for image in plain]


def encoded(path: Path, encoding: str, names: list[str]) -> Path:
    """A zip as a Windows of that encoding writes it: names as bytes, without a word on what they mean."""

    class Info(zipfile.ZipInfo):
        def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802
            return self.filename.encode(encoding), 0

    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(Info(name), name)
    return path


JAPANESE = ["猫/1.png", "表/2.png"]  # the second byte of 表 is a backslash


@pytest.mark.parametrize(
    ("encoding", "names"),
    [("shift_jis", JAPANESE), ("gbk", ["猫/1.png", "狗/2.png"]), ("cp1252", ["Kühe/1.png", "Bären/2.png"])],
)
def test_names_of_unknown_encoding_are_shown_and_read_once_it_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], encoding: str, names: list[str]
) -> None:
    source = encoded(tmp_path / "a.zip", encoding, names)
    fetch_folder(source, tmp_path / "raw")
    said = capsys.readouterr().out
    assert "WARNING" in said
    assert any(f'"{name}" ({encoding})' in said for name in names)  # 猫 in GBK is è in UTF-8
    images = fetch_folder(source, tmp_path / "raw2", Folder(layout="auto", encoding=encoding))
    assert [(image.path, image.label) for image in images] == [(n, n.split("/")[0]) for n in sorted(names)]
    assert "WARNING" not in capsys.readouterr().out


def test_an_encoding_that_is_not_the_names_is_an_error(tmp_path: Path) -> None:
    source = encoded(tmp_path / "a.zip", "gbk", ["猫/1.png", "狗/2.png"])
    with pytest.raises(ValueError, match=r"a\.zip has a name that is not in folder.encoding=utf-8"):
        fetch_folder(source, tmp_path / "raw", Folder(layout="auto", encoding="utf-8"))


def test_a_zip_of_utf8_names_says_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fetch_folder(encoded(tmp_path / "a.zip", "utf-8", JAPANESE), tmp_path / "raw")
    assert "WARNING" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["klingon", "rot13", ""])
def test_an_encoding_that_there_is_not(name: str) -> None:
    with pytest.raises(ValueError, match="expected an encoding such as gbk"):
        Folder(layout="auto", encoding=name)


@each_kind
def test_what_is_ignored_is_printed_and_passed_on(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files = PHOTOS | JUNK | {"cat/a.heic": b"", "owl/1.tif": b"", "owl/2.TIF": b""}
    fetch_folder(MAKERS[kind](tmp_path / kind, files), tmp_path / "raw")
    ignored = folder.read_ignored(tmp_path / "raw")
    assert ignored.files == {".db": 1, ".heic": 1, ".tif": 2, ".txt": 1, "hidden": 3}
    assert ignored.folders == {"hidden": 2, "without images": 1}
    assert ignored.classes == {"owl": "2 .tif"}
    said = capsys.readouterr().out
    assert "2 classes (Großer Hund, cat); ignored files: 1 .db, 1 .heic, 2 .tif, 1 .txt, 3 hidden" in said


@each_kind
@pytest.mark.parametrize(
    ("files", "message"),
    [
        (JUNK, r"source=.* holds no image: expected files ending in \.jpg \.jpeg \.png .* -S source=PATH"),
        ({"cat/1.jpg": b"", "cat/2.jpg": b""}, r"has one class only: .* at least two .*, received 'cat'"),
        ({"cat/a/1.jpg": b"", "cat/a/2.jpg": b""}, "has one class only"),
        (
            PHOTOS | {"5.jpg": b""},
            r"images without a class folder: expected <class>/<image>, received '5.jpg'",
        ),
        (
            TREE | {"unlabeled/1.jpg": b""},
            r"source=.* can be read in two ways: the folders test, train, unlabeled, validation are splits "
            r"\(test, train, validation, without unlabeled \(1 images\)\), or they are classes; choose with "
            r"-S folder.layout=splits or -S folder.layout=classes",
        ),
    ],
    ids=["empty", "one class", "one nested class", "loose", "two readings"],
)
def test_a_source_that_cannot_be_used(
    tmp_path: Path, kind: str, files: dict[str, bytes], message: str
) -> None:
    source = MAKERS[kind](tmp_path / kind, files)
    with pytest.raises(ValueError, match=message):
        fetch_folder(source, tmp_path / "raw")
    assert not (tmp_path / "raw").exists()


@each_archive
def test_an_unsafe_archive_writes_nothing(tmp_path: Path, kind: str) -> None:
    source = MAKERS[kind](tmp_path / kind, PHOTOS | {"../evil.jpg": b"evil"})
    with pytest.raises(ValueError, match=r"unsafe member name '\.\./evil.jpg'"):
        fetch_folder(source, tmp_path / "raw")
    assert [p.name for p in tmp_path.iterdir()] == [kind]


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"source=.*nothing does not exist: .* -S source=PATH"):
        fetch_folder(tmp_path / "nothing", tmp_path / "raw")


# --- the published sets ------------------------------------------------------------------------

PETS = {
    "PetImages/Cat/0.jpg": b"c0",
    "PetImages/Dog/12.jpg": b"d12",
    "PetImages/Dog/Thumbs.db": b"",
    "CDLA-Permissive-2.0.pdf": b"",
    "readme[1].txt": b"",
}
KAGGLE = {"train/cat.0.jpg": b"c0", "train/dog.12.jpg": b"d12"}
FLOWERS = {
    "flower_photos/LICENSE.txt": b"",
    "flower_photos/daisy/100_a.jpg": b"1",
    "flower_photos/roses/100_a.jpg": b"2",
    "flower_photos/tulips/9.jpg": b"3",
}


def archive_bytes(tmp_path: Path, files: dict[str, bytes]) -> bytes:
    zipped = next(iter(files)).startswith("PetImages")
    path = make_zip(tmp_path / "served", files) if zipped else make_tar(tmp_path / "served", files, "w:gz")
    return path.read_bytes()


@pytest.mark.parametrize(
    ("dataset", "files", "expected"),
    [
        (
            cats_and_dogs,
            PETS,
            [("PetImages/Cat/0.jpg", "cat", None, b"c0"), ("PetImages/Dog/12.jpg", "dog", None, b"d12")],
        ),
        (flowers, FLOWERS, [(n, n.split("/")[1], None, d) for n, d in FLOWERS.items() if n.endswith("jpg")]),
    ],
)
def test_a_published_set_is_downloaded_and_read(
    tmp_path: Path, dataset: ModuleType, files: dict[str, bytes], expected: list[tuple[str, str, None, bytes]]
) -> None:
    body = archive_bytes(tmp_path, files)
    with serve(send(body)) as (url, requests):
        for raw in (tmp_path / "raw1", tmp_path / "raw2"):
            dataset.fetch(raw, tmp_path / "photos", tmp_path / "cache", published(url, body))
            assert sorted(dataset.read(raw)) == expected
    assert len(requests) == 1


@pytest.mark.parametrize("dataset", [cats_and_dogs, flowers])
def test_a_published_set_that_is_not_to_be_had(tmp_path: Path, dataset: ModuleType) -> None:
    with serve(send(b"", status=404)) as (url, _), pytest.raises(DownloadError) as caught:
        dataset.fetch(tmp_path / "raw", tmp_path, tmp_path / "cache", published(url))
    caught.match(rf"put the file by hand at {tmp_path / 'cache' / 'photos.zip'}")
    if dataset is cats_and_dogs:
        caught.match(rf"or put Kaggle's train.zip at {tmp_path / 'train.zip'}")
    assert not (tmp_path / "raw").exists()


@pytest.mark.parametrize("given_as", ["folder", "file"])
def test_kaggles_archive_needs_no_download(tmp_path: Path, given_as: str) -> None:
    archive = make_zip(tmp_path / "train.zip", KAGGLE)
    source = tmp_path if given_as == "folder" else archive
    cats_and_dogs.fetch(tmp_path / "raw", source, tmp_path / "cache", published("http://127.0.0.1:1/x"))
    assert sorted(cats_and_dogs.read(tmp_path / "raw")) == [
        ("train/cat.0.jpg", "cat", None, b"c0"),
        ("train/dog.12.jpg", "dog", None, b"d12"),
    ]


def test_an_archive_that_is_not_kaggles(tmp_path: Path) -> None:
    source = make_zip(tmp_path / "train.zip", PHOTOS)
    with pytest.raises(
        ValueError, match=r"holds no photo of cats_and_dogs: expected train/cat.0.jpg as in Kaggle's"
    ):
        cats_and_dogs.fetch(tmp_path / "raw", source, tmp_path / "cache")
    assert not (tmp_path / "raw").exists()


def test_the_published_facts() -> None:
    assert (cats_and_dogs.SOURCE.size, flowers.SOURCE.size) == (824_887_076, 228_813_984)
    for source in (cats_and_dogs.SOURCE, flowers.SOURCE):
        algorithm, digits = source.checksum.split(":")
        assert (algorithm, len(bytes.fromhex(digits))) == ("sha256", 32)
        assert source.url.endswith((".zip", ".tgz"))
        assert source.licence
        assert source.citation
        assert source.homepage.startswith("https://")


# --- the real archives' dirt ---------------------------------------------------------------------


def prepared(
    tmp_path: Path, dataset: ModuleType, write: Callable[[Path], None], known_faults: dict[str, str]
) -> dict[str, Any]:
    """Write a dataset's archive and prepare it; the content of `metrics/data.json`."""
    (tmp_path / "raw").mkdir()
    write(tmp_path / "raw")
    return prepare(dataset.read(tmp_path / "raw"), prepare_params(), tmp_path / "images", known_faults)


def test_the_flower_under_two_labels_is_rejected_and_copies_are_folded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = prepared(tmp_path, flowers, write_flowers, flowers.KNOWN_FAULTS)
    names = [f"flower_photos/{label}/15922772266_1167a06620.jpg" for label in ("roses", "tulips")]
    assert [reject["path"] for reject in report["rejects"]] == names
    assert all("same photo is among the roses and the tulips" in one["reason"] for one in report["rejects"])
    assert report["classes"] == {"daisy": 8, "dandelion": 8, "roses": 4, "sunflowers": 4, "tulips": 4}
    assert {one["dropped"].split("/")[1] for one in report["duplicate_paths"]} == {"sunflowers"}
    assert report["duplicates"] == 2
    said = "prepare: known faults of the dataset, rejected: 2 (metrics/data.json names them)"
    assert said in capsys.readouterr().out.splitlines()


def test_a_label_conflict_that_is_not_known_stops(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"several for 1 of 29; .*`dvc exp run -S prepare\.label_conflicts=reject`"
    ):
        prepared(tmp_path, flowers, write_flowers, {})


def test_microsofts_empty_files_are_known_and_others_are_read_by_their_content(tmp_path: Path) -> None:
    report = prepared(tmp_path, cats_and_dogs, write_microsoft, cats_and_dogs.KNOWN_FAULTS)
    reasons = {reject["path"]: reject["reason"] for reject in report["rejects"]}
    assert reasons.pop("PetImages/Dog/2001.jpg") == "truncated"
    assert reasons == cats_and_dogs.KNOWN_FAULTS
    assert report["classes"] == {"cat": 48, "dog": 47}
    assert report["n_read"] == 98


def test_the_known_faults_are_of_the_archives_as_they_are_read() -> None:
    assert all(cats_and_dogs._NAME.fullmatch(path) for path in cats_and_dogs.KNOWN_FAULTS)
    assert all(is_image(path) for path in flowers.KNOWN_FAULTS)
