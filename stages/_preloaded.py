"""Run a stage in a fork of one process that has imported the libraries, which takes them seconds each time.

That process, this file as a script, ends with the DVC that runs the stages. `graft repro` and `graft run`
start it at once, and put its socket into the environment; of another DVC, the first stage that needs
TensorFlow does. It imports no code of graft's: each stage imports its own, as it stands. A stage imports
everything itself where that variable is empty, or where interpreter or environment are others than that
process has.
"""

import atexit
import gc
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from select import select
from subprocess import DEVNULL, PIPE, Popen
from tempfile import gettempdir
from types import FrameType, ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psutil

SOCKET = "GRAFT_PRELOADED"
# None leaves a thread that a fork would miss: those of OpenBLAS and jemalloc start again in it, and
# TensorFlow and JAX have none before their first operation.
LIBRARIES = (
    *(
        "keras",  # and with it the backend
        "cpuinfo",
        "dvclive",
        "jinja2",
        "matplotlib.figure",
        "pandas",
        "PIL.Image",
        "pooch",
    ),
    *("pyarrow.compute", "pyarrow.parquet", "pydantic", "rich.progress", "ruamel.yaml", "scipy.ndimage"),
    *("scipy.stats", "sklearn.linear_model", "sklearn.metrics", "sklearn.preprocessing"),
)
QUICK = "download.py", "prepare.py", "split.py"  # over before the libraries are there, as they need few
STARTING = "extract_features.py", "extract_views.py", "train.py"  # which need TensorFlow
READ_BY_NO_LIBRARY = "DVC", "GIT_", "GRAFT_", "MAKE", "MFLAGS=", "OLDPWD=", "PATH=", "PWD=", "SHLVL=", "_="
ENDED: list[int] = []  # the status of a script that has ended as it should
FORWARDED = signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT


def run_forked(dvc: "psutil.Process | None" = None) -> None:
    """Run this process's script in a fork of the preloaded one, and exit as it does.

    Waits while that one still imports. Returns where there is none, or one that differs from this one.

    Args:
        dvc: the process that runs the stages; None for a stage that a person runs.
    """
    address = Path(os.environ.get(SOCKET, os.devnull))
    if dvc and SOCKET not in os.environ and sys.platform == "linux":
        with suppress(OSError):
            address = _find_or_start(dvc)
    if Path(sys.argv[0]).name in QUICK or not address.is_socket():
        return
    script, folder, environment = sys.modules["__main__"].__file__, str(Path.cwd()), dict(os.environ)
    request = [_interpreter(), script, sys.argv, sys.path, folder, environment]
    with socket.socket(socket.AF_UNIX) as connection, connection.makefile("r") as answers:
        try:
            with _not_suspended():
                connection.connect(str(address))
                socket.send_fds(connection, [f"{json.dumps(request)}\n".encode()], [0, 1, 2])
                child = int(answers.readline() or 0)
                if child:
                    _stand_in_for(child)
        except OSError:
            return
        if child:
            _exit_like(int(answers.readline() or -signal.SIGKILL))


def _find_or_start(dvc: "psutil.Process") -> Path:
    """Find the socket of the process that a DVC has; a stage that needs TensorFlow starts it."""
    folder = Path(gettempdir(), f"graft-{os.getuid()}-{dvc.pid}-{dvc.create_time()}")
    address = folder / "socket"
    if not folder.exists() and Path(sys.argv[0]).name in STARTING:
        folder.mkdir(0o700)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DVC")}
        command, streams = [sys.executable, __file__, str(address), str(dvc.pid)], (DEVNULL, PIPE, DEVNULL)
        process = Popen(command, 0, None, *streams, env=environment, start_new_session=True)
        process.stdout.readline()  # it listens
    if folder.lstat().st_uid != os.getuid():
        raise PermissionError
    return address


def _interpreter() -> list[Any]:
    """Describe what an import depends on."""
    environment = [f"{name}={value}" for name, value in sorted(os.environ.items())]
    read = [each for each in environment if not each.startswith(READ_BY_NO_LIBRARY)]
    paths = [str(Path(place).resolve()) for place in (sys.executable, *sys.path[1:])]
    return [paths, list(sys.flags), sys.warnoptions, read]


@contextmanager
def _not_suspended() -> Iterator[None]:
    """Hold Ctrl-Z back within the block: until the fork, which may run already, would be stopped as well."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTSTP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTSTP})


def _stand_in_for(child: int) -> None:
    """Hand on the signals that end or stop a process."""

    def forward(number: int, _: FrameType | None = None) -> None:
        with suppress(ProcessLookupError):
            os.kill(child, number)

    def suspend(*_: Any) -> None:
        forward(signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)  # goes on with the next line after SIGCONT
        forward(signal.SIGCONT)

    for number in FORWARDED:
        signal.signal(number, forward)
    signal.signal(signal.SIGTSTP, suspend)


def _exit_like(status: int) -> None:
    if status < 0:
        if status != -signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


def _serve(address: str, dvc: str, *libraries: str) -> list[Any]:
    """Import the libraries, then fork for each request, until a process ends, and remove the folder.

    Returns only in a fork: the request that it is to run, with the standard streams of who asked.
    """
    interpreter = _interpreter()
    end = os.pidfd_open(int(dvc))
    atexit.register(_leave)  # the first, so the last to run
    os.environ["KERAS_BACKEND"] = os.environ.get("KERAS_BACKEND") or "tensorflow"  # both as graft does
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        print("listening", flush=True)
        for name in libraries or LIBRARIES:
            import_module(name)
        gc.freeze()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
        while end not in select([listener, end], [], [])[0]:
            with listener.accept()[0] as connection:
                if not os.fork():
                    listener.close()
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    return _answer(connection, interpreter)
    Path(address).unlink()
    Path(address).parent.rmdir()
    os._exit(0)


def _answer(connection: socket.socket, interpreter: list[Any]) -> list[Any]:
    """Fork once more for a request, say how that fork ends, and end it if who asked ends before."""
    data, streams, *_ = socket.recv_fds(connection, 1 << 20, 3)
    while not data.endswith(b"\n"):
        data += connection.recv(1 << 20) or os._exit(1)
    theirs, *request = json.loads(data)
    if theirs != interpreter:
        os._exit(0)
    if child := os.fork():
        end = os.pidfd_open(child)
        with suppress(BrokenPipeError):  # who asked has ended already
            connection.sendall(f"{child}\n".encode())
        if end not in select([end, connection], [], [])[0]:
            os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        connection.sendall(f"{status}\n".encode())
        os._exit(0)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    return request


def _execute(
    script: str, arguments: list[str], path: list[str], folder: str, environment: dict[str, str]
) -> None:
    """Run a script as `python <script>` does."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment | {SOCKET: ""})
    sys.argv, sys.path = arguments, path
    sys.stdout.reconfigure(line_buffering=sys.stdout.isatty())
    main = sys.modules["__main__"] = ModuleType("__main__")
    main.__file__ = script
    code = compile(Path(script).read_bytes(), script, "exec")
    try:
        exec(code, vars(main))
        ENDED.append(0)
    except SystemExit as end:
        ENDED.extend([end.code or 0] if isinstance(end.code, int | None) else [])
        raise
    except BaseException:
        _hide_frames()
        raise


def _leave() -> None:
    """Spare the process to take its libraries apart, which takes a third of a second."""
    if ENDED:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(*ENDED)


def _hide_frames() -> None:
    """Let a traceback begin with the script."""
    hook = sys.excepthook

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType) -> None:
        inner = trace.tb_next.tb_next
        hook(kind, error.with_traceback(inner), inner)

    sys.excepthook = show


if __name__ == "__main__":
    _execute(*_serve(*sys.argv[1:]))
