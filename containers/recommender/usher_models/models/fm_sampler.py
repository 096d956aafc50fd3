"""The Gibbs sampler of the Bayesian factorization machine: user and item towers, their priors, features and noise.

y = w0 + b_u + b_i + p_u . q_i + N(0, 1 / alpha_u); each row x = (p, b) ~ N(mu + F B, diag(1 / lambda)), F the row's
features. A factorization machine (Rendle 2010) in two-tower form, sampled a row at a time as BPMF (Salakhutdinov and
Mnih 2008), with libFM's hyperpriors (Freudenthaler, Schmidt-Thieme, Rendle 2011) and features in the prior mean as in
Macau (Simm et al. 2015).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
from scipy.special import gammaln, ndtr, ndtri

from usher_models.errors import FitError
from usher_models.models import fm_feature_kernel as feature_kernel
from usher_models.models import fm_kernel as kernel
from usher_models.models.fm_kernel import LANES, Float32, Float64, Int32, Int64

#: Degrees of freedom of the users' noise: the grid that is drawn from.
NOISE_GRID = np.array([2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96], np.float64)
#: Bounds of a rating's precision: a standard deviation of 0.03 to 30. Without the upper one a perfect fit ends in
#: matrices that float32 cannot factor.
NOISE_BOUNDS = (1e-3, 1e3)
#: Every so many sweeps the features are also drawn non-centred, which lets rows and features move together.
NONCENTRED_EVERY = 4


@dataclass(frozen=True)
class SampledRows:
    """Ratings sorted by row: pointer (rows + 1,), index (ratings,) of the other side, y (ratings,)."""

    pointer: Int64
    index: Int32
    y: Float32

    @classmethod
    def sort(cls, rows: Int32, columns: Int32, y: Float32, count: int) -> tuple[SampledRows, Int64]:
        """The ratings by row, stable, and the order that sorted them."""
        order = np.argsort(rows, kind="stable")
        pointer = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=count))]).astype(np.int64)
        return cls(pointer, np.ascontiguousarray(columns[order], np.int32), np.ascontiguousarray(y[order])), order

    def cuts(self, parts: int) -> Int64:
        """Bounds, in blocks of eight rows, of `parts` ranges of equal work; a row's draw costs about 25 ratings."""
        rows = len(self.pointer) - 1
        cost = self.pointer + 25 * np.arange(rows + 1)
        bounds = np.searchsorted(cost, np.linspace(0, cost[-1], parts + 1)) // LANES
        bounds[0], bounds[-1] = 0, -(-rows // LANES)
        return bounds.astype(np.int64)


@dataclass
class Features:
    """A tower's sparse features by column, in groups (genres, years, tags) that share a prior."""

    matrix: sp.csr_matrix
    group: Int64
    values: Float32
    precision: Float64
    mean: Float64
    columns: sp.csc_matrix = field(init=False)

    def __post_init__(self) -> None:
        self.columns = self.matrix.tocsc()

    @classmethod
    def start(cls, groups: Sequence[sp.spmatrix], width: int) -> Features:
        matrix = sp.csr_matrix(sp.hstack(groups), dtype=np.float32)
        group = np.repeat(np.arange(len(groups)), [columns.shape[1] for columns in groups]).astype(np.int64)
        shape = (len(groups), width)
        return cls(matrix, group, np.zeros((matrix.shape[1], width), np.float32), np.ones(shape), np.zeros(shape))

    @property
    def arrays(self) -> tuple[Int64, Int32, Float32, Int64]:
        columns = self.columns
        return columns.indptr.astype(np.int64), columns.indices.astype(np.int32), columns.data, self.group


@dataclass
class Tower:
    """One side: rows (n, k + 1), the last column the bias; means: their conditional means; noise: alpha of each row."""

    rows: Float32
    features: Features | None
    means: Float32 = field(init=False)
    mean: Float64 = field(init=False)
    precision: Float64 = field(init=False)
    noise: Float32 = field(init=False)
    errors: Float32 = field(init=False)
    prior: Float32 = field(init=False)

    def __post_init__(self) -> None:
        count, width = self.rows.shape
        self.means, self.errors = self.rows.copy(), np.zeros(count, np.float32)
        self.mean, self.precision = np.zeros(width), np.ones(width)
        self.noise, self.prior = np.ones(count, np.float32), np.zeros((count, width), np.float32)

    def draw_hyperpriors(self, random: np.random.Generator) -> None:
        """lambda ~ Gamma(1/2, 1/2), mu ~ N(0, 1/lambda), each factor, and each feature group, by itself."""
        explained = self.features.matrix @ self.features.values if self.features else np.float32(0)
        self.mean, self.precision = _hyperprior(self.rows - explained, self.mean, random)
        if self.features:
            for g in range(len(self.features.mean)):
                values = self.features.values[self.features.group == g]
                self.features.mean[g], self.features.precision[g] = _hyperprior(values, self.features.mean[g], random)
        self.prior = (explained + self.mean.astype(np.float32)) * np.ones_like(self.rows)

    def draw_features_noncentred(self, stats: Float32, random: np.random.Generator) -> None:
        """Features and rows together, on the ratings; the prior follows."""
        if self.features is None:
            return
        feature_kernel.draw_features_noncentred(
            *self.features.arrays,
            self.features.values,
            *_float32(self.features.precision, self.features.mean),
            self.noise,
            stats,
            self.rows,
            random.standard_normal(self.features.values.shape, np.float32),
        )
        self.prior = self.features.matrix @ self.features.values + self.mean.astype(np.float32)

    def draw_features_centred(self, random: np.random.Generator) -> None:
        """Features given the rows: no rating is touched."""
        if self.features is None:
            return
        offset = self.rows - self.prior
        feature_kernel.draw_features_centred(
            *self.features.arrays,
            self.features.values,
            *_float32(self.features.precision, self.features.mean),
            self.precision.astype(np.float32),
            offset,
            random.standard_normal(self.features.values.shape, np.float32),
        )
        self.prior = self.rows - offset

    def draw_noise(self, ratings: Int64, random: np.random.Generator) -> None:
        """alpha_row ~ Gamma((nu + n) / 2, eta + error / 2); eta conjugate, nu on a grid.

        With one common noise the factors absorb the users' variance.
        """
        alpha = self.noise.astype(np.float64)
        half, total, n = NOISE_GRID / 2, alpha.sum(), len(alpha)
        log_p = (
            gammaln(n * half + 1) - (n * half + 1) * np.log(total + 1) - n * gammaln(half) + half * np.log(alpha).sum()
        )
        p = np.cumsum(np.exp(log_p - log_p.max()))
        freedom = NOISE_GRID[np.searchsorted(p / p[-1], random.random())]
        eta = random.gamma(n * freedom / 2 + 1) / (total + 1)
        drawn = random.gamma((freedom + ratings) / 2) / (eta + self.errors / 2)
        self.noise = np.clip(drawn, *NOISE_BOUNDS).astype(np.float32)

    def as_regressors(self) -> tuple[Float32, Float32]:
        """(w * factors, w) and the bias, as the other side's statistics read them; w = sqrt(alpha)."""
        other = self.rows.copy()
        other[:, -1] = 1
        other *= np.sqrt(self.noise)[:, None]
        return other, np.ascontiguousarray(self.rows[:, -1])


def _float32(*arrays: Float64) -> Iterator[Float32]:
    return (array.astype(np.float32) for array in arrays)


def _hyperprior(values: Float32, mean: Float64, random: np.random.Generator) -> tuple[Float64, Float64]:
    """New (mu, lambda) of each column, given the column's values and its mu before."""
    n = len(values)
    spread = np.sum((values - mean.astype(np.float32)) ** 2, axis=0, dtype=np.float64)
    precision = random.gamma((2.0 + n) / 2, 2.0 / (1 + spread + mean**2))
    drawn = np.sum(values, axis=0, dtype=np.float64) / (n + 1)
    return drawn + random.standard_normal(len(mean)) / np.sqrt((n + 1) * precision), precision


@dataclass(frozen=True)
class Sweep:
    """What a sweep leaves: its number, w0 and both towers (which the next sweep changes in place)."""

    number: int
    offset: float
    users: Tower
    items: Tower


def sample(  # noqa: PLR0913 - its inputs, one by one
    users: Int32,
    items: Int32,
    y: Float32,
    shape: tuple[int, int],
    *,
    item_features: Sequence[sp.spmatrix] = (),
    factors: int,
    sweeps: int,
    seed: int,
    binary: bool = False,
    threads: int = 1,
    start: float = 0.3,
    each: Callable[[Sweep], None],
) -> None:
    """Run the sampler and call `each` after every sweep. The same seed gives the same draws with any number of threads.

    users, items (ratings,): dense ids; shape: (users, items); item_features: sparse (items, columns), one a group;
    binary: y is 0 or 1 and the link is probit; start: standard deviation of the first factors (0.1 sits idle for 20 to
    50 sweeps).
    """
    random = np.random.Generator(np.random.SFC64(seed))
    offset = 0.0 if binary else float(y.mean(dtype=np.float64))
    width = factors + 1
    towers = [_start_tower(n, width, start, random) for n in shape]
    if item_features:
        towers[1].features = Features.start(item_features, width)
    by_user, _ = SampledRows.sort(users, items, (y - np.float32(offset)).astype(np.float32), shape[0])
    rows_of_users = np.repeat(np.arange(shape[0], dtype=np.int32), np.diff(by_user.pointer))
    by_item, item_order = SampledRows.sort(by_user.index, rows_of_users, by_user.y, shape[1])
    label = by_user.y > 0
    stats = [np.empty((-(-n // LANES), kernel.statistics_size(width), LANES), np.float32) for n in shape]
    with ThreadPoolExecutor(threads) as pool:
        for number in range(sweeps):
            if binary:
                _draw_latent(label, by_user, towers, random)
                by_item.y[:] = by_user.y[item_order]
            for side, data in enumerate((by_user, by_item)):
                tower = towers[side]
                _draw_tower(tower, towers[1 - side], data, stats[side], number, random, pool, threads)
                if side == 0 and not binary:
                    tower.draw_noise(np.diff(data.pointer), random)
            each(Sweep(number, offset, towers[0], towers[1]))


def _start_tower(count: int, width: int, start: float, random: np.random.Generator) -> Tower:
    rows = np.zeros((count, width), np.float32)
    rows[:, :-1] = random.standard_normal((count, width - 1), np.float32) * np.float32(start)
    return Tower(rows, None)


def _draw_tower(  # noqa: PLR0913, PLR0917 - its inputs, one by one
    tower: Tower,
    other: Tower,
    data: SampledRows,
    stats: Float32,
    number: int,
    random: np.random.Generator,
    pool: ThreadPoolExecutor,
    threads: int,
) -> None:
    tower.draw_hyperpriors(random)
    bounds = data.cuts(threads)
    ranges = list(itertools.pairwise(bounds))
    seen = other.as_regressors()
    list(pool.map(lambda r: kernel.statistics(data.pointer, data.index, data.y, *seen, *r, stats), ranges))
    if number % NONCENTRED_EVERY == 0:
        tower.draw_features_noncentred(stats, random)
    normals = random.standard_normal(tower.rows.shape, np.float32)
    precision = tower.precision.astype(np.float32)
    out = (tower.rows, tower.means, tower.errors)
    list(pool.map(lambda r: kernel.draw(stats, tower.noise, precision, tower.prior, normals, *r, *out), ranges))
    if not np.isfinite(tower.rows).all():
        raise FitError(f"fm: sweep {number} drew NaN or infinity: check the ratings, or use fewer factors")
    tower.draw_features_centred(random)


def _draw_latent(label: np.ndarray, data: SampledRows, towers: list[Tower], random: np.random.Generator) -> None:
    """Albert and Chib (1993): y* ~ N(prediction, 1), above 0 where the label is 1 and below where it is 0."""
    prediction = np.empty(len(label), np.float32)
    kernel.predict(data.pointer, data.index, towers[0].rows, towers[1].rows, prediction)
    below = ndtr(-prediction.astype(np.float64))
    u = random.random(len(label))
    quantile = np.where(label, below + u * (1 - below), u * below)
    data.y[:] = prediction + ndtri(np.clip(quantile, 1e-12, 1 - 1e-12))
