"""Files that are whole or absent, and errors of the system that name them."""

import errno
import os
import zipfile
from pathlib import Path

import pytest

from graft.utils.errors import explain_system_error, find_system_error, naming
from graft.utils.files import whole, write_csv, write_json, write_text

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def write_half(file: Path, error: BaseException) -> None:
    with whole(file) as partial:
        partial.write_text("half")
        raise error


def write_archive(place: Path) -> None:
    with naming(place), place.open("wb", 0) as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a", "b")


def fail_in_the_handling_of_another() -> None:
    try:
        Path("nothing").read_bytes()
    except OSError:
        _ = 1 / 0


@pytest.mark.parametrize("error", [FULL, ValueError("of ours"), KeyboardInterrupt()])
@pytest.mark.parametrize("before", [None, "before"])
def test_after_an_error_it_is_as_before(tmp_path: Path, error: BaseException, before: str | None) -> None:
    file = tmp_path / "file"
    if before:
        file.write_text(before)
    with pytest.raises(type(error)) as caught:
        write_half(file, error)
    assert [each.read_text() for each in tmp_path.iterdir()] == ([before] if before else [])
    assert caught.value is error or caught.value.filename == str(file)


def test_the_place_of_a_link_is_taken_not_what_it_leads_to(tmp_path: Path) -> None:
    """DVC may have linked an output to its cache."""
    (tmp_path / "cache").write_text("cached")
    (tmp_path / "file").symlink_to(tmp_path / "cache")
    write_text("é\r\n", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"\xc3\xa9\r\n"
    assert (tmp_path / "cache").read_text() == "cached"


def test_a_disk_is_found_full_behind_the_errors_of_libraries() -> None:
    hdf5 = RuntimeError("Unable to flush (errno = 28, error message = 'No space left on device')")
    with pytest.raises(OSError, match=r"\[Errno 28\] No space left on device: 'x'"), naming(Path("x")):
        raise hdf5
    with pytest.raises(OSError, match=r"No space left on device: '/dev/full'"):
        write_archive(Path("/dev/full"))


def test_other_errors_stay_what_they_are() -> None:
    for error in (KeyError("x"), ValueError("errno"), FileNotFoundError(2, "No such file", "input")):
        with pytest.raises(type(error)) as caught, naming(Path("output")):
            raise error
        assert caught.value is error
    with pytest.raises(ZeroDivisionError) as bug:
        fail_in_the_handling_of_another()
    assert find_system_error(bug.value) is None


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "no space left on the disk of x: free"),
        (errno.EACCES, "no permission for x (Permission denied): make it yours"),
        (errno.EROFS, "x is on a disk that can only be read: work in a copy"),
        (errno.ENOENT, "x is missing: `dvc checkout`"),
        (errno.EISDIR, "Is a directory: x"),
    ],
)
def test_it_says_what_to_do(number: int, said: str) -> None:
    assert explain_system_error(OSError(number, os.strerror(number), "x")).startswith(said)


def test_json_and_csv_are_refused_or_whole(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json({"a": float("nan")}, tmp_path / "a.json")
    with pytest.raises(AttributeError):
        write_csv(None, tmp_path / "a.csv")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
