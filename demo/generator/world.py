"""The items and users of generated data: popularity, genres, biases, preferences, activity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: MovieLens' genres and the share of its films with each.
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
#: Start and end of all ratings, seconds since 1970: 1996-03-29 to 2018-09-24, as in MovieLens.
START_SECOND, END_SECOND = 828_057_600, 1_537_747_200
#: The fewest ratings of a user in MovieLens.
LEAST_RATINGS = 20


@dataclass(frozen=True, slots=True)
class Size:
    """How much to generate."""

    users: int
    items: int
    ratings: int

    @property
    def most_ratings(self) -> int:
        """The most ratings of a user: half the catalogue, so that drawing without repetition stays fast."""
        return max(1, self.items // 2)

    def problem(self) -> str | None:
        """Why this size cannot be generated; None when it can."""
        least = min(LEAST_RATINGS, self.most_ratings)
        if self.users < 1 or self.items < 2 or self.ratings < 1:
            return "at least one user, two items and one rating are needed"
        if self.ratings < self.users * least:
            return f"{self.users:,} users with at least {least} ratings each need {self.users * least:,} ratings"
        if self.ratings > self.users * self.most_ratings:
            return f"{self.users:,} users rate at most {self.users * self.most_ratings:,} of {self.items:,} items"
        return None


@dataclass(frozen=True, slots=True)
class World:
    """Everything that is drawn before the first rating.

    genres:     (items, genres) 0 or 1; every item has at least one.
    years:      (items,) release year.
    popularity: (items,) share of attention, sums to 1: a Zipf-Mandelbrot law of the rank.
    item_bias:  (items,) stars above or below the mean.
    activity:   (users,) number of ratings, sums to Size.ratings: log-normal.
    preferences:(users, genres) stars above or below for items of a genre; 0 is indifferent.
    user_bias:  (users,) stars above or below the mean.
    whole_stars:(users,) True for users who never give a half star.
    joined:     (users,) seconds since 1970 of the first session.
    trends:     (genres,) stars that a genre gains over the whole time.
    """

    size: Size
    genres: Ints
    years: Ints
    popularity: Floats
    item_bias: Floats
    activity: Ints
    preferences: Floats
    user_bias: Floats
    whole_stars: NDArray[np.bool_]
    joined: Ints
    trends: Floats


def make(size: Size, seed: int) -> World:
    """Draw a world. The caller has checked `size.problem()`."""
    random = np.random.default_rng([seed, 0])
    genres = _genres(random, size.items)
    age = random.gamma(1.6, 12.0, size.items)
    return World(
        size=size,
        genres=genres,
        years=np.maximum(LAST_YEAR - age.astype(np.int64), FIRST_YEAR),
        popularity=_popularity(random, size.items),
        item_bias=random.normal(0.0, 0.4, size.items),
        activity=_activity(random, size),
        preferences=random.normal(0.0, 0.55, (size.users, len(GENRES))),
        user_bias=random.normal(0.0, 0.35, size.users),
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
    """Zipf-Mandelbrot: (rank + q)^-s, with ranks in random order."""
    offset = max(2.0, items / 300)
    weights = (np.arange(items) + offset) ** -1.15
    random.shuffle(weights)
    share: Floats = weights / weights.sum()
    return share


def _activity(random: np.random.Generator, size: Size) -> Ints:
    """Log-normal counts between the least and the most, that sum exactly to the number of ratings."""
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
    return _adjust(counts, size.ratings, least, most)


def _adjust(counts: Ints, total: int, least: int, most: int) -> Ints:
    """Add or remove single ratings until the sum is exact."""
    while (rest := total - int(counts.sum())) != 0:
        step = 1 if rest > 0 else -1
        candidates = np.flatnonzero(counts < most if rest > 0 else counts > least)
        counts[candidates[: abs(rest)]] += step
    return counts


def _joined(random: np.random.Generator, users: int) -> Ints:
    """Users join all the time, more of them later; the last ones a month before the end, for their sessions."""
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
