"""Any augmentation: a range for each operation."""

from hypothesis import strategies as st

from graft.config.features import Augmentation

FILL_MODES = ["reflect", "wrap", "nearest", "constant"]
AUGMENTATIONS = st.fixed_dictionaries(
    {
        "flip": st.sampled_from(["none", "horizontal", "vertical", "horizontal_and_vertical"]),
        "rotation": st.floats(0, 1),
        "zoom": st.floats(0, 0.9),
        "translation": st.floats(0, 1),
        "crop": st.floats(0, 0.9),
        "brightness": st.floats(0, 1),
        "contrast": st.floats(0, 1),
        "fill_mode": st.sampled_from(FILL_MODES),
        "interpolation": st.sampled_from(["bilinear", "nearest"]),
    }
).map(Augmentation.model_validate)
