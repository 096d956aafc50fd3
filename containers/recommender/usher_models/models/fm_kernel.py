"""The row draws of the factorization machine's Gibbs sampler, compiled by numba.

Equation 14 of BPMF (Salakhutdinov and Mnih 2008) with a bias as one more factor; the tests hold it to ten lines of
numpy. Rows are handled eight at a time, a SIMD lane each. A lane's statistics are the lower triangle of
H = sum (q, w)(q, w)^T, then b = sum r (q, w), then sum r^2, over the row's ratings: q = w * factors of the other side's
row, r = w * (y - its bias).

Plain loops: a block of ratings is gathered so that each factor lies in a row of its own, and its Gram matrix is taken
in tiles whose inner loop LLVM vectorises (1.9 ns per rating and factor a sweep; four ratings added to H at a time take
4.0).
"""


# ruff: noqa: PLR0912, PLR0913, PLR0917 - numba reads no objects: arrays go in one by one
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]

#: Rows handled at once: the float32 lanes of AVX2.
LANES = 8

#: Ratings gathered at once: with 16 factors 9 KB, which stay in the first cache.
BLOCK = 128

#: nogil: threads each take a range of rows. cache: compiled once, into NUMBA_CACHE_DIR or __pycache__.
compiled: Any = njit(fastmath=True, nogil=True, cache=True, error_model="numpy")


def statistics_size(width: int) -> int:
    """How many numbers a lane's statistics have, for rows of `width` = factors + bias."""
    return width * (width + 1) // 2 + width + 1


@compiled
def _gram(buffer, count, gram):
    """gram += buffer buffer^T over the first `count` ratings, the lower triangle in tiles of four rows by two columns.

    A tile's eight sums stay in registers while LLVM runs eight ratings at a time through them.
    """
    for i in range(0, buffer.shape[0], 4):
        for j in range(0, i + 4, 2):
            a00 = a10 = a20 = a30 = a01 = a11 = a21 = a31 = np.float32(0)
            for n in range(count):
                x, y = buffer[j, n], buffer[j + 1, n]
                a00 += buffer[i, n] * x
                a10 += buffer[i + 1, n] * x
                a20 += buffer[i + 2, n] * x
                a30 += buffer[i + 3, n] * x
                a01 += buffer[i, n] * y
                a11 += buffer[i + 1, n] * y
                a21 += buffer[i + 2, n] * y
                a31 += buffer[i + 3, n] * y
            gram[i, j] += a00
            gram[i + 1, j] += a10
            gram[i + 2, j] += a20
            gram[i + 3, j] += a30
            gram[i, j + 1] += a01
            gram[i + 1, j + 1] += a11
            gram[i + 2, j + 1] += a21
            gram[i + 3, j + 1] += a31


@compiled
def _row_gram(start, stop, index, y, other, bias, buffer, gram):
    """gram <- that of (q, w, r) over one row's ratings start..stop: H, b and sum r^2 at once.

    other (rows, width): (q, w).
    """
    width = other.shape[1]
    gram[:, :] = 0
    for first in range(start, stop, BLOCK):
        count = min(BLOCK, stop - first)
        for n in range(count):
            at = index[first + n]
            for j in range(width):
                buffer[j, n] = other[at, j]
            buffer[width, n] = other[at, width - 1] * (y[first + n] - bias[at])
        full = (count + LANES - 1) // LANES * LANES
        buffer[: width + 1, count:full] = 0
        _gram(buffer, full, gram)


@compiled
def statistics(pointer, index, y, other, bias, first, last, out):
    """Statistics of the blocks first..last of eight rows into out (blocks, statistics_size, 8).

    One pass over the ratings. pointer (rows + 1,); index, y (ratings,); other (other rows, width); bias (other rows,).
    """
    width = other.shape[1]
    padded = (width + 4) // 4 * 4
    buffer = np.zeros((padded, BLOCK), np.float32)
    gram = np.zeros((padded, padded), np.float32)
    for block in range(first, last):
        for lane in range(LANES):
            row = block * LANES + lane
            start, stop = (pointer[row], pointer[row + 1]) if row < pointer.shape[0] - 1 else (0, 0)
            _row_gram(start, stop, index, y, other, bias, buffer, gram)
            at = 0
            for i in range(width + 1):
                for j in range(i + 1):
                    out[block, at, lane] = gram[i, j]
                    at += 1


@compiled
def _cholesky(a, inverse):
    """Eight packed lower Cholesky factors at once, in place.

    The last row is a right-hand side and ends as L^-1 of it.
    """
    width = inverse.shape[0]
    acc = np.empty(LANES, np.float32)
    for j in range(width):
        row_j = j * (j + 1) // 2
        for i in range(j, width + 1):
            row_i = i * (i + 1) // 2
            for lane in range(LANES):
                acc[lane] = a[row_i + j, lane]
            for t in range(j):
                for lane in range(LANES):
                    acc[lane] -= a[row_i + t, lane] * a[row_j + t, lane]
            if i == j:
                for lane in range(LANES):
                    inverse[j, lane] = np.float32(1) / np.sqrt(acc[lane])
            for lane in range(LANES):
                a[row_i + j, lane] = acc[lane] * inverse[j, lane]


@compiled
def _back_substitute(a, inverse, x):
    """x <- L^-T x, in eight lanes."""
    width = inverse.shape[0]
    for i in range(width - 1, -1, -1):
        row = i * (i + 1) // 2
        for lane in range(LANES):
            x[i, lane] *= inverse[i, lane]
        for j in range(i):
            for lane in range(LANES):
                x[j, lane] -= a[row + j, lane] * x[i, lane]


@compiled
def draw(stats, noise, precision, prior, normals, first, last, rows, means, errors):
    """Draw the rows of the blocks first..last: x ~ N(A^-1 (alpha b + precision * prior), A^-1).

    A = alpha H + diag(precision).

    noise (rows,): alpha; prior (rows, width): the row's mean before its ratings. Writes the draws into `rows`, their
    conditional means into `means`, and the draws' (weighted) squared errors into `errors`.
    """
    count, width = rows.shape
    triangle = width * (width + 1) // 2
    a = np.empty((triangle + width, LANES), np.float32)
    inverse = np.empty((width, LANES), np.float32)
    mean = np.empty((width, LANES), np.float32)
    x = np.empty((width, LANES), np.float32)
    alpha = np.empty(LANES, np.float32)
    error = np.empty(LANES, np.float32)
    for block in range(first, last):
        s = stats[block]
        start = block * LANES
        lanes = min(LANES, count - start)
        for lane in range(LANES):
            alpha[lane] = noise[start + lane] if lane < lanes else np.float32(1)
        for at in range(triangle + width):
            for lane in range(LANES):
                a[at, lane] = alpha[lane] * s[at, lane]
        for j in range(width):
            for lane in range(LANES):
                a[j * (j + 1) // 2 + j, lane] += precision[j]
            for lane in range(lanes):
                a[triangle + j, lane] += precision[j] * prior[start + lane, j]
        _cholesky(a, inverse)
        for j in range(width):
            for lane in range(LANES):
                mean[j, lane] = a[triangle + j, lane]
                x[j, lane] = a[triangle + j, lane]
            for lane in range(lanes):
                x[j, lane] += normals[start + lane, j]
        # |L^T x|^2 is x^T A x: with it the squared error needs no second pass over the ratings.
        for lane in range(LANES):
            error[lane] = np.float32(0)
        for j in range(width):
            for lane in range(LANES):
                error[lane] += x[j, lane] * x[j, lane]
        _back_substitute(a, inverse, mean)
        _back_substitute(a, inverse, x)
        for j in range(width):
            for lane in range(LANES):
                error[lane] -= precision[j] * x[j, lane] * x[j, lane]
        for lane in range(lanes):
            total = s[triangle + width, lane] + error[lane] / alpha[lane]
            for j in range(width):
                total -= np.float32(2) * x[j, lane] * s[triangle + j, lane]
                rows[start + lane, j] = x[j, lane]
                means[start + lane, j] = mean[j, lane]
            errors[start + lane] = max(total, np.float32(0))


@compiled
def predict(pointer, index, users, items, out):
    """out[n] <- b_u + b_i + p_u . q_i for every rating, in user order; the last column is the bias."""
    width = users.shape[1]
    for u in range(pointer.shape[0] - 1):
        for n in range(pointer[u], pointer[u + 1]):
            i = index[n]
            total = users[u, width - 1] + items[i, width - 1]
            for j in range(width - 1):
                total += users[u, j] * items[i, j]
            out[n] = total
