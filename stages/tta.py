"""Score views of the validation and test images by every method's model, where `predict.tta` asks for it."""

import shutil
from pathlib import Path
from time import perf_counter

from _stage import done  # first: this checkout's src, and the line that says what begins
from graft.config.features import Augmentation
from graft.config.load import load_params
from graft.config.paths import IMAGES, MANIFEST, MODELS, PREDICTIONS, TTA
from graft.config.types import Natural, ProperFraction
from graft.data.manifest import class_names, read_manifest
from graft.data.tta import Views
from graft.evaluation.predictions import read_predictions, write_predictions
from graft.evaluation.views import compare_views
from graft.methods.registry import METHODS
from graft.models.card import read_card
from graft.utils.files import write_json
from graft.utils.timing import write_timing

if __name__ == "__main__":
    started = perf_counter()
    params = load_params(
        {"predict.tta": Natural, "augmentation": Augmentation, "metrics.confidence": ProperFraction}
    )
    manifest = read_manifest(MANIFEST)
    rows, index = manifest[manifest["split"] != "train"].sort_values("key"), {"tta": params.tta}
    shutil.rmtree(TTA, ignore_errors=True)
    if params.tta:
        from graft.methods.tta import score_with_views

        models = {name: MODELS / name / "model.keras" for name in METHODS}
        views = Views(params.tta, params.augmentation)
        for name, scores in score_with_views(models, IMAGES, list(rows["key"]), views).items():
            seed = read_card(models[name])["seed"]
            facts = {"method": name, "seeds": [seed], "tta": params.tta}
            file, seeded = TTA / f"{name}.parquet", rows.assign(seed=seed)
            write_predictions(file, seeded, scores, class_names(manifest), facts)
        predicted = {name: read_predictions(PREDICTIONS / f"{name}.parquet") for name in METHODS}
        with_views = {name: read_predictions(TTA / f"{name}.parquet") for name in METHODS}
        index = compare_views(predicted, with_views, params.confidence)
        write_timing(Path(), "tta", {"seconds": perf_counter() - started}, [TTA])
    write_json(index, TTA / "index.json")  # there in any case: of an empty folder, DVC warns
    done(f"{params.tta} views of {len(rows):,} images" if params.tta else "predict.tta=0: no views")
