"""A process that imports Keras and the other libraries once, for all stages that a command runs."""

import os
import sys
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, Popen
from tempfile import TemporaryDirectory

SCRIPT, SOCKET = Path("stages/_preloaded.py"), "GRAFT_PRELOADED"


@contextmanager
def preloading(
    root: Path, environment: MutableMapping[str, str] = os.environ, libraries: Sequence[str] = ()
) -> Iterator[None]:
    """Let stages begin in forks of such a process, which ends with the block.

    Only on Linux: elsewhere libraries do not outlast a fork, or there is none.

    Args:
        root: of the repository whose stages run.
        environment: of the stages, and of the process; the place of its socket is in it within the block.
        libraries: that it imports; none: those that the stages need.
    """
    if sys.platform != "linux" or SOCKET in environment or not (root / SCRIPT).is_file():
        yield
        return
    with TemporaryDirectory(prefix="graft-") as folder:
        address, command = f"{folder}/socket", [sys.executable, str(SCRIPT)]
        with _start([*command, address, str(os.getpid()), *libraries], root, environment) as process:
            environment[SOCKET] = address
            try:
                yield
            finally:
                del environment[SOCKET]
                process.kill()


def _start(command: Sequence[str], root: Path, environment: Mapping[str, str]) -> Popen[bytes]:
    streams = (DEVNULL, DEVNULL, DEVNULL)
    return Popen(command, 0, None, *streams, cwd=root, env=environment, start_new_session=True)
