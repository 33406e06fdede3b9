"""Many steps of training in one call: batches of one shape go through one program.

Keras's own `steps_per_execution` draws its batches in a thread, where their errors lose their type; it
compiles nothing where TensorFlow is to be deterministic; and on JAX it is a loop in Python.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from math import prod
from typing import Any, cast

import keras
import numpy as np

Batch = tuple[np.ndarray, np.ndarray, np.ndarray | None]
Program = Callable[[np.int32, tuple[np.ndarray | None, ...]], object]
MAX_BYTES = 2**26  # of float32 inputs that are handed over at once
KEPT = 8  # programs: a search among heads goes back and forth between them
LARGE = 2**21  # parameters: XLA, which takes a second or two to compile, saves as much in some 200 steps


def count_at_once(shape: Sequence[int], batch_size: int, n: int) -> int:
    """Count the batches that a model of little more than dense layers should train on in one call.

    Args:
        shape: of one input.
        batch_size: rows of a batch.
        n: rows of an epoch.

    Returns:
        The number for `compile_model`; 1 where there is no program for Keras's backend.
    """
    full = n // batch_size
    calls = -(-4 * prod(shape) * batch_size * full // MAX_BYTES)
    return -(-full // calls) if calls and keras.config.backend() in PROGRAMS else 1


def train_on_batches(model: keras.Model, batches: Sequence[Batch]) -> dict[str, float]:
    """Train on batches of one shape, one after the other.

    TensorFlow has XLA compile the steps of a `LARGE` model; dropout then draws differently from its seed.

    Args:
        model: compiled; `steps_per_execution` is the most batches that there are.
        batches: inputs, targets and, or None, weights.

    Returns:
        The means of loss and accuracy, as `train_on_batch` returns them.
    """
    if len(batches) == 1:
        x, targets, weights = batches[0]
        logs: dict[str, float] = model.train_on_batch(x, targets, sample_weight=weights, return_dict=True)
        return logs
    stacked = tuple(_stack(parts, model.steps_per_execution) for parts in zip(*batches, strict=True))
    program = _make_program(model, model.optimizer)  # JAX's adds to the metrics as it is made
    model.reset_metrics()
    program(np.int32(len(batches)), stacked)
    return {name: float(value) for name, value in model.get_metrics_result().items()}


def _stack(parts: Sequence[Any], n: int) -> np.ndarray | None:
    """(n, ...): as many whatever there are, so that there is one shape, and nothing is compiled twice."""
    if parts[0] is None:
        return None
    stacked = np.zeros((n, *parts[0].shape), parts[0].dtype)
    np.stack(parts, out=stacked[: len(parts)])
    return stacked


@lru_cache(maxsize=KEPT)  # one of all seeds, which share a model and an optimizer
def _make_program(model: keras.Model, optimizer: keras.Optimizer) -> Program:  # noqa: ARG001
    return PROGRAMS[keras.config.backend()](model)


def _tensorflow(model: keras.Model) -> Program:
    import tensorflow as tf

    @tf.function(jit_compile=model.count_params() >= LARGE)  # type: ignore[untyped-decorator]
    def train(n: Any, batches: tuple[Any, ...]) -> None:
        def step(i: Any) -> list[Any]:
            model.train_step(_take(batches, i))
            return [i + 1]

        tf.while_loop(lambda i: i < n, step, [0], parallel_iterations=1)

    return cast("Program", train)


def _jax(model: keras.Model) -> Program:
    import jax

    targets = np.zeros((1, model.output_shape[-1]), np.float32)
    model.compute_metrics(None, targets, targets)  # makes their variables
    parts = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )

    @partial(jax.jit, donate_argnums=0)
    def train(state: Any, n: Any, batches: tuple[Any, ...]) -> Any:
        def step(i: Any, state: Any) -> Any:
            return [list(part) for part in model.train_step(state, _take(batches, i))[1]]

        return jax.lax.fori_loop(0, n, step, state)

    def run(n: np.int32, batches: tuple[np.ndarray | None, ...]) -> None:
        state = train([[variable.value for variable in part] for part in parts], n, batches)
        for part, values in zip(parts, state, strict=True):
            for variable, value in zip(part, values, strict=True):
                variable.assign(value)

    return run


def _take(batches: tuple[Any, ...], i: Any) -> tuple[Any, ...]:
    return tuple(None if part is None else part[i] for part in batches)


PROGRAMS = {"tensorflow": _tensorflow, "jax": _jax}
