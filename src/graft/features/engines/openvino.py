"""OpenVINO, for CPUs: the backbone converted from Keras and, for int8, quantised by NNCF after training."""

import logging
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import cpuinfo
import keras
import numpy as np

from graft.config.features import FeaturePrecision
from graft.data.decoding import load_pixels
from graft.models.backbones import in_batches
from graft.models.dtype_policy import BFLOAT16_FLAGS

if TYPE_CHECKING:
    import openvino as ov

# What is not int8 in a quantised model, if anything, stays float32.
HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}
# x86 and Arm. Without, products of int8 are summed in 16 bits on x86, which may overflow.
VNNI_FLAGS = {"avx512_vnni", "avx512vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"}
INSTRUCTIONS = {"bfloat16": ("bfloat16", BFLOAT16_FLAGS), "int8": ("VNNI", VNNI_FLAGS)}


@dataclass(frozen=True)
class OpenVino:
    """OpenVINO on the CPU.

    Attributes:
        images: `data/images`.
        calibration: keys of the images that int8 takes the ranges of values from.
    """

    images: Path
    calibration: tuple[str, ...]

    def facts(self, precision: FeaturePrecision) -> dict[str, Any]:
        """The engine, its version and, for int8, that of NNCF and the keys of the calibration images."""
        facts = {"engine": "openvino", "openvino": version("openvino")}
        if precision != "int8":
            return facts
        return facts | {"nncf": version("nncf"), "calibration": list(self.calibration)}

    def prepare(
        self, model: keras.Model, batch_size: int, precision: FeaturePrecision
    ) -> Callable[[np.ndarray], np.ndarray]:
        """Convert a float32 model, quantise it if that is wanted, and compile it; see `Engine.prepare`.

        Warns where the CPU lacks the instructions of the precision.
        """
        import openvino as ov

        if missing := lacks(precision):
            warnings.warn(
                f"precision={precision}: this CPU has no {missing} instructions, so it is hardly faster than "
                "float32, and less exact; use float32 here",
                stacklevel=4,
            )
        converted = _convert(model, batch_size)
        if precision == "int8":
            pixels = load_pixels(self.images, self.calibration, model.input_shape[1])
            converted = _quantise(converted, pixels, batch_size)
        options = {"INFERENCE_PRECISION_HINT": HINTS[precision], "PERFORMANCE_HINT": "LATENCY"}
        compiled = ov.Core().compile_model(converted, "CPU", options)
        return in_batches(lambda pixels: compiled([pixels.astype(np.float32)])[0], batch_size, batch_size)


def lacks(precision: FeaturePrecision) -> str:
    """Name the instructions of a precision that this CPU lacks; empty where it has them."""
    name, flags = INSTRUCTIONS.get(precision, ("", set()))
    return name if flags.isdisjoint(cpuinfo.get_cpu_info().get("flags", ())) else ""


def _convert(model: keras.Model, batch_size: int) -> "ov.Model":
    import openvino as ov

    signature = [keras.InputSpec("float32", (batch_size, *model.input_shape[1:]))]
    with TemporaryDirectory() as folder:
        file = f"{folder}/backbone.xml"
        model.export(file, "openvino", verbose=False, input_signature=signature)
        return ov.Core().read_model(file)


def _quantise(model: "ov.Model", pixels: np.ndarray, batch_size: int) -> "ov.Model":
    import nncf

    n_batches = -(-len(pixels) // batch_size)
    batches = pixels[np.arange(n_batches * batch_size) % len(pixels)].astype(np.float32)
    nncf.set_log_level(logging.ERROR)
    with redirect_stdout(StringIO()):  # its bars
        return nncf.quantize(model, nncf.Dataset(np.split(batches, n_batches)), subset_size=n_batches)
