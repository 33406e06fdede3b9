"""download: against real servers on the loopback, well-behaved and not."""

import hashlib
import socket
from pathlib import Path

import pytest

from graft.data.download import ATTEMPTS, DownloadError, download
from helpers.servers import BODY, Response, published, send, serve

cut = send(BODY[:5000], length=len(BODY))


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that pooch would wait between two attempts; nobody waits here."""
    waited: list[float] = []
    monkeypatch.setattr("pooch.core.time.sleep", waited.append)
    return waited


def get(url: str, tmp_path: Path) -> Path:
    return download(published(url), tmp_path / "raw", tmp_path / "cache")


@pytest.mark.parametrize("response", [send(), send(pieces=500)], ids=["good", "slow"])
def test_the_file_arrives_and_is_kept_for_the_next_time(tmp_path: Path, response: Response) -> None:
    with serve(response) as (url, requests):
        path = get(url, tmp_path)
    assert path == tmp_path / "raw" / "photos.zip"
    assert path.read_bytes() == BODY
    path.unlink()
    assert get(url, tmp_path).read_bytes() == BODY  # the server is gone
    assert requests == ["/files/photos.zip"]
    assert [p.name for p in (tmp_path / "cache").iterdir()] == ["photos.zip"]


def test_a_file_put_there_by_hand_is_used(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "photos.zip").write_bytes(BODY)
    assert get("http://127.0.0.1:1/photos.zip", tmp_path).read_bytes() == BODY


def test_the_file_lies_on_the_disk_once_and_one_that_is_there_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "photos.zip").write_bytes(b"old")
    (tmp_path / "of_a_cache").hardlink_to(tmp_path / "raw" / "photos.zip")
    with serve(send()) as (url, _):
        assert get(url, tmp_path).samefile(tmp_path / "cache" / "photos.zip")
    assert (tmp_path / "of_a_cache").read_bytes() == b"old"


def test_a_link_to_a_file_of_somebody_is_copied(tmp_path: Path) -> None:
    (tmp_path / "mine.zip").write_bytes(BODY)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "photos.zip").symlink_to(tmp_path / "mine.zip")
    path = get("http://127.0.0.1:1/photos.zip", tmp_path)
    assert path.read_bytes() == BODY
    assert not path.is_symlink()
    assert not path.samefile(tmp_path / "mine.zip")


@pytest.mark.parametrize("failures", [[cut], [send(status=503)], [cut, send(status=500)]])
def test_transient_failures_are_tried_again_after_a_pause(
    tmp_path: Path, failures: list[Response], pauses: list[float]
) -> None:
    with serve(*failures, send()) as (url, requests):
        assert get(url, tmp_path).read_bytes() == BODY
    assert len(requests) == len(failures) + 1
    assert len(pauses) == len(failures)
    assert all(pause > 0 for pause in pauses)


# pooch leaves the connection of a broken transfer to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("response", "attempts", "received"),
    [
        (cut, ATTEMPTS, "no complete response"),
        (send(BODY * 9), ATTEMPTS, r"no complete response \(more than \d+ bytes"),
        (send(BODY[:5000]), 1, r"5000 bytes \(truncated, or another file\)"),
        (send(b"!" + BODY[1:]), 1, r"sha256=[0-9a-f]{64} \(corrupt, or another file\)"),
        (send(b"", status=404), 1, r"HTTP status 404 \(Not Found\)"),
        (send(b"", status=500), ATTEMPTS, r"HTTP status 500 \(Internal Server Error\)"),
    ],
    ids=["cut", "long", "short", "corrupt", "missing", "broken"],
)
def test_a_failure_is_explained_leaves_nothing_and_can_be_repeated(
    tmp_path: Path, response: Response, attempts: int, received: str
) -> None:
    with serve(*[response] * attempts, send()) as (url, requests):
        with pytest.raises(DownloadError) as caught:
            get(url, tmp_path)
        assert len(requests) == attempts
        assert list((tmp_path / "cache").iterdir()) == []
        assert not (tmp_path / "raw").exists()
        assert get(url, tmp_path).read_bytes() == BODY
    target = tmp_path / "cache" / "photos.zip"
    sha256 = hashlib.sha256(BODY).hexdigest()
    caught.match(rf"downloading {url} failed: expected {len(BODY)} bytes with sha256={sha256}, received ")
    caught.match(received)
    caught.match(rf"put the file by hand at {target}$")


def test_no_server_responds(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, but not listening
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/photos.zip"
        with pytest.raises(DownloadError, match=r"received no complete response \(.*refused"):
            get(url, tmp_path)


def test_a_wrong_file_put_there_by_hand_is_named_and_kept_until_a_better_one_comes(tmp_path: Path) -> None:
    cached = tmp_path / "cache" / "photos.zip"
    cached.parent.mkdir()
    cached.write_bytes(b"wrong")
    with serve(send(b"", status=404), send()) as (url, _):
        with pytest.raises(DownloadError, match=r"the file there now has 5 bytes"):
            get(url, tmp_path)
        assert cached.read_bytes() == b"wrong"
        assert get(url, tmp_path).read_bytes() == BODY
    assert cached.read_bytes() == BODY
