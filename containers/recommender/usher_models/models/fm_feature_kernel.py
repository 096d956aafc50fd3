"""The feature draws of the factorization machine's Gibbs sampler, compiled by numba.

A row's prior mean is mu + F B, F its sparse features, as in Macau (Simm et al. 2015). B's rows are drawn one after
another, centred (given the rows) or non-centred (given the ratings, moving the rows along).

Arguments of both draws: pointer, index, value: F by column (features + 1,), (entries,), (entries,); group (features,):
the prior of each; features (features, width): B; feature_precision, feature_mean (groups, width); normals like B.
"""

# ruff: noqa: PLR0913, PLR0917 - numba reads no objects: arrays go in one by one
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

import numpy as np

from usher_models.models.fm_kernel import LANES, compiled


@compiled
def draw_features_centred(
    pointer, index, value, group, features, feature_precision, feature_mean, precision, offset, normals
):
    """Draw each feature's row given the rows it explains; offset = rows - mean - F features is kept up to date."""
    count, width = features.shape
    change = np.empty(width, np.float32)
    for f in range(count):
        g = group[f]
        square = np.float32(0)
        change[:] = 0
        for m in range(pointer[f], pointer[f + 1]):
            square += value[m] * value[m]
            for j in range(width):
                change[j] += value[m] * offset[index[m], j]
        for j in range(width):
            p = precision[j] * square + feature_precision[g, j]
            new = precision[j] * (change[j] + features[f, j] * square) + feature_precision[g, j] * feature_mean[g, j]
            new = new / p + normals[f, j] / np.sqrt(p)
            change[j] = new - features[f, j]
            features[f, j] = new
        for m in range(pointer[f], pointer[f + 1]):
            for j in range(width):
                offset[index[m], j] -= value[m] * change[j]


@compiled
def _solve_and_draw(a, v, normals):
    """v <- A^-1 v + L^-T normals for one small symmetric A, which is overwritten."""
    width = v.shape[0]
    for j in range(width):
        for t in range(j):
            a[j, j] -= a[j, t] * a[j, t]
        a[j, j] = np.sqrt(a[j, j])
        for i in range(j + 1, width):
            total = a[i, j]
            for t in range(j):
                total -= a[i, t] * a[j, t]
            a[i, j] = total / a[j, j]
    for i in range(width):
        for t in range(i):
            v[i] -= a[i, t] * v[t]
        v[i] /= a[i, i]
    for i in range(width):
        v[i] += normals[i]
    for i in range(width - 1, -1, -1):
        for t in range(i + 1, width):
            v[i] -= a[t, i] * v[t]
        v[i] /= a[i, i]


@compiled
def _unpack(stats, noise, rows, h, gradient):
    """h (rows, width, width) <- alpha H, gradient (rows, width) <- alpha (b - H x), from the packed statistics."""
    count, width = rows.shape
    triangle = width * (width + 1) // 2
    for r in range(count):
        s = stats[r // LANES]
        lane = r % LANES
        at = 0
        for i in range(width):
            for j in range(i + 1):
                h[r, i, j] = noise[r] * s[at, lane]
                h[r, j, i] = h[r, i, j]
                at += 1
        for i in range(width):
            total = noise[r] * s[triangle + i, lane]
            for j in range(width):
                total -= h[r, i, j] * rows[r, j]
            gradient[r, i] = total


@compiled
def draw_features_noncentred(
    pointer, index, value, group, features, feature_precision, feature_mean, noise, stats, rows, normals
):
    """Draw each feature's row, joint over the factors, with the offsets rows - F features held.

    `rows` moves with it.
    """
    count, width = features.shape
    h = np.empty((rows.shape[0], width, width), np.float32)
    gradient = np.empty(rows.shape, np.float32)
    _unpack(stats, noise, rows, h, gradient)
    a = np.empty((width, width), np.float32)
    v = np.empty(width, np.float32)
    for f in range(count):
        g = group[f]
        a[:, :] = 0
        v[:] = 0
        for m in range(pointer[f], pointer[f + 1]):
            r = index[m]
            x = value[m]
            for i in range(width):
                v[i] += x * gradient[r, i]
                for j in range(width):
                    a[i, j] += x * x * h[r, i, j]
        for i in range(width):
            v[i] += feature_precision[g, i] * (feature_mean[g, i] - features[f, i])
            a[i, i] += feature_precision[g, i]
        _solve_and_draw(a, v, normals[f])
        for i in range(width):
            features[f, i] += v[i]
        for m in range(pointer[f], pointer[f + 1]):
            r = index[m]
            x = value[m]
            for i in range(width):
                rows[r, i] += x * v[i]
            for j in range(width):
                step = x * v[j]
                for i in range(width):
                    gradient[r, i] -= h[r, j, i] * step
