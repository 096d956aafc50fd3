"""The items and the people of a generated world: how popular, how good, what genres, what tastes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: MovieLens' genres and the share of its films that bear each.
GENRES: dict[str, float] = {
    "Drama": 0.45,
    "Comedy": 0.39,
    "Thriller": 0.19,
    "Action": 0.19,
    "Romance": 0.16,
    "Adventure": 0.13,
    "Crime": 0.12,
    "Sci-Fi": 0.10,
    "Horror": 0.10,
    "Fantasy": 0.08,
    "Children": 0.07,
    "Animation": 0.06,
    "Mystery": 0.06,
    "Documentary": 0.05,
    "War": 0.04,
    "Musical": 0.03,
    "Western": 0.02,
    "Film-Noir": 0.01,
}
FIRST_YEAR, LAST_YEAR = 1920, 2018
#: The first and the end of all ratings, seconds since 1970: 1996-03-29 to 2018-09-24, as in MovieLens.
START_SECOND, END_SECOND = 828_057_600, 1_537_747_200
#: Nobody in MovieLens rated fewer.
LEAST_RATINGS = 20


@dataclass(frozen=True, slots=True)
class Size:
    """How much to generate."""

    users: int
    items: int
    ratings: int

    @property
    def most_ratings(self) -> int:
        """What one person rates at most: half the catalogue, so that drawing without repetition stays quick."""
        return max(1, self.items // 2)

    def fault(self) -> str | None:
        """Why this cannot be generated, or None."""
        least = min(LEAST_RATINGS, self.most_ratings)
        if self.users < 1 or self.items < 2 or self.ratings < 1:
            return "there have to be at least one user, two items and one rating"
        if self.ratings < self.users * least:
            return f"{self.users:,} users with at least {least} ratings each need {self.users * least:,} ratings"
        if self.ratings > self.users * self.most_ratings:
            return f"{self.users:,} users rate at most {self.users * self.most_ratings:,} of {self.items:,} items"
        return None


@dataclass(frozen=True, slots=True)
class World:
    """All that is drawn before the first rating.

    genres:     (items, genres) 0 or 1; every item has at least one.
    years:      (items,) release year.
    popularity: (items,) share of attention, sums to 1: a Zipf-Mandelbrot law of the rank.
    quality:    (items,) stars above or below the mean.
    activity:   (users,) number of ratings, sums to Size.ratings: log-normal.
    tastes:     (users, genres) stars above or below for items of a genre; 0 is indifferent.
    kindness:   (users,) stars above or below the mean.
    whole_stars:(users,) True for people who never give a half.
    joined:     (users,) seconds since 1970 of the first session.
    trends:     (genres,) stars that a genre gains over the whole time.
    """

    size: Size
    genres: Ints
    years: Ints
    popularity: Floats
    quality: Floats
    activity: Ints
    tastes: Floats
    kindness: Floats
    whole_stars: NDArray[np.bool_]
    joined: Ints
    trends: Floats


def make(size: Size, seed: int) -> World:
    """Draw a world. The caller has checked `size.fault()`."""
    random = np.random.default_rng([seed, 0])
    genres = _genres(random, size.items)
    age = random.gamma(1.6, 12.0, size.items)
    return World(
        size=size,
        genres=genres,
        years=np.maximum(LAST_YEAR - age.astype(np.int64), FIRST_YEAR),
        popularity=_popularity(random, size.items),
        quality=random.normal(0.0, 0.4, size.items),
        activity=_activity(random, size),
        tastes=random.normal(0.0, 0.55, (size.users, len(GENRES))),
        kindness=random.normal(0.0, 0.35, size.users),
        whole_stars=random.random(size.users) < 0.35,
        joined=_joined(random, size.users),
        trends=random.normal(0.0, 0.15, len(GENRES)),
    )


def _genres(random: np.random.Generator, items: int) -> Ints:
    shares = np.array(list(GENRES.values()))
    drawn = (random.random((items, len(shares))) < shares).astype(np.int64)
    nothing = drawn.sum(axis=1) == 0
    drawn[nothing, random.choice(len(shares), int(nothing.sum()), p=shares / shares.sum())] = 1
    return drawn


def _popularity(random: np.random.Generator, items: int) -> Floats:
    """Zipf-Mandelbrot: (rank + q)^-s, with the ranks dealt at random."""
    offset = max(2.0, items / 300)
    weights = (np.arange(items) + offset) ** -1.15
    random.shuffle(weights)
    share: Floats = weights / weights.sum()
    return share


def _activity(random: np.random.Generator, size: Size) -> Ints:
    """Log-normal counts between the least and the most, that sum exactly to the ratings wanted."""
    least, most = min(LEAST_RATINGS, size.most_ratings), size.most_ratings
    raw = random.lognormal(0.0, 1.2, size.users)
    low, high = 0.0, float(size.ratings)
    for _ in range(64):  # bisection on the scale: the sum of the clipped counts grows with it
        middle = (low + high) / 2
        if np.clip(raw * middle, least, most).sum() < size.ratings:
            low = middle
        else:
            high = middle
    counts = np.clip(raw * high, least, most).astype(np.int64)
    return _settle(counts, size.ratings, least, most)


def _settle(counts: Ints, total: int, least: int, most: int) -> Ints:
    """Add or take single ratings, round and round, until the sum is exact."""
    while (rest := total - int(counts.sum())) != 0:
        step = 1 if rest > 0 else -1
        able = np.flatnonzero(counts < most if rest > 0 else counts > least)
        counts[able[: abs(rest)]] += step
    return counts


def _joined(random: np.random.Generator, users: int) -> Ints:
    """People join all the time, more of them towards the end; the last of them leave a month for their sessions."""
    span = END_SECOND - START_SECOND - 30 * 86_400
    joined: Ints = START_SECOND + (span * random.random(users) ** 0.8).astype(np.int64)
    return joined


def genre_cdfs(world: World) -> tuple[Floats, Ints]:
    """For drawing an item of a genre by popularity: (concatenated cumulative weights, item of each position).

    Genre g's weights run from g to g + 1, so that one search over all of them finds an item of any genre.
    """
    bounds, members = [], []
    for genre in range(len(GENRES)):
        inside = np.flatnonzero(world.genres[:, genre])
        inside = inside if len(inside) else np.arange(world.size.items)
        weights = np.cumsum(world.popularity[inside])
        bounds.append(genre + weights / weights[-1])
        members.append(inside)
    return np.concatenate(bounds), np.concatenate(members)
