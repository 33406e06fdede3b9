"""Parts of the rows wanted, by key: a part has all views of its images, and reads few shards of them."""

import re
from collections.abc import Sequence

from graft.features.format import Row


def take_part(rows: Sequence[Row], part: str) -> list[Row]:
    """Take a part of sorted (key, view) rows: ``i/n`` is the i-th of n, with as many keys as the others.

    Raises:
        ValueError: if it is not written so.

    >>> rows = [("a", 1), ("a", 2), ("b", 1), ("c", 1)]
    >>> [take_part(rows, part) for part in ("1/2", "2/2")]
    [[('a', 1), ('a', 2)], [('b', 1), ('c', 1)]]
    """
    numbers = re.fullmatch("([0-9]+)/([0-9]+)", part)
    i, n = map(int, numbers.groups()) if numbers else (0, 0)
    if not 1 <= i <= n:
        raise ValueError(f"part={part!r}: expected i/n with i from 1 to n, such as 3/8")
    keys = [*dict.fromkeys(key for key, _ in rows)]
    chosen = {*keys[len(keys) * (i - 1) // n : len(keys) * i // n]}
    return [row for row in rows if row[0] in chosen]
