"""Workers that decode images on all cores: threads, or processes.

Threads hold each other up: sixteen decode no more than five processes do. Such a process is a Python of its
own. It imports neither TensorFlow nor the script that started it, and ends with it, however that ends.
"""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import cycle
from mmap import mmap
from queue import SimpleQueue
from tempfile import TemporaryFile
from threading import Thread
from typing import Any, Self, TypeVar

import numpy as np

from graft.data import images
from graft.utils.ahead import map_ahead
from graft.utils.budget import SharedBudget

T = TypeVar("T")
R = TypeVar("R")
PLENTY = 1000  # images from which on processes gain more than the third of a second that they take to start
FEW_CORES, MANY = 4, 32  # threads keep the former busy; so many processes, a GPU
START = (
    "import sys; sys.path[:] = sys.argv[2:]; from graft.data.workers import serve; "
    "serve(*map(int, sys.argv[1].split(',')))"
)


def count_processes(n_images: int) -> int:
    """Choose how many processes are to decode so many images; 0: threads do."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores - 1, MANY) if cores > FEW_CORES and n_images >= PLENTY and os.name == "posix" else 0


def open_workers(n_processes: int, n_bytes: int = 1) -> "Threads":
    """Open so many processes, or if 0 a thread a core; `n_bytes` is the room for what comes of an item."""
    return Processes(n_processes, n_bytes) if n_processes else Threads(os.cpu_count() or 1, n_bytes)


class Threads:
    """Threads that work."""

    def __init__(self, n: int, n_bytes: int) -> None:
        self._n = n
        self._rooms = self._allocate(2 * n + 1, n_bytes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def map(
        self, function: Callable[[np.ndarray, T], R], items: Iterable[T], size_of: Callable[[T], int]
    ) -> Iterator[tuple[T, np.ndarray, R]]:
        """Yield each item with a room and with function(room, item), in the items' order.

        A room is (n_bytes,) uint8, and stays as the function left it until the next is asked for.

        Args:
            function: of a module that does not import TensorFlow; it, items and results can be pickled.
            items: as of `map_ahead`.
            size_of: tells an item's bytes.

        Raises:
            ChildProcessError: if a process is killed.
        """

        def call(placed: tuple[T, int]) -> tuple[T, np.ndarray, R]:
            item, room = placed
            return item, self._rooms[room], self._call(function, room, item)

        placed = zip(items, cycle(range(len(self._rooms))), strict=False)
        return map_ahead(call, placed, len(self._rooms) - 1, lambda pair: size_of(pair[0]), self._n)

    def _allocate(self, *shape: int) -> np.ndarray:
        return np.empty(shape, np.uint8)

    def _call(self, function: Callable[[np.ndarray, T], R], room: int, item: T) -> R:
        return function(self._rooms[room], item)


class Processes(Threads):
    """Processes, each of which works for a thread that waits for it."""

    def __init__(self, n: int, n_bytes: int) -> None:
        """Start them; they import what they need while the first calls wait."""
        super().__init__(n, n_bytes)
        self._budget = SharedBudget()
        shared = [self._file, *self._budget.pipes]
        self._processes = [_start(n_bytes, shared) for _ in range(n)]
        self._idle = SimpleQueue[subprocess.Popen[bytes]]()
        for process in self._processes:
            self._idle.put(process)

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
        for process in self._processes:
            with suppress(BrokenPipeError), process:  # of a call that was not sent
                pass
        self._budget.close()
        os.close(self._file)

    def _allocate(self, *shape: int) -> np.ndarray:
        n_bytes = shape[0] * shape[1]
        self._file = _open_memory(n_bytes)
        return np.frombuffer(mmap(self._file, n_bytes), np.uint8).reshape(shape)

    def _call(self, function: Callable[[np.ndarray, T], R], room: int, item: T) -> R:
        process = self._idle.get()
        assert process.stdin
        assert process.stdout
        try:
            pickle.dump((function, room, item), process.stdin)
            process.stdin.flush()
            done, result = pickle.load(process.stdout)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError):
            for each in self._processes:  # which might wait for what the dead one holds
                each.kill()
            raise ChildProcessError(
                "a process that decodes images was killed, maybe because memory ran out: free some, and run "
                "this again"
            ) from None
        finally:
            self._idle.put(process)
        if done:
            return result  # type: ignore[no-any-return]
        raise result


def _open_memory(n_bytes: int) -> int:
    """Open a file without a name: in memory where the system can, but not in /dev/shm, which may be small."""
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("graft")
        os.truncate(file, n_bytes)
        return file
    with TemporaryFile() as temporary:
        temporary.write(bytes(n_bytes))  # else a disk without room would kill who writes to the memory
        temporary.flush()
        return os.dup(temporary.fileno())


def _start(n_bytes: int, shared: list[int]) -> subprocess.Popen[bytes]:
    """Start a process that is given some files. Ctrl-C does not reach it: who waits for it is to answer."""
    command = [sys.executable, "-c", START, ",".join(map(str, [n_bytes, *shared])), *sys.path]
    pipe, environment = subprocess.PIPE, {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, stdin=pipe, stdout=pipe, pass_fds=shared, env=environment, process_group=0
    )


def serve(n_bytes: int, file: int, *pipes: int) -> None:
    """Call what standard input says, and write the results to standard output, until the former ends."""
    images.PIXELS = SharedBudget(pipes)
    rooms = np.frombuffer(mmap(file, 0), np.uint8).reshape(-1, n_bytes)
    calls = SimpleQueue[Any]()
    Thread(target=_listen, args=[calls], daemon=True).start()
    with suppress(BrokenPipeError), os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # of what prints
        while True:
            function, room, item = calls.get()
            try:
                answer = True, function(rooms[room], item)
            except Exception as error:
                answer = False, error
            pickle.dump(answer, answers)
            answers.flush()


def _listen(calls: SimpleQueue[Any]) -> None:
    try:
        while True:
            calls.put(pickle.load(sys.stdin.buffer))
    finally:  # whatever is left in the pipe by one who was killed as it wrote
        os._exit(0)
