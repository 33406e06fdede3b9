"""One measurement, in a process of its own: `python benchmarks/measure.py plain.extraction '{...}'`."""

import json
import resource
import sys
import time
from importlib import import_module
from typing import Any

import psutil

KIB = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes there, in KiB elsewhere


def measure(name: str, arguments: dict[str, Any]) -> dict[str, float]:
    """Prepare a measurement, then time it.

    Args:
        name: module and function; the function returns the part that is timed, which returns facts.
        arguments: of the function.

    Returns:
        The facts, ``seconds``, ``startup_seconds`` (of the process until then: imports, building,
        warming up) and ``peak_rss`` (bytes, of it or of a process that it ran).
    """
    module, function = name.split(".")
    run = getattr(import_module(module), function)(**arguments)
    startup = time.time() - psutil.Process().create_time()
    started = time.perf_counter()
    facts = run()
    seconds = time.perf_counter() - started
    processes = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    peak = max(resource.getrusage(each).ru_maxrss for each in processes) * KIB
    return {"seconds": seconds, **facts, "startup_seconds": startup, "peak_rss": peak}


if __name__ == "__main__":
    result = measure(sys.argv[1], json.loads(sys.argv[2]))
    print(json.dumps(result))  # the last line
