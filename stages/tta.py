"""Score views of the validation and test images by every method's model, where `predict.tta` asks for it."""

import shutil
from pathlib import Path
from time import perf_counter

from _stage import done  # first: this checkout's src, and the line that says what begins
from graft.config.features import Augmentation
from graft.config.load import load_params
from graft.config.paths import IMAGES, MANIFEST, MODELS, TTA
from graft.config.types import Natural
from graft.data.manifest import class_names, read_manifest
from graft.data.tta import Views
from graft.evaluation.predictions import write_predictions
from graft.methods.registry import METHODS
from graft.models.card import read_card
from graft.utils.files import write_json
from graft.utils.timing import write_timing

if __name__ == "__main__":
    started = perf_counter()
    params = load_params({"predict.tta": Natural, "augmentation": Augmentation})
    manifest = read_manifest(MANIFEST)
    rows = manifest[manifest["split"] != "train"].sort_values("key")
    shutil.rmtree(TTA, ignore_errors=True)
    write_json({"tta": params.tta}, TTA / "index.json")  # of an empty folder, DVC warns
    if params.tta:
        from graft.methods.tta import score_with_views

        models = {name: MODELS / name / "model.keras" for name in METHODS}
        views = Views(params.tta, params.augmentation)
        for name, scores in score_with_views(models, IMAGES, list(rows["key"]), views).items():
            seed = read_card(models[name])["seed"]
            facts = {"method": name, "seeds": [seed], "tta": params.tta}
            scored = TTA / f"{name}.parquet"
            write_predictions(scored, rows.assign(seed=seed), scores, class_names(manifest), facts)
        write_timing(Path(), "tta", {"seconds": perf_counter() - started}, [TTA])
    done(f"{params.tta} views of {len(rows):,} images" if params.tta else "predict.tta=0: no views")
