"""Draw where the models with a backbone look: Grad-CAM of chosen test images."""

from pathlib import Path

import _checkout  # noqa: F401  (first: this checkout's src)
from graft.compare import METHODS
from graft.examples import choose_examples, read_images
from graft.explain import explain
from graft.params import load_params
from graft.predictions import read_predictions, score_matrix

if __name__ == "__main__":
    params = load_params("explain").explain
    predictions = {method: read_predictions(Path("predictions") / f"{method}.parquet") for method in METHODS}
    examples = choose_examples(predictions, params.mistakes, params.hesitant)
    models = {
        method: Path("models") / method / "model.keras"
        for method, (_, facts) in predictions.items()
        if facts["backbone"] != "none"
    }
    images = read_images(Path("data/images"), [example["key"] for example in examples])
    classes = score_matrix(predictions[METHODS[0]][0])[1]
    explain(examples, images, models, classes, Path("reports/explain"))
