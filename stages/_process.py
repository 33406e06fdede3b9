"""The process of a stage: it ends with the DVC that runs it, and holds a lock as long as it is there."""

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from threading import Thread
from time import sleep

import psutil
from filelock import FileLock, Timeout

LOCKS = Path(".graft/locks")
PATIENCE = 10.0  # seconds that a stage waits for another process which runs the same one
INTERVAL = 0.3  # seconds between two looks at DVC
_held: list[FileLock] = []  # a lock that nobody refers to is released


def end_with_dvc() -> psutil.Process | None:
    """End soon after the DVC that runs this stage, killed or not; what a person runs by hand goes on.

    DVC may not be the parent but its parent's, where a shell is between them. DVC itself is the nearest that
    lacks the variable which it gives to a stage; of a fork it is the process that forked it for DVC's stage.

    Returns:
        DVC's process.
    """
    if "DVC_STAGE" not in os.environ:
        return None
    above = psutil.Process().parents()
    dvc = next((each for each in above if not _is_of_stage(each)), None)
    if dvc is not None:
        Thread(target=_end_after, args=[dvc], daemon=True).start()
    return dvc


def _is_of_stage(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return "DVC_STAGE" in process.environ()
    return False


def _end_after(process: psutil.Process) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # they are the main thread's
    with suppress(psutil.NoSuchProcess):
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            sleep(INTERVAL)
    os.kill(os.getpid(), signal.SIGKILL)


def hold_lock(stage: str) -> None:
    """Let no other process run this stage in this folder, which the system sees to also after a kill.

    Exits with a message where another one still does after `PATIENCE`.
    """
    LOCKS.mkdir(parents=True, exist_ok=True)
    lock = FileLock(LOCKS / f"{stage}.lock")
    try:
        lock.acquire(timeout=PATIENCE)
    except Timeout:
        sys.exit(
            f"error: another process runs {stage} in this folder: wait for its end, or end it "
            f"(`fuser {lock.lock_file}` names it), and run this again"
        )
    _held.append(lock)
