"""Titles and tags for generated items: made up of common words, so that nothing real is imitated."""

from __future__ import annotations

import numpy as np

# fmt: off
_FIRST = (
    "Silent", "Golden", "Broken", "Hidden", "Crimson", "Distant", "Electric", "Frozen", "Gentle", "Hollow",
    "Iron", "Jealous", "Kindly", "Lonely", "Midnight", "Northern", "Open", "Paper", "Quiet", "Restless",
    "Scarlet", "Tender", "Unfinished", "Velvet", "Wandering", "Yellow", "Ancient", "Borrowed", "Careless",
    "Daring", "Early", "Faithful",
)
# fmt: on
# fmt: off
_SECOND = (
    "River", "Garden", "Mirror", "Harbour", "Letter", "Mountain", "Orchard", "Kingdom", "Station", "Summer",
    "Stranger", "Window", "Island", "Promise", "Winter", "Road", "Bridge", "Forest", "Circus", "Lighthouse",
    "Detective", "Sailor", "Painter", "Village", "Engine", "Shadow", "Morning", "Secret", "Journey", "Clock",
    "Valley", "Horizon", "Carnival", "Bakery", "Library", "Tide",
)
# fmt: on
#: Words that people put on items, by genre; the rest fit anything.
TAGS: dict[str, tuple[str, ...]] = {
    "Comedy": ("funny", "witty", "Highly quotable", "satire"),
    "Drama": ("thought-provoking", "emotional", "slow", "family"),
    "Thriller": ("suspense", "twist ending", "tense"),
    "Action": ("fast paced", "car chase", "explosions"),
    "Sci-Fi": ("space", "time travel", "dystopia", "robots"),
    "Horror": ("creepy", "ghosts", "gore"),
    "Romance": ("love story", "bittersweet"),
    "Animation": ("animation", "for children"),
    "War": ("war", "based on a true story"),
    "Documentary": ("politics", "interviews"),
    "": (
        "classic",
        "soundtrack",
        "great acting",
        "atmospheric",
        "seen twice",
        "boring",
        "überraschend",
        "visually, stunning",
    ),
}


def titles(years: np.ndarray[tuple[int], np.dtype[np.int64]], seed: int) -> list[str]:
    """One title for each year, with the year in brackets; some have a comma, as MovieLens' "Fox, The (1998)" has."""
    random = np.random.default_rng([seed, 2])
    first = random.integers(0, len(_FIRST), len(years))
    second = random.integers(0, len(_SECOND), len(years))
    style = random.random(len(years))
    part = random.integers(2, 5, len(years))
    made = []
    for number, year in enumerate(years.tolist()):
        words = f"{_FIRST[first[number]]} {_SECOND[second[number]]}"
        if style[number] < 0.2:
            words += ", The"
        elif style[number] < 0.25:
            words += f" {part[number]}"
        elif style[number] < 0.27:
            words = f'"{words}" and the {_SECOND[second[number] - 1]}'
        made.append(f"{words} ({year})")
    return made
