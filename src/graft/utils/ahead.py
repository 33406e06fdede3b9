"""Work on all cores, ahead of who takes the results."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
MAX_BYTES = 2**28  # of items that wait


def map_ahead(
    function: Callable[[T], R],
    items: Iterable[T],
    n_ahead: int,
    size_of: Callable[[T], int],
    n_threads: int | None = None,
) -> Iterator[R]:
    """Apply a function to items in threads; yield the results in the items' order.

    Args:
        function: releases the interpreter's lock for most of its time.
        items: are asked for as needed: `n_ahead` of them, and `MAX_BYTES`, before the result that is awaited.
        size_of: tells an item's bytes.
        n_threads: None: one for each core.
    """
    window: deque[tuple[int, Future[R]]] = deque()
    pool = ThreadPoolExecutor(n_threads or os.cpu_count())
    try:
        for item in items:
            window.append((size_of(item), pool.submit(function, item)))
            while len(window) > n_ahead or sum(size for size, _ in window) > MAX_BYTES:
                yield window.popleft()[1].result()
        while window:
            yield window.popleft()[1].result()
    finally:
        pool.shutdown(cancel_futures=True)
