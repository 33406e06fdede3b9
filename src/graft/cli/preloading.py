"""A process that imports TensorFlow and the other libraries once, for all stages that a command runs."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

SCRIPT, SOCKET = Path("stages/_preloaded.py"), "GRAFT_PRELOADED"


@contextmanager
def preloading(root: Path) -> Iterator[None]:
    """Let the stages begin in forks of such a process, as soon as it is ready; it ends with the block.

    Only on Linux: elsewhere libraries do not outlast a fork, or there is none.
    """
    if sys.platform != "linux" or not (root / SCRIPT).is_file():
        yield
        return
    with TemporaryDirectory(prefix="graft-") as folder:
        address = f"{folder}/socket"
        command = [sys.executable, str(SCRIPT), address]
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(
            command, cwd=root, stdin=subprocess.PIPE, start_new_session=True, **silent
        ) as process:
            os.environ[SOCKET] = address
            try:
                yield
            finally:
                del os.environ[SOCKET]
                process.kill()
