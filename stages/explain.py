"""Draw where the models with a backbone look: Grad-CAM of chosen test images."""

from pathlib import Path

import _checkout  # noqa: F401  (first: this checkout's src)
from graft.config.load import load_params
from graft.config.report import Explain
from graft.data.images import read_images
from graft.evaluation.compare import METHODS
from graft.evaluation.predictions import first_seed, read_predictions, score_matrix
from graft.explain.heat_maps import explain
from graft.explain.selection import choose_examples, read_answers

if __name__ == "__main__":
    params = load_params({"explain": Explain}).explain
    predictions = {method: read_predictions(Path("predictions") / f"{method}.parquet") for method in METHODS}
    examples = choose_examples(predictions, params.mistakes, params.hesitant)
    with_backbone = [method for method in METHODS if predictions[method][1]["backbone"] != "none"]
    answered = {method: read_answers(first_seed(*predictions[method])) for method in with_backbone}
    explain(
        examples,
        read_images(Path("data/images"), [example["key"] for example in examples]),
        {method: Path("models") / method / "model.keras" for method in with_backbone},
        {method: dict(zip(rows["key"], rows["answer"], strict=True)) for method, rows in answered.items()},
        score_matrix(predictions[METHODS[0]][0])[1],
        Path("reports/explain"),
    )
