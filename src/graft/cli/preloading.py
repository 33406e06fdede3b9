"""A process that imports TensorFlow and the other libraries once, for all stages that a command runs."""

import os
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from tempfile import TemporaryDirectory

SCRIPT, SOCKET = Path("stages/_preloaded.py"), "GRAFT_PRELOADED"


@contextmanager
def preloading(root: Path, environment: MutableMapping[str, str] = os.environ) -> Iterator[None]:
    """Let stages begin in forks of such a process, which ends with the block.

    Only on Linux: elsewhere libraries do not outlast a fork, or there is none.

    Args:
        root: of the repository whose stages run.
        environment: of the stages, and of the process; the place of its socket is in it within the block.
    """
    if sys.platform != "linux" or SOCKET in environment or not (root / SCRIPT).is_file():
        yield
        return
    with TemporaryDirectory(prefix="graft-") as folder:
        address = f"{folder}/socket"
        with _start(root, address, environment) as process:
            environment[SOCKET] = address
            try:
                yield
            finally:
                del environment[SOCKET]
                process.kill()


def _start(root: Path, address: str, environment: MutableMapping[str, str]) -> Popen[bytes]:
    command, nowhere = [sys.executable, str(SCRIPT), address], DEVNULL
    return Popen(command, 0, None, PIPE, nowhere, nowhere, cwd=root, env=environment, start_new_session=True)
