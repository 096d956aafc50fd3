"""Compiles the kernels into numba's cache: run once when the image is built, so that no job waits for the compiler."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from usher_models.models.fm_sampler import sample


def warm() -> None:
    """One small fit of each kind goes through every kernel."""
    users, items = np.repeat(np.arange(10, dtype=np.int32), 5), np.tile(np.arange(5, dtype=np.int32), 10)
    features = [sp.csr_matrix(np.ones((5, 1), np.float32))]
    for binary in (False, True):
        y = (np.arange(50) % 2).astype(np.float32)
        sample(
            users,
            items,
            y,
            (10, 5),
            item_features=features,
            factors=2,
            sweeps=1,
            seed=0,
            binary=binary,
            each=lambda _: None,
        )


if __name__ == "__main__":
    warm()
