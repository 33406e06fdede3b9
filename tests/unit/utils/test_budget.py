"""A budget is never overdrawn, and whoever asks for more than all of it is alone."""

from concurrent.futures import ThreadPoolExecutor
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.utils.ahead import map_ahead
from graft.utils.budget import Budget, SharedBudget

LIMIT = 10


@given(st.lists(st.integers(0, 2 * LIMIT), max_size=40), st.sampled_from([Budget, SharedBudget]))
def test_all_together_stay_within_the_limit(numbers: list[int], kind: type[Budget | SharedBudget]) -> None:
    budget, used = kind(), []

    def use(number: int) -> int:
        with budget.taken(number, LIMIT):
            used.append(number)
            now = sum(used)
            used.append(-number)
        return now

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(use, numbers))
    assert all(now <= max(number, LIMIT) for now, number in zip(seen, numbers, strict=True))
    with budget.taken(LIMIT, LIMIT):  # all were given back
        pass
    if isinstance(budget, SharedBudget):
        budget.close()


@pytest.mark.parametrize("kind", [Budget, SharedBudget])
def test_who_asks_for_more_than_is_left_waits(kind: type[Budget | SharedBudget]) -> None:
    budget = kind()

    def take() -> None:
        with budget.taken(5, LIMIT):
            pass

    thread = Thread(target=take)
    with budget.taken(6, LIMIT):
        thread.start()
        thread.join(0.1)
        assert thread.is_alive()
    thread.join()


@given(st.lists(st.integers(0, 2**28), max_size=40), st.integers(1, 9))
def test_results_come_in_order_and_no_more_waits_than_allowed(sizes: list[int], n_ahead: int) -> None:
    asked = list[int]()

    def items() -> "list[int]":
        yield from (asked.append(size) or size for size in sizes)  # type: ignore[func-returns-value]

    done = list[int]()
    for result in map_ahead(lambda size: size, items(), n_ahead, lambda size: size):
        waiting = asked[len(done) :]
        assert len(waiting) <= n_ahead + 1
        assert sum(waiting[:-1]) <= 2**28
        done.append(result)
    assert done == sizes
