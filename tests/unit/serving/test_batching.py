"""`Batcher`: who scores what, in one lane and in several."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the server's packages are not installed: make runtimes")

from graft.export.registry import Scored
from graft.serving.server.batching import Batcher, Lanes


def score(pixels):
    return Scored(pixels.mean((1, 2)), None)


def ask(batcher, numbers, threads=8):
    """The answers to images of these values, brought by several threads."""

    async def gather():
        loop = asyncio.get_running_loop()
        answers = [loop.create_future() for _ in numbers]
        images = [np.full((2, 2, 1), number, np.float32) for number in numbers]
        with ThreadPoolExecutor(threads) as pool:
            for image, answer in zip(images, answers, strict=True):
                pool.submit(batcher.submit, image, answer)
            return [float(row[0]) for row in await asyncio.gather(*answers)]

    with ThreadPoolExecutor(1) as apart:  # this thread may have a loop, of a browser
        return apart.submit(lambda: asyncio.run(gather())).result()


@pytest.mark.parametrize("lanes", [None, Lanes(score, 1), Lanes(score, 3), Lanes(score, 3, max_batch=1)])
def test_each_image_has_its_answer(lanes):
    sizes = []
    batcher = Batcher(score, 4, lambda scored: sizes.append(len(scored.scores)), lanes)
    assert ask(batcher, range(200)) == list(range(200))
    assert sum(sizes) == 200
    assert max(sizes) <= 4


def test_a_lone_image_has_all_threads():
    called = []
    lanes = Lanes(lambda pixels: called.append("lane") or score(pixels), 2)
    batcher = Batcher(lambda pixels: called.append("all") or score(pixels), 4, lambda _: None, lanes)
    assert [ask(batcher, [n]) for n in range(3)] == [[0], [1], [2]]
    assert called == ["all"] * 3


def test_lanes_run_side_by_side():
    met = Barrier(2, timeout=30)  # which one thread alone never passes
    together = lambda pixels: met.wait() < 2 and score(pixels)  # noqa: E731
    batcher = Batcher(together, 1, lambda _: None, Lanes(together, 2, max_batch=1))
    assert ask(batcher, range(2)) == [0, 1]


def test_an_error_is_the_answer_of_its_images_alone():
    def fail_at_3(pixels):
        if (pixels == 3).any():
            raise ValueError("three")
        return score(pixels)

    batcher = Batcher(fail_at_3, 1, lambda _: None, Lanes(fail_at_3, 2, max_batch=1))
    for number in (1, 3, 2):
        if number == 3:
            with pytest.raises(ValueError, match="three"):
                ask(batcher, [number])
        else:
            assert ask(batcher, [number]) == [number]
