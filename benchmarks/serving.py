"""`graft serve` under load, on loopback: against LitServe, an unbatched handler, and hostile requests.

    python benchmarks/serving.py MODEL.onnx PHOTOS [--litserve PYTHON] [--hostile 20000]

LitServe is no dependency of graft: PYTHON is the interpreter of an environment that has it, and ONNX Runtime.
Client and server share the machine's cores, so only ratios of one run mean something.
"""

import asyncio
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer

HERE = Path(__file__).resolve().parent
CLIENTS = (1, 16, 100)
BOUNDARY = "graft-benchmark"
Answered = tuple[int, float]  # status and seconds


def multipart(data: bytes, field: str = "files") -> bytes:
    """A form with one file."""
    disposition = f'Content-Disposition: form-data; name="{field}"; filename="a.jpg"'
    start = f"--{BOUNDARY}\r\n{disposition}\r\nContent-Type: image/jpeg\r\n\r\n"
    return start.encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode()


def request(path: str, body: bytes, kind: str = f"multipart/form-data; boundary={BOUNDARY}") -> bytes:
    """A whole request."""
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def ask(connection: list[Any], port: int, message: bytes) -> Answered:
    """Send a request over a connection that is kept, or opened where the server closed it."""
    started = time.perf_counter()
    if not connection:
        connection[:] = await asyncio.open_connection("127.0.0.1", port)
    reader, writer = connection
    try:
        writer.write(message)
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        await reader.readexactly(int(lengths[0].split(b":")[1]) if lengths else 0)
        status, kept = int(head.split()[1]), b"connection: close" not in head.lower()
    except (ConnectionError, asyncio.IncompleteReadError):
        status, kept = 0, False
    if not kept:
        writer.close()
        connection.clear()
    return status, time.perf_counter() - started


async def load(port: int, clients: int, messages: list[bytes]) -> tuple[list[Answered], float]:
    """Send requests from so many clients at once; answers and seconds in all."""
    left, answers = iter(messages), list[Answered]()

    async def client() -> None:
        connection: list[Any] = []
        for message in left:
            answers.append(await ask(connection, port, message))
        if connection:
            connection[1].close()

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return answers, time.perf_counter() - started


def summarise(answers: list[Answered], seconds: float) -> dict[str, Any]:
    """Requests/s, latencies in ms, and how often each status came."""
    times = sorted(time for _, time in answers)
    return {
        "rps": len(answers) / seconds,
        "p50_ms": 1000 * times[len(times) // 2],
        "p99_ms": 1000 * times[int(len(times) * 0.99)],
        "statuses": dict(Counter(status for status, _ in answers)),
    }


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@contextmanager
def started(command: list[str], port: int) -> Iterator[psutil.Process]:
    """A server, once it answers; at the end it and all that it started are ended."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            while process.poll() is None and not answers_health(port):
                time.sleep(0.2)
            if process.poll() is not None:
                raise RuntimeError(f"{command[1:3]} did not start")
            yield psutil.Process(process.pid)
        finally:
            family = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(signal.SIGTERM)
            process.wait(60)
            for each in family:
                if each.is_running():
                    each.kill()


def answers_health(port: int) -> bool:
    """Tell that the server says that it is ready."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            return b" 503 " not in connection.recv(100)
    except OSError:
        return False


def rss(process: psutil.Process) -> int:
    """Bytes in memory of a server and its children."""
    return sum(each.memory_info().rss for each in [process, *process.children(recursive=True)])


def servers(model: Path, litserve: Path | None) -> dict[str, tuple[Callable[[int], list[str]], str, str]]:
    """Name -> the command that starts it on a port, the path and the field of its form."""
    ours = {"graft": (lambda port: graft(model, port), "/v1/predict", "files")}
    plain = {"unbatched": (_other(sys.executable, "serving_plain.py", model), "/predict", "files")}
    lit = {"litserve": (_other(str(litserve), "serving_litserve.py", model), "/predict", "request")}
    return ours | plain | (lit if litserve else {})


def _other(python: str, script: str, model: Path) -> Callable[[int], list[str]]:
    return lambda port: [python, str(HERE / script), str(model), str(port)]


def graft(model: Path, port: int, *options: str) -> list[str]:
    """The command of our server."""
    ours = [sys.executable, "-c", "from graft.cli.main import app; app()", "serve"]
    return [*ours, "--model", str(model), "--port", str(port), *options]


def compare(model: Path, photos: list[bytes], litserve: Path | None, rounds: int) -> dict[str, Any]:
    """Measure all servers, which take turns of a few seconds; medians over the rounds."""
    runs: dict[str, dict[int, list[dict[str, Any]]]] = {}
    with ExitStack() as stack:
        serving = []
        for name, (command, path, field) in servers(model, litserve).items():
            port = free_port()
            process = stack.enter_context(started(command(port), port))
            messages = [request(path, multipart(photo, field)) for photo in photos]
            asyncio.run(load(port, 16, messages))
            serving.append((name, port, process, messages))
        for turn in range(rounds):
            first = turn % len(serving)
            for clients in CLIENTS:
                for name, port, process, messages in serving[first:] + serving[:first]:
                    number = 64 if clients == 1 else 256
                    found = measure(port, process, clients, messages * (number // len(messages)))
                    runs.setdefault(name, {}).setdefault(clients, []).append(found)
                    print(name, clients, json.dumps(found), file=sys.stderr, flush=True)
    return {name: {str(n): median(each) for n, each in by.items()} for name, by in runs.items()}


def measure(port: int, process: psutil.Process, clients: int, messages: list[bytes]) -> dict[str, Any]:
    """Load a server: what `summarise` gives, its CPU time a request, and its memory before and after."""
    before, used = rss(process), cpu(process)
    found = summarise(*asyncio.run(load(port, clients, messages)))
    spent = 1000 * (cpu(process) - used) / len(messages)
    return {**found, "cpu_ms": spent, "rss_before": before, "rss_after": rss(process)}


def cpu(process: psutil.Process) -> float:
    """Seconds of CPU of a server and its children."""
    family = [process, *process.children(recursive=True)]
    return sum(sum(each.cpu_times()[:2]) for each in family)


def median(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """The median of each number, and the statuses of all rounds."""
    numbers = sorted({key for key in rounds[0] if key != "statuses"})
    statuses = sum((Counter(each["statuses"]) for each in rounds), Counter())
    medians = {key: statistics.median(each[key] for each in rounds) for key in numbers}
    return {**medians, "statuses": dict(statuses)}


def hostile(photo: bytes) -> list[bytes]:
    """Requests that a server must refuse, and from which it must recover."""
    path, json_type = "/v1/predict", "application/json"
    bomb = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\xff\xff\x00\x00\xff\xff\x08\x02\x00\x00\x00" + bytes(
        60
    )
    part = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n\r\n'.encode()
    return [
        request(path, multipart(b"junk" * 1000)),
        request(path, multipart(photo[: len(photo) // 2])),
        request(path, multipart(bomb)),
        request(path, part * 10_000 + f"--{BOUNDARY}--\r\n".encode()),
        request(path, multipart(photo)[:-20]),
        request(path, b"[" * 50_000, json_type),
        request(path, b'{"images": [' + b"0," * 50_000 + b"0]}", json_type),
        request(path, b'{"images": ["' + b"A" * 100_000 + b'"]}', json_type),
        request(path, photo, "image/jpeg"),
        b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\nContent-Type: a/b\r\n"
        b"Connection: close\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /../../etc/passwd HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        b"\x16\x03\x01\x00\x05hello\r\n\r\n",
    ]


def endure(model: Path, photos: list[bytes], number: int) -> dict[str, Any]:
    """Send so many requests, one in twenty of them hostile: statuses, and bytes in memory before and after.

    A fifth of the requests goes before, so that memory is compared between two equal states.
    """
    good = [request("/v1/predict", multipart(photo)) for photo in photos]
    bad = [each for photo in photos[:3] for each in hostile(photo)]
    messages = [bad[i // 20 % len(bad)] if i % 20 == 0 else good[i % len(good)] for i in range(number)]
    port = free_port()
    with started(graft(model, port), port) as process:
        asyncio.run(load(port, 16, messages[: number // 10]))
        before = rss(process)
        answers, seconds = asyncio.run(load(port, 16, messages))
        after = rss(process)
    return {
        "rss_before": before,
        "rss_after": after,
        "growth": after / before - 1,
        **summarise(answers, seconds),
    }


def main(
    model: Annotated[Path, typer.Argument(help="A file of `graft export`.")],
    photos: Annotated[Path, typer.Argument(help="A folder of JPEG files.")],
    litserve: Annotated[Path | None, typer.Option(help="A Python that has LitServe.")] = None,
    rounds: Annotated[int, typer.Option(help="How often the servers take turns; 0: not at all.")] = 9,
    hostile: Annotated[int, typer.Option(help="Requests of which 5 % are hostile; 0: none.")] = 0,
) -> None:
    """Measure, and print JSON."""
    bodies = [file.read_bytes() for file in sorted(photos.rglob("*.jpg"))[:64]]
    if litserve is None:
        print("no --litserve: it is left out", file=sys.stderr)
    found: dict[str, Any] = {"compared": compare(model, bodies, litserve, rounds)} if rounds else {}
    if hostile:
        found["hostile"] = endure(model, bodies, hostile)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    typer.run(main)
