"""What a backbone's weights are called in params.yaml and in results."""

from pathlib import Path

RANDOM, IMAGENET = "random", "imagenet"


def weights_name(weights: str) -> str:
    """What to call the weights in results: ``random``, ``imagenet`` or a file's name."""
    return weights if weights in (RANDOM, IMAGENET) else Path(weights).name


def backbone_facts(backbone: str, weights: str) -> dict[str, str | bool]:
    """What results say of the backbone they rest on."""
    return {"backbone": backbone, "weights": weights_name(weights), "pretrained": weights != RANDOM}
