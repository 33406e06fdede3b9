"""Views as the report draws them: those of the training runs, without Keras."""

from hashlib import sha256

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.data.augmentation import augment
from graft.report.views import SHOWN, choose_originals, draw_views
from helpers.augmentations import AUGMENTATIONS
from helpers.pages import make_image, make_manifest


@settings(deadline=None, max_examples=25)
@given(AUGMENTATIONS, st.integers(0, 99), st.lists(st.integers(1, 1000), min_size=1, max_size=3))
def test_they_are_the_views_of_the_training_runs(spec, seed, views):
    """But for rounding, by which a pixel may come from the one beside it; and `wrap` has other seams.

    These change the mean, about which contrast is scaled.
    """
    wraps = spec.fill_mode == "wrap"
    spec = spec.model_copy(update={"contrast": 0}) if wraps else spec
    image, key = make_image(seed, (24, 24)), sha256(bytes([seed])).hexdigest()
    drawn = np.stack(draw_views(image, key, views, spec)).astype(float)
    expected = augment(np.stack([image] * len(views)), [key] * len(views), views, spec)
    differs = np.abs(drawn - expected).max(axis=-1) > 1.01
    assert np.mean(differs) < (0.3 if wraps else 0.03)


def test_the_originals_are_of_train_and_of_as_many_classes_as_there_are():
    manifest = make_manifest(["cat", "dog"], 2)
    train = manifest[manifest["split"] == "train"]
    for rows in (manifest, manifest.sample(frac=1, random_state=0)):
        labels = train.set_index("key")["label"].loc[choose_originals(rows)]
        assert list(labels) == ["cat", "dog"] * (SHOWN // 2)
    assert len(choose_originals(train[:1])) == 1
    assert choose_originals(manifest[manifest["split"] == "test"]) == []
