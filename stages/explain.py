"""Draw where the models with a backbone look: Grad-CAM of chosen test images."""

from _stage import done  # first: this checkout's src, and the line that says what begins
from graft.config.load import load_params
from graft.config.paths import EXPLAIN, HEAT_MAPS, IMAGES, MODELS, PREDICTIONS
from graft.config.report import Explain
from graft.data.decoding import read_images
from graft.evaluation.predictions import first_seed, read_predictions, score_matrix
from graft.explain.heat_maps import Explained, explain
from graft.explain.selection import choose_examples, predict_test
from graft.methods.registry import METHODS

if __name__ == "__main__":
    params = load_params({"explain": Explain}).explain
    predictions = {method: read_predictions(PREDICTIONS / f"{method}.parquet") for method in METHODS}
    examples = choose_examples(predictions, params.mistakes, params.hesitant)
    images = read_images(IMAGES, [example["key"] for example in examples])
    methods = {}
    for name in (name for name, method in METHODS.items() if method.has_backbone):
        predicted = predict_test(first_seed(*predictions[name])).set_index("key")["predicted"].to_dict()
        methods[name] = Explained(MODELS / name / "model.keras", predicted)
    classes = score_matrix(next(iter(predictions.values()))[0])[1]
    explain(examples, images, methods, classes, EXPLAIN, HEAT_MAPS)
    done(f"{len(examples)} images, {len(methods)} methods")
