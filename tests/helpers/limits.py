"""The block `prepare` of params.yaml with changes."""

from typing import Any

from graft.config.data import Prepare
from helpers.repository import PARAMS


def prepare_params(**changes: Any) -> Prepare:
    """The block `prepare` of params.yaml with changes."""
    return Prepare.model_validate(PARAMS["prepare"] | changes)
