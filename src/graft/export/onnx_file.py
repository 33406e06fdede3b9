"""ONNX: for servers (ONNX Runtime) and browsers (onnxruntime-web)."""

import json
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort

from graft.export.registry import Scored, Session
from graft.models.card import ENTRY, not_ours, parse_card

if TYPE_CHECKING:
    import keras
    import onnx

OPSET = 15  # which onnxruntime-web and older ONNX Runtimes take
PROVIDERS = ["CPUExecutionProvider"]
# What int8 is computed in; the normalisation of a head stays in float32, whose squares 8 bits do not hold.
QUANTISED = ["Conv", "Gemm", "MatMul", "Clip", "Relu", "Add", "GlobalAveragePool", "MaxPool", "AveragePool"]
SMALLEST = 64  # values of a weight that float16 is worth a node for


def read_card(path: Path) -> dict[str, Any]:
    """Read the card, which is in the model's metadata, as `graft.models.card.read_card` does."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    found = _load(path, options).get_modelmeta().custom_metadata_map
    if ENTRY not in found:
        raise not_ours(path)
    return parse_card(found[ENTRY], path)


def open_session(path: Path, threads: int | None = None) -> Session:
    """Load the file to run it on the CPU; threads that have nothing to do sleep."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = _load(path, options)
    names = [each.name for each in session.get_outputs()]

    def run(images: np.ndarray) -> Scored:
        outputs = dict(zip(names, session.run(names, {"images": images.astype(np.float32)}), strict=True))
        return Scored(outputs["scores"], outputs.get("features"))

    return run


def _load(path: Path, options: ort.SessionOptions) -> ort.InferenceSession:
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(str(path), options, PROVIDERS)
    except Exception as error:  # ONNX Runtime's have no common class but this
        raise ValueError(f"{path} cannot be loaded by ONNX Runtime: {error}") from None


def write(
    model: "keras.Model", card: dict[str, Any], path: Path, precision: str, calibration: np.ndarray
) -> None:
    """Write the model; see `graft.export.registry.Format` for the arguments.

    float16 stores the weights in 16 bits, and computes in float32 after ONNX Runtime has folded the casts;
    int8 is static, with the ranges of the calibration images.
    """
    import onnx

    from graft.export.keras_file import portable

    graph = _convert(portable(model))
    if precision == "int8":
        graph = _quantise(graph, calibration)
    if precision == "float16":
        _store_in_float16(graph)
    onnx.helper.set_model_props(graph, {ENTRY: json.dumps(card)})
    onnx.checker.check_model(graph)
    onnx.save(graph, path)


def _convert(model: "keras.Model") -> "onnx.ModelProto":
    """Convert a model; Keras's own `export` leaves constants, such as a mean to subtract, as inputs."""
    import onnx
    import tensorflow as tf
    import tf2onnx
    from onnx import numpy_helper

    signature = [tf.TensorSpec((None, *model.input_shape[1:]), tf.float32, name="images")]
    traced = tf.function(lambda images: model(images, training=False), input_signature=signature)
    captured = traced.get_concrete_function().graph.captures
    values = {inner.name: outer for outer, inner in captured if outer.dtype != tf.resource}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        converted: onnx.ModelProto
        converted, _ = tf2onnx.convert.from_function(
            traced, signature, opset=OPSET, custom_op_handlers={"Erfc": (_write_erfc, [])}
        )
    for constant in [each for each in converted.graph.input if each.name != "images"]:
        value = numpy_helper.from_array(values[constant.name].numpy(), constant.name)
        converted.graph.initializer.append(value)
        converted.graph.input.remove(constant)
    return converted


def _write_erfc(graph: Any, node: Any, name: str, _: Any) -> None:
    """Write 1 - erf(x), which is in the exact GELU of transformers, and which tf2onnx 1.17 lacks."""
    shape, dtype = graph.get_shape(node.output[0]), graph.get_dtype(node.output[0])
    graph.remove_node(name)
    one = graph.make_const(f"{name}/one", np.array(1, np.float32))
    erf = graph.make_node("Erf", node.input, name=f"{name}/erf", shapes=[shape], dtypes=[dtype])
    subtracted = [one.output[0], erf.output[0]]
    graph.make_node("Sub", subtracted, name=name, outputs=node.output, shapes=[shape], dtypes=[dtype])


def _store_in_float16(model: "onnx.ModelProto") -> None:
    from onnx import TensorProto, helper, numpy_helper

    graph, casts = model.graph, []
    for weight in graph.initializer:
        if weight.data_type == TensorProto.FLOAT and np.prod(weight.dims) >= SMALLEST:
            values, name = numpy_helper.to_array(weight), weight.name
            weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}/float16"))
            casts.append(helper.make_node("Cast", [weight.name], [name], name, to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _quantise(model: "onnx.ModelProto", calibration: np.ndarray) -> "onnx.ModelProto":
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Images(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = iter(calibration)

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self.left, None)
            return None if image is None else {"images": image[np.newaxis].astype(np.float32)}

    with TemporaryDirectory() as folder:
        raw, prepared, quantised = (f"{folder}/{name}.onnx" for name in ("raw", "prepared", "int8"))
        onnx.save(model, raw)
        quant_pre_process(raw, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            quantised,
            Images(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=QUANTISED,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return onnx.load(quantised)
