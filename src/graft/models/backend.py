"""The work that Keras leaves to its backend: compiled inference, gradients, determinism, devices, threads."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np

from graft import BACKEND

# The one that computes, and nothing of the others, is imported.
if BACKEND == "tensorflow":
    import tensorflow as tf
elif BACKEND == "jax":
    import jax

    # Without it each stage compiles again what it has in common with others: 10 s for MobileNetV2's weights.
    if not jax.config.jax_compilation_cache_dir:
        jax.config.update("jax_compilation_cache_dir", str(Path("~/.cache/graft/jax").expanduser()))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
else:
    import torch

# JAX is slow without. TensorFlow's XLA would compile once more for the shape of an epoch's last batch.
COMPILES_TRAINING = BACKEND == "jax"


def compile_inference(model: keras.Model, length: int | None = None) -> Callable[[np.ndarray], Any]:
    """Compile a model's inference.

    Args:
        model: its weights may change afterwards.
        length: of every batch; None: of any length, of which JAX compiles the powers of two.

    Returns:
        Function from (n, ...) inputs of any dtype, as which they reach the device, to the model's outputs as
        float32 arrays.
    """

    def call(inputs: Any) -> Any:
        return _in_float32(model(inputs, training=False))

    run: Callable[[Any], Any]
    if BACKEND == "tensorflow":
        signature = [tf.TensorSpec((length, *model.input_shape[1:]), tf.float32)]
        run = tf.function(call, input_signature=signature)
    else:
        run = _compile_with_jax(model) if BACKEND == "jax" else torch.no_grad()(call)

    def infer(inputs: np.ndarray) -> Any:
        n = len(inputs)
        if BACKEND == "jax" and length is None:
            inputs = pad(inputs, 1 << (n - 1).bit_length())
        outputs = run(keras.ops.cast(keras.ops.convert_to_tensor(inputs), "float32"))
        return keras.tree.map_structure(lambda each: keras.ops.convert_to_numpy(each)[:n], outputs)

    return infer


def pad(rows: np.ndarray, length: int) -> np.ndarray:
    """Add rows of zeros up to a length.

    >>> pad(np.array([[1, 2]]), 3).tolist()
    [[1, 2], [0, 0], [0, 0]]
    """
    return np.pad(rows, [(0, length - len(rows))] + [(0, 0)] * (rows.ndim - 1))


def _in_float32(outputs: Any) -> Any:
    return keras.tree.map_structure(lambda each: keras.ops.cast(each, "float32"), outputs)


def _compile_with_jax(model: keras.Model) -> Callable[[Any], Any]:
    def call(trained: list[Any], others: list[Any], inputs: Any) -> Any:
        return _in_float32(model.stateless_call(trained, others, inputs, training=False)[0])

    compiled = jax.jit(call)

    def run(inputs: Any) -> Any:
        kinds = model.trainable_variables, model.non_trainable_variables
        return compiled(*([variable.value for variable in kind] for kind in kinds), inputs)

    return run


def differentiate(
    function: Callable[[Any], tuple[Any, Any]], shape: tuple[int, ...], dtype: str
) -> tuple[Any, Any]:
    """Differentiate a function of a tensor at zero.

    Args:
        function: from the tensor to a number and to what else it gives.
        shape: of the tensor.
        dtype: of it.

    Returns:
        What else it gives, and the derivative of the number by the tensor.
    """
    zeros = keras.ops.zeros(shape, dtype)
    if BACKEND == "jax":
        gradient, rest = jax.grad(function, has_aux=True)(zeros)
    elif BACKEND == "tensorflow":
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(zeros)
            number, rest = function(zeros)
        gradient = tape.gradient(number, zeros)
    else:
        number, rest = function(zeros.requires_grad_())
        (gradient,) = torch.autograd.grad(number, zeros)
    return rest, gradient


def make_deterministic() -> None:
    """Let a rerun on this machine give the same bits; JAX's do on a CPU, and on a GPU by a flag of XLA."""
    if BACKEND == "tensorflow":
        tf.config.experimental.enable_op_determinism()
        tf.get_logger().setLevel("ERROR")  # it warns that functions are traced again, as each seed's are
    elif BACKEND == "torch":
        torch.use_deterministic_algorithms(True)


def has_gpu() -> bool:
    """Tell if the backend computes on something else than the CPU."""
    if BACKEND == "torch":
        return bool(torch.cuda.is_available())
    return not keras.distribution.list_devices()[0].startswith("cpu")


def limit_threads(threads: int | None) -> None:
    """Let the backend take so many threads, None: all; it is too late once it has computed anything."""
    if not threads:
        return
    if BACKEND == "tensorflow":
        with suppress(RuntimeError):
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
    elif BACKEND == "jax":
        os.environ["PJRT_NPROC"] = str(threads)
    else:
        torch.set_num_threads(threads)
