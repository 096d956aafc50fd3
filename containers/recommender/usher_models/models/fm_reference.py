"""The row draw of fm_kernel.py in ten lines of numpy: what a test holds the kernel to."""

from __future__ import annotations

import numpy as np

from usher_models.models.fm_kernel import Float32


def draw_row(  # noqa: PLR0913, PLR0917 - its inputs, one by one
    y: Float32,
    factors: Float32,
    bias: Float32,
    weight: Float32,
    noise: float,
    precision: Float32,
    prior: Float32,
    normals: Float32,
) -> tuple[Float32, Float32, float]:
    """One row's draw, its conditional mean and the draw's weighted squared error.

    y (n,): its ratings; factors (n, k), bias (n,), weight (n,): the rows on the other side; noise: alpha; precision,
    prior, normals (k + 1,). Equation 14 of BPMF (Salakhutdinov and Mnih 2008) with a bias as one more factor.
    """
    q = np.column_stack([factors, np.ones(len(y))]) * weight[:, None]
    r = weight * (y - bias)
    lower = np.linalg.cholesky(noise * q.T @ q + np.diag(precision))
    mean = np.linalg.solve(lower @ lower.T, noise * q.T @ r + precision * prior)
    x = mean + np.linalg.solve(lower.T, normals)
    return x.astype(np.float32), mean.astype(np.float32), float(np.sum((r - q @ x) ** 2))
