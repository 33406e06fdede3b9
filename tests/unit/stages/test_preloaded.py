"""stages/_preloaded: a script does the same in a fork of a process that has the libraries as alone."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from select import select

import pytest

from graft.cli.preloading import SOCKET
from helpers.repository import ROOT

BEGIN = "import sys, _preloaded; _preloaded.run_forked()\n"
DIE = f"import os, socket\nsend = socket.send_fds\nsocket.send_fds = lambda *a: os._exit(send(*a))\n{BEGIN}"
FORKED = "colorsys"  # its one library, which nothing else imports
SCRIPTS = {
    "streams": "import os; print(input()[::-1]); print('é', file=sys.stderr); os.write(1, b'x')",
    "place": "import os; print(sys.argv, os.getcwd(), sys.path, __file__, __name__, os.environ['GIT_X'])",
    "environment": f"import os; print(sorted({{**os.environ, {SOCKET!r}: 0}}), sys.flags, sys.warnoptions)",
    "status": "sys.exit(3)",
    "message": "sys.exit('no')",
    "traceback": "def f(): return 1 / 0\nf()",
    "syntax": "import broken",
    "own hook": "sys.excepthook = lambda kind, error, trace: print(kind, trace.tb_lineno)\n1 / 0",
    "interrupt": "raise KeyboardInterrupt",
    "crash": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
    "at exit": "import atexit, threading as t; atexit.register(print, 'end'); t.Thread(target=print).start()",
    "child": "import subprocess; print(subprocess.run(['false']).returncode)",
}
SENT = signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP
WAIT = "import os, signal; print(os.getpid(), flush=True)\nsignal.pause()"


@pytest.fixture(scope="module", autouse=True)
def as_on_a_terminal() -> Iterator[None]:
    """Signals that `nohup`, or a shell for a command in the background, ignores."""
    ignored = [number for number in SENT if signal.getsignal(number) == signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the module, which has one library."""
    folder = tmp_path_factory.mktemp("scripts")
    text = (ROOT / "stages/_preloaded.py").read_text(encoding="utf-8")
    text = re.sub(
        r"^LIBRARIES = \(.*?^\)", f"LIBRARIES = ({FORKED!r},)", text, flags=re.MULTILINE | re.DOTALL
    )
    (folder / "_preloaded.py").write_text(text, encoding="utf-8")
    (folder / "broken.py").write_text("1 +")
    return folder


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


@pytest.fixture
def dvc() -> Iterator[subprocess.Popen[bytes]]:
    """The process with which the other one ends."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        yield process


@pytest.fixture
def server(
    folder: Path, tmp_path: Path, environment: dict[str, str], dvc: subprocess.Popen[bytes]
) -> Iterator[subprocess.Popen[str]]:
    """The process, listening; its socket is ``address/socket`` in `tmp_path`."""
    (tmp_path / "address").mkdir()
    command = [sys.executable, str(folder / "_preloaded.py"), str(tmp_path / "address/socket"), str(dvc.pid)]
    pipes = {"stdout": subprocess.PIPE, "text": True, "env": environment}
    with subprocess.Popen(command, start_new_session=True, **pipes) as process:
        assert process.stdout.readline() == "listening\n"
        yield process
        dvc.kill()


@pytest.fixture
def forking(
    server: subprocess.Popen[str],  # noqa: ARG001
    tmp_path: Path,
    environment: dict[str, str],
) -> dict[str, str]:
    """The environment of a script that is to be forked."""
    return environment | {SOCKET: str(tmp_path / "address/socket")}


def start(
    folder: Path, text: str, environment: dict[str, str], *options: str, begin: str = BEGIN
) -> subprocess.Popen[str]:
    (folder / "script.py").write_text(begin + text)
    command = [sys.executable, *options, "script.py", "a b", "é"]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(command, cwd=folder, env=environment | {"GIT_X": "x"}, text=True, **pipes)


def run(folder: Path, text: str, environment: dict[str, str], *options: str) -> tuple[int, str, str]:
    with start(folder, text, environment, *options) as process:
        output = process.communicate("line\n")
    return process.returncode, *output


def is_forked(folder: Path, environment: dict[str, str], *options: str) -> bool:
    return run(folder, f"print({FORKED!r} in sys.modules)", environment, *options)[1] == "True\n"


@pytest.mark.parametrize("text", SCRIPTS.values(), ids=SCRIPTS)
def test_it_looks_as_it_does_alone(
    folder: Path, forking: dict[str, str], environment: dict[str, str], text: str
) -> None:
    assert is_forked(folder, forking)
    assert run(folder, text, forking) == run(folder, text, environment)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_to_the_script_ends_the_fork(
    folder: Path, forking: dict[str, str], number: signal.Signals
) -> None:
    with start(folder, WAIT, forking) as process:
        assert process.stdout.readline()
        process.send_signal(number)
        assert process.wait() == -number
        assert process.stdout.read() == ""  # which the fork holds open, too, as long as it is there


def test_a_stopped_script_stops_the_fork(folder: Path, forking: dict[str, str]) -> None:
    with start(folder, WAIT, forking) as process:
        forked = int(process.stdout.readline())
        process.send_signal(signal.SIGTSTP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        stopped = any(state(forked) == "T" for _ in range(100_000))
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == -signal.SIGTERM
    assert stopped


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_script_that_ended_before_its_fork_began_does_not_run_on(
    folder: Path, server: subprocess.Popen[str], forking: dict[str, str]
) -> None:
    server.send_signal(signal.SIGSTOP)  # as if it still imported
    with start(folder, WAIT, forking, begin=DIE) as process:
        process.wait()
        server.send_signal(signal.SIGCONT)
        process.communicate(timeout=60)  # the fork has the other end of its pipes


def test_a_fork_that_is_killed(folder: Path, forking: dict[str, str]) -> None:
    with start(folder, WAIT, forking) as process:
        os.kill(int(process.stdout.readline()), signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL


def test_the_process_ends_with_dvc_and_its_forks_with_their_scripts(
    folder: Path,
    tmp_path: Path,
    server: subprocess.Popen[str],
    dvc: subprocess.Popen[bytes],
    forking: dict[str, str],
) -> None:
    text = "print(1, flush=True); print(input())"
    with start(folder, text, forking) as process:
        assert process.stdout.readline() == "1\n"
        dvc.kill()
        assert server.wait() == 0
        assert not (tmp_path / "address").exists()
        assert process.communicate("line\n") == ("line\n", "")
        assert process.returncode == 0
    assert not is_forked(folder, forking)


@pytest.mark.parametrize(
    ("changes", "options"),
    [({"OMP_NUM_THREADS": "1"}, ()), ({"HOME": "/"}, ()), ({}, ("-O",)), ({}, ("-W", "error"))],
)
def test_another_environment_or_interpreter_is_not_forked(
    folder: Path, forking: dict[str, str], changes: dict[str, str], options: tuple[str, ...]
) -> None:
    assert is_forked(folder, forking | {"DVC_STAGE": "x", "MAKELEVEL": "1", "PWD": "/"})
    assert not is_forked(folder, forking | changes, *options)


@pytest.mark.parametrize("left", ["nothing", "a file", "a socket"])
def test_without_the_process_it_runs_alone(
    folder: Path, tmp_path: Path, environment: dict[str, str], left: str
) -> None:
    address = tmp_path / "socket"
    if left == "a file":
        address.touch()
    elif left == "a socket":
        make = f"import socket; socket.socket(socket.AF_UNIX).bind({str(address)!r})"
        subprocess.run([sys.executable, "-c", make], check=True)
    assert run(folder, "print(1)", environment | {SOCKET: str(address)}) == (0, "1\n", "")


OF_DVC = """\
import os, psutil, sys, _preloaded
_preloaded.run_forked(psutil.Process(int(sys.argv[1])))
print("colorsys" in sys.modules, psutil.Process().parent().ppid())
"""


@pytest.mark.parametrize("value", [None, ""])
def test_the_first_script_that_needs_tensorflow_starts_it_for_its_dvc(
    folder: Path, tmp_path: Path, environment: dict[str, str], dvc: subprocess.Popen[bytes], value: str | None
) -> None:
    environment = {name: each for name, each in environment.items() if name != SOCKET}
    environment |= {"DVC_STAGE": "x", "TMPDIR": str(tmp_path)} | ({} if value is None else {SOCKET: value})
    said = []
    for name in ("report.py", "train.py", "report.py", "train.py", "split.py"):
        (folder / name).write_text(OF_DVC)
        command = [sys.executable, name, str(dvc.pid)]
        said.append(subprocess.check_output(command, cwd=folder, env=environment, text=True).split())
    forked = ["False", *(["True"] * 3 if value is None else ["False"] * 3), "False"]
    assert [each for each, _ in said] == forked
    servers = {int(pid) for each, pid in said if each == "True"}
    assert len(servers) == (value is None)
    for pid in servers:
        end = os.pidfd_open(pid)
        dvc.kill()
        select([end], [], [])
        os.close(end)
    assert not [*tmp_path.iterdir()]
