"""Keras on JAX: the methods' own tests, and the same scores of the same files, here computed by TensorFlow."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

import graft
from graft.data.decoding import load_pixels
from graft.evaluation.predictions import read_predictions, score_matrix
from graft.methods.registry import METHODS
from helpers.repository import ROOT, environment

TRAINED = "tests/unit/methods/test_methods.py"
TESTS = (
    f"{TRAINED}::TestEveryMethod::test_the_same_seed_gives_the_same_bits_in_memory_and_on_disk",
    f"{TRAINED}::TestFineTuning::test_the_model_gives_the_scores",
    "tests/unit/training/test_checkpoint.py::test_a_run_killed_in_each_epoch_ends_in_the_same_bits",
    "tests/unit/explain/test_gradcam.py::test_a_bright_corner",
)
TOLERANCE = 2e-3  # of a score: features were rounded to float16
