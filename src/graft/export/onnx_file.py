"""ONNX: for servers (ONNX Runtime) and browsers (onnxruntime-web)."""

import json
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort

from graft.export.registry import Scored, Session, not_ours
from graft.models.card import ENTRY

if TYPE_CHECKING:
    import keras
    import onnx

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
    card: dict[str, Any] = json.loads(found[ENTRY])
    return card


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

    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tf2onnx, for NumPy 2 and protobuf
        raw = Path(folder, "raw.onnx")
        whole = portable(model)
        whole(np.zeros((1, *model.input_shape[1:]), np.float32))  # Keras refuses a model that never ran
        whole.export(str(raw), format="onnx", verbose=False)
        graph = _quantise(raw, calibration) if precision == "int8" else onnx.load(raw)
    if precision == "float16":
        _store_in_float16(graph)
    onnx.helper.set_model_props(graph, {ENTRY: json.dumps(card)})
    onnx.checker.check_model(graph)
    onnx.save(graph, path)


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


def _quantise(raw: Path, calibration: np.ndarray) -> "onnx.ModelProto":
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Images(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = iter(calibration)

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self.left, None)
            return None if image is None else {"images": image[np.newaxis].astype(np.float32)}

    prepared, quantised = raw.with_name("prepared.onnx"), raw.with_name("int8.onnx")
    quant_pre_process(str(raw), str(prepared), skip_symbolic_shape=True)
    quantize_static(
        str(prepared),
        str(quantised),
        Images(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=QUANTISED,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    return onnx.load(quantised)
