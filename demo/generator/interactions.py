"""Generated ratings and events of a world's users, drawn chunk by chunk so that memory does not grow with the size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from demo.generator.world import END_SECOND, START_SECOND, Floats, Ints, World, genre_cdfs
from usher.schema.interactions import EVENT_TYPES

#: About this many ratings are drawn at once (some 500 bytes each while they are drawn).
CHUNK_RATINGS = 500_000
_MEAN_STARS = 3.55
_NOISE_STARS = 0.75
#: How strongly a preference decides what is chosen, against how it is rated. At 3.5 the users' genres differ from the
#: average as much as in MovieLens (mean Jensen-Shannon divergence 0.035 nats of 0.037); at 1.4 it was 0.013, and no
#: ranker could beat popularity.
_CHOICE_SHARPNESS = 3.5
YEAR_SECONDS = 31_556_952
#: Event types; `Events.types` holds indices into it.
TYPES = EVENT_TYPES[::-1]
VIEW, CLICK, PURCHASE = range(3)
#: Longest time from a view to its click, and from a click to its purchase.
_CLICK_SECONDS, _PURCHASE_SECONDS = 90, 1800
#: Half of the views are clicked at this rating; each further star multiplies the odds by e.
_HALF_CLICKED_STARS = 2.75
#: Share of the clicks at five stars that a purchase follows, and the lowest rating with a purchase.
_BOUGHT_AT_BEST, _BOUGHT_FROM_STARS = 0.6, 3.5


@dataclass(frozen=True, slots=True)
class Chunk:
    """Ratings of consecutive users, ordered by user and item. All of the same length.

    users, items: from 0.   stars: 0.5 to 5 in halves.   seconds: since 1970.
    """

    users: Ints
    items: Ints
    stars: Floats
    seconds: Ints


def draw(world: World, seed: int) -> Iterator[Chunk]:
    """All ratings of the world, in chunks; the sizes of the chunks do not depend on the machine."""
    cdfs = genre_cdfs(world)
    for number, (first, last) in enumerate(_spans(world.activity)):
        random = np.random.default_rng([seed, 1, number])
        users, items = _choose(random, world, (first, last), cdfs)
        seconds = _when(random, world, users, items)
        yield Chunk(users, items, _stars(random, world, users, items, seconds), seconds)


def _spans(activity: Ints) -> Iterator[tuple[int, int]]:
    """(first, last + 1) of consecutive users whose ratings make about one chunk."""
    total = np.cumsum(activity)
    first = 0
    while first < len(activity):
        before = int(total[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(total, before + CHUNK_RATINGS, side="right")))
        yield first, last
        first = last


def _choose(
    random: np.random.Generator, world: World, span: tuple[int, int], cdfs: tuple[Floats, Ints]
) -> tuple[Ints, Ints]:
    """Different items for each user: a genre by preference, then an item of it by popularity."""
    (first, last), (bounds, members) = span, cdfs
    wanted = world.activity[first:last]
    weight = np.exp(_CHOICE_SHARPNESS * world.preferences[first:last]) * world.genres.mean(axis=0)
    genre_cdf = np.cumsum(weight, axis=1)
    genre_cdf /= genre_cdf[:, -1:]
    joined_year = 1970 + world.joined[first:last] // YEAR_SECONDS
    chosen = np.empty(0, np.int64)
    missing = wanted.copy()
    rounds = 0
    while missing.any():
        rows = np.repeat(np.arange(last - first), 2 * missing + 4)
        if rounds < 6:
            genre = (genre_cdf[rows] < random.random((len(rows), 1))).sum(axis=1)
            position = np.searchsorted(bounds, genre + random.random(len(rows)))
            items = members[np.minimum(position, len(members) - 1)]
            released = world.years[items] <= joined_year[rows]
            rows, items = rows[released], items[released]
        else:  # a user has rated nearly all popular items: draw from all
            items = random.integers(0, world.size.items, len(rows))
        chosen = _first_distinct(np.concatenate([chosen, rows * world.size.items + items]), wanted, world.size.items)
        missing = wanted - np.bincount(chosen // world.size.items, minlength=last - first)
        rounds += 1
    chosen.sort()
    return chosen // world.size.items + first, chosen % world.size.items


def _first_distinct(keys: Ints, wanted: Ints, items: int) -> Ints:
    """The first `wanted` different keys of each user, in the order drawn (a key is user * items + item)."""
    _, where = np.unique(keys, return_index=True)
    distinct = keys[np.sort(where)]
    user = distinct // items
    order = np.argsort(user, kind="stable")
    starts = np.searchsorted(user[order], np.arange(len(wanted)))
    position = np.arange(len(distinct)) - starts[user[order]]
    return distinct[order][position < wanted[user[order]]]


def _when(random: np.random.Generator, world: World, users: Ints, items: Ints) -> Ints:
    """Rating times: most users rate much in their first session and return later; no item before its year."""
    starts = np.flatnonzero(np.diff(users, prepend=-1))
    counts = np.diff(np.append(starts, len(users)))
    of_user = np.repeat(np.arange(len(starts)), counts)
    sessions = 1 + random.poisson(counts / 150)
    session = np.floor(random.random(len(users)) ** 1.5 * sessions[of_user]).astype(np.int64)
    variant = np.cumsum(np.append(0, sessions[:-1]))[of_user] + session
    gaps = np.where(random.random(int(sessions.sum())) < 0.5, 20.0, 200.0) * 86_400
    offset = np.cumsum(random.exponential(gaps))
    offset -= np.repeat(offset[np.cumsum(np.append(0, sessions[:-1]))], sessions)
    within = random.exponential(40.0, len(users)) * random.permutation(len(users)) % 5400
    seconds = world.joined[users] + offset[variant] + within
    released = START_SECOND + (world.years[items] - 1996) * YEAR_SECONDS + random.integers(0, YEAR_SECONDS, len(items))
    late = np.maximum(seconds, released)
    inside = START_SECOND + (late - START_SECOND) % (END_SECOND - START_SECOND)
    result: Ints = np.where(late < END_SECOND, late, np.maximum(inside, np.minimum(released, END_SECOND - 1))).astype(
        np.int64
    )
    return result


def _stars(random: np.random.Generator, world: World, users: Ints, items: Ints, seconds: Ints) -> Floats:
    """Mean + user bias + item bias + preference and trend of the item's genres + noise, on the half-star scale."""
    genres = world.genres[items]
    weight = genres / genres.sum(axis=1, keepdims=True)
    progress = (seconds - START_SECOND) / (END_SECOND - START_SECOND)
    genre_effect = (weight * world.preferences[users]).sum(axis=1) + (weight @ world.trends) * progress
    raw = _MEAN_STARS + world.user_bias[users] + world.item_bias[items] + genre_effect
    raw = raw + random.normal(0.0, _NOISE_STARS, len(users))
    return _half_stars(random, raw, world.whole_stars[users])


def _half_stars(random: np.random.Generator, raw: Floats, whole: NDArray[np.bool_]) -> Floats:
    """Half stars are rarer than whole ones: some users never give them, others prefer whole stars."""
    stars = np.round(raw * 2) / 2
    half = stars % 1 == 0.5
    moved = half & (whole | (random.random(len(raw)) < 0.25))
    stars = np.where(moved, np.round(raw + random.normal(0.0, 1e-6, len(raw))), stars)
    lowest = np.where(whole, 1.0, 0.5)
    bounded: Floats = np.clip(stars, lowest, 5.0)
    return bounded


@dataclass(frozen=True, slots=True)
class Events:
    """Events of consecutive users. All of the same length; units as in `Chunk`.

    types: indices into TYPES.   prices: of a purchase; 0 for other types.
    """

    users: Ints
    items: Ints
    types: Ints
    prices: Floats
    seconds: Ints

    def __len__(self) -> int:
        return len(self.users)


def with_events(world: World, seed: int, chunks: Iterator[Chunk]) -> Iterator[tuple[Chunk, Events]]:
    """Each chunk of ratings with the events of the same users, who have the same preferences in both."""
    prices = np.round(np.random.default_rng([seed, 6]).lognormal(2.3, 0.6, world.size.items), 2)
    popularity_cdf = np.cumsum(world.popularity)
    for number, chunk in enumerate(chunks):
        yield chunk, _events(np.random.default_rng([seed, 7, number]), chunk, prices, popularity_cdf, world.years)


def _events(random: np.random.Generator, chunk: Chunk, prices: Floats, popularity_cdf: Floats, years: Ints) -> Events:
    rows = len(chunk.users)
    # Users also view popular items that are out by then, without a click.
    popular = np.searchsorted(popularity_cdf, random.random(rows))
    passed = np.minimum(popular, len(popularity_cdf) - 1)
    out = np.flatnonzero(years[passed] <= 1970 + chunk.seconds // YEAR_SECONDS)
    clicked = np.flatnonzero(random.random(rows) < 1 / (1 + np.exp(_HALF_CLICKED_STARS - chunk.stars)))
    liking = (chunk.stars[clicked] - _BOUGHT_FROM_STARS) / (5 - _BOUGHT_FROM_STARS)
    bought = clicked[random.random(len(clicked)) < _BOUGHT_AT_BEST * liking]
    at = chunk.seconds
    click_at = at + random.integers(1, _CLICK_SECONDS, rows)
    parts = [
        (chunk.users, chunk.items, VIEW, at),
        (chunk.users[out], passed[out], VIEW, at[out]),
        (chunk.users[clicked], chunk.items[clicked], CLICK, click_at[clicked]),
        (
            chunk.users[bought],
            chunk.items[bought],
            PURCHASE,
            click_at[bought] + random.integers(1, _PURCHASE_SECONDS, len(bought)),
        ),
    ]
    users, items, seconds = (np.concatenate([part[place] for part in parts]) for place in (0, 1, 3))
    types = np.concatenate([np.full(len(part[0]), part[2]) for part in parts])
    order = np.lexsort((types, items, seconds, users))
    price = np.where(types == PURCHASE, prices[items], 0.0)
    return Events(users[order], items[order], types[order], price[order], seconds[order])
