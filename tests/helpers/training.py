"""The parameters of a short training run."""

from typing import Any

from graft.config.training import Training

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
