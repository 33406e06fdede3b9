"""The methods that Keras trains, and the parameters of a short training run."""

from typing import Any

from graft.config.training import Training
from graft.methods.registry import METHODS

KERAS_METHODS = [name for name, method in METHODS.items() if issubclass(method.load_schema(), Training)]
TUNED = {"blocks": ["block2"], "layers": 0, "optimizer": "adam", "learning_rate": 1e-5, "epochs": 2}
RATE, EPOCHS = 0.1, 6
TRAINING = {
    "optimizer": "sgd",
    "learning_rate": RATE,
    "schedule": {"name": "constant", "factor": 0.5, "patience": 2},
    "global_clipnorm": None,
    "label_smoothing": 0.0,
    "class_weight": None,
    "sampling": "shuffle",
    "mix": "none",
    "mix_alpha": 1.0,
    "epochs": EPOCHS,
    "batch_size": 4,
    "patience": None,
}


def make_training(**changes: Any) -> Training:
    return Training.model_validate({**TRAINING, **changes})


def make_schedule(name: str) -> dict[str, Any]:
    return {"name": name, "factor": 0.5, "patience": 2}
