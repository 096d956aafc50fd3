"""What the people of a world did with what they would rate: they look at lists, click on some of it, buy what they
like.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from demo.generator.ratings import YEAR_SECONDS, Chunk
from demo.generator.world import Floats, Ints, World
from usher.schema.interactions import EVENT_TYPES

#: In the order of a chunk's codes.
TYPES = EVENT_TYPES[::-1]
VIEW, CLICK, PURCHASE = range(3)
#: From an item shown to a click, and from that to a purchase, in seconds at most.
_CLICK_SECONDS, _PURCHASE_SECONDS = 90, 1800
#: Of what one would like half is clicked at so many stars; each further star multiplies the odds by e.
_HALF_CLICKED_STARS = 2.75
#: Of what was clicked so much is bought, at five stars; nothing below the bar.
_BOUGHT_AT_BEST, _BOUGHT_FROM_STARS = 0.6, 3.5


@dataclass(frozen=True, slots=True)
class Events:
    """Events of consecutive users. All of the same length; numbers as in `ratings.Chunk`.

    types: places in TYPES.   prices: what a purchase was worth, 0 for all else.
    """

    users: Ints
    items: Ints
    types: Ints
    prices: Floats
    seconds: Ints

    def __len__(self) -> int:
        return len(self.users)


def follow(world: World, seed: int, chunks: Iterator[Chunk]) -> Iterator[tuple[Chunk, Events]]:
    """Each chunk of ratings with the events of the same people: what they say and what they do have one taste."""
    prices = np.round(np.random.default_rng([seed, 6]).lognormal(2.3, 0.6, world.size.items), 2)
    crowd = np.cumsum(world.popularity)
    for number, chunk in enumerate(chunks):
        yield chunk, _events(np.random.default_rng([seed, 7, number]), chunk, prices, crowd, world.years)


def _events(random: np.random.Generator, chunk: Chunk, prices: Floats, crowd: Floats, years: Ints) -> Events:
    rows = len(chunk.users)
    # Beside what they chose, people are shown what is popular by then, and pass it over.
    passed = np.minimum(np.searchsorted(crowd, random.random(rows)), len(crowd) - 1)
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
    worth = np.where(types == PURCHASE, prices[items], 0.0)
    return Events(users[order], items[order], types[order], worth[order], seconds[order])
