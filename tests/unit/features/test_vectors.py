"""Features as vectors: those of the keys, in the order of the keys, whatever shards they are in."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.features.format import write_features
from graft.features.vectors import read_vectors


@given(n=st.integers(1, 20), n_shards=st.integers(1, 3), is_map=st.booleans(), seed=st.integers(0, 9))
def test_each_key_has_the_mean_of_its_map(n, n_shards, is_map, seed, tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("features"), np.random.default_rng(seed)
    keys = [f"{number:04x}" for number in rng.permutation(n)]
    features = rng.random((n, 2, 3, 4) if is_map else (n, 4)).astype(np.float16)
    for shard in range(n_shards):
        rows = [(key, view) for key in keys[shard::n_shards] for view in (0, 1)]
        if rows:
            write_features(folder / f"{shard}.parquet", rows, features[shard::n_shards].repeat(2, axis=0), {})
    wanted = keys[: max(1, n // 2)]
    found, vectors = read_vectors(folder, wanted)
    means = features.astype(np.float32).reshape(n, -1, 4).mean(1)
    assert found == sorted(wanted)
    np.testing.assert_allclose(vectors, [means[keys.index(key)] for key in found], rtol=1e-6)
    with pytest.raises(ValueError, match="1 images are not in"):
        read_vectors(folder, [*wanted, "none"])
