"""The looks: the score that promotes at each look, so that all looks together keep the planned error rate.

Given its margins, a stratum's score has mean zero and a known variance when arms do not matter. So the summed score U
is a martingale that moves like Brownian motion in its information V, whatever the drift of base rate and weights.
The bound of each look solves P₀(cross at this look or before) = alpha spent by that hour, at the run's own informations
(Armitage, McPherson, Rowe 1969; spending: Lan, DeMets 1983): no forecast of the traffic enters.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from usher.experiments.stats.numerics import Floats, normal_cdf

GRID_POINTS = 2048
#: The grid spans ±8 standard deviations at the end of the experiment.
_SPAN = 8.0
#: Less alpha than this is not worth a look; it goes to the next one.
_LEAST_ALPHA = 1e-7
#: Experiments are taken in blocks that stay in the processor's cache.
_BLOCK_ROWS = 32


class Bounds(NamedTuple):
    """Bounds of the score U, (R,): of this look, and of the horizon's look if no other came between. inf: no bound."""

    now: Floats
    end: Floats


class _Walk:
    """The sub-density of a Brownian path that has not crossed yet, carried from look to look for many experiments."""

    def __init__(self, scale: Floats, points: int) -> None:
        """scale: (R,), the standard deviation that one unit of the grid stands for."""
        self.scale = scale
        self.grid = np.linspace(-_SPAN, _SPAN, points + 1)[:-1]
        self.step = float(self.grid[1] - self.grid[0])
        self.frequencies = (2 * np.pi * np.fft.rfftfreq(points, self.step)) ** 2
        self.density = np.zeros((len(scale), points))
        self.density[:, points // 2] = 1.0 / self.step
        self.information = np.zeros(len(scale))
        self.spent = np.zeros(len(scale))

    def advance(self, information: Floats) -> Floats:
        """Diffuse to `information` (R,); returns P(not crossed before, and U above each point of the grid)."""
        variance = np.maximum(information - self.information, 0.0) / self.scale**2
        moved = np.fft.rfft(self.density) * np.exp(-0.5 * variance[:, None] * self.frequencies)
        diffused = np.maximum(np.fft.irfft(moved, self.density.shape[1]), 0.0)
        # A step of zero must not smear the start, which the transform would ring around.
        self.density = np.where(variance[:, None] > 0, diffused, self.density)
        self.information = np.maximum(information, self.information)
        above = np.cumsum(self.density[:, ::-1], axis=1)[:, ::-1]
        tail: Floats = (above - 0.5 * self.density) * self.step
        return tail

    def stop_at(self, bound: Floats, tail: Floats) -> None:
        """Remove the paths above `bound` (R,) of U; inf removes none."""
        at = np.minimum(bound / self.scale, _SPAN)
        crossed = np.array([np.interp(b, self.grid, row) for b, row in zip(at, tail, strict=True)])
        self.spent += np.where(np.isfinite(bound), crossed, 0.0)
        inside = np.clip((at[:, None] - (self.grid - self.step / 2)) / self.step, 0.0, 1.0)
        self.density = np.where(np.isfinite(bound)[:, None], self.density * inside, self.density)

    def solve(self, tail: Floats, alpha: Floats) -> Floats:
        """The bound of U, (R,), that is crossed with probability `alpha` (R,); inf when that is next to nothing."""
        index = np.maximum((tail <= alpha[:, None]).argmax(axis=1), 1)
        rows = np.arange(len(index))
        upper, lower = tail[rows, index - 1], tail[rows, index]
        part = (upper - alpha) / np.maximum(upper - lower, 1e-300)
        bound = self.scale * (self.grid[index - 1] + self.step * part)
        result: Floats = np.where(alpha > _LEAST_ALPHA, bound, np.inf)
        return result


class Look(NamedTuple):
    """A look at R experiments, all at the same hour.

    past_information, past_bound: V and the bound of U at earlier looks, (R, looks); NaN where a look was skipped.
    information:            V now, (R,), above zero and not below an earlier look's.
    end:                    V expected at the horizon, (R,), at least V now: it shapes the grid and the last bound.
    spent_now, spent_end:   cumulative alpha of the looks by now and by the horizon.
    """

    past_information: Floats
    past_bound: Floats
    information: Floats
    end: Floats
    spent_now: float
    spent_end: float

    def rows(self, where: slice) -> Look:
        past = self.past_information[where], self.past_bound[where]
        return self._replace(
            past_information=past[0], past_bound=past[1], information=self.information[where], end=self.end[where]
        )


def look_bounds(look: Look, points: int = GRID_POINTS) -> Bounds:
    """Bounds of this look and of the last one; points: of the grid, a power of two."""
    starts = range(0, len(look.information), _BLOCK_ROWS)
    blocks = [_block_bounds(look.rows(slice(start, start + _BLOCK_ROWS)), points) for start in starts]
    return Bounds(np.concatenate([block.now for block in blocks]), np.concatenate([block.end for block in blocks]))


def _block_bounds(look: Look, points: int) -> Bounds:
    walk = _Walk(np.sqrt(look.end), points)
    for then, bound in zip(look.past_information.T, look.past_bound.T, strict=True):
        taken = ~np.isnan(then)
        if taken.any():
            tail = walk.advance(np.where(taken, then, walk.information))
            walk.stop_at(np.where(taken, bound, np.inf), tail)
    tail = walk.advance(look.information)
    now = walk.solve(tail, look.spent_now - walk.spent)
    walk.stop_at(now, tail)
    return Bounds(now, walk.solve(walk.advance(look.end), look.spent_end - walk.spent))


def conditional_power(score: Floats, information: Floats, end: Floats, bound_end: Floats, theta: Floats) -> Floats:
    """P(U reaches `bound_end` at the horizon | U now) if the log odds ratio is `theta`, (R,); none left: 0 or 1."""
    left = end - information
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (score + theta * left - bound_end) / np.sqrt(left)
    return normal_cdf(np.where(left > 0, z, np.where(score >= bound_end, np.inf, -np.inf)))
