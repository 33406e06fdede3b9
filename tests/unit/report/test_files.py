"""Model files: the exports of a student beside those of its teacher."""

from graft.report.files import compare_to_teachers


def make_export(format, precision, n_bytes, speed):
    speeds = {"images_per_second_one_thread": {"1": speed, "16": 9.0}}
    return {"format": format, "precision": precision, "bytes": n_bytes, "accuracy": 0.8, **speeds}


EXPORTS = {
    "linear": [make_export("litert", "int8", 2_000_000, 50.0), make_export("onnx", "int8", 1, 1.0)],
    "distilled": [make_export("litert", "int8", 40_000, 1000.0), make_export("litert", "float32", 1, 1.0)],
}


def test_files_of_one_format_and_precision_stand_beside_each_other():
    assert compare_to_teachers({"linear": {}, "distilled": {"teacher": "linear"}}, EXPORTS) == [
        "distilled in litert int8: 0.04 MB, 1,000 images/s, test accuracy 80.0 %; its teacher linear: 2.0 "
        "MB, 50 images/s, test accuracy 80.0 %. It is 50.0 times smaller and 20.0 times as fast on one "
        "thread."
    ]


def test_without_a_teacher_or_its_export_there_is_nothing_to_compare():
    assert compare_to_teachers({"linear": {}, "distilled": {}}, EXPORTS) == []
    assert compare_to_teachers({"distilled": {"teacher": "inline"}}, EXPORTS) == []
