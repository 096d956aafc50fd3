"""What every bundle has besides the trained algorithms: popularity and item features, fitted without hyperparameters.

Popularity serves users of whom nothing is known and is the baseline of the gate; content scores items without ratings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from usher_models.artifacts import Artifact
from usher_models.ratings import Float32, Float64, Items, Ratings

RECENT_US = 365 * 86_400 * 1_000_000
#: The recent share of an item is shrunk to its all-time share by this many recent positives.
PRIOR_POSITIVES = 1000.0
#: An item's share of positives is shrunk to the average share by this many ratings: it breaks ties among equal counts.
PRIOR_RATINGS = 10.0
#: A release year also counts for its neighbours, with this standard deviation in years.
YEAR_SPREAD = 3.0
#: Tags on fewer items are left out: they do not generalise.
TAG_MIN_ITEMS = 2
_KERNEL_MIN = 0.01


def fit_popularity(ratings: Ratings, items: Items) -> Artifact:
    """Popularity scores (items,): `all` = positives + the shrunk share of positives (below 1); `recent` = the shrunk
    share of the positives of the last 365 days.
    """
    positives = _counts(ratings.take(ratings.positive), items)
    shrunk_share = _shrunk_share(positives, _counts(ratings, items))
    start = int(ratings.time_us.max(initial=0)) - RECENT_US
    lately = _counts(ratings.take(ratings.positive & (ratings.time_us > start)), items)
    share = positives / max(positives.sum(), 1)
    recent = (lately + PRIOR_POSITIVES * share) / (lately.sum() + PRIOR_POSITIVES)
    arrays = {"all": (positives + shrunk_share).astype(np.float32), "recent": recent.astype(np.float32)}
    return Artifact({"recent_days": RECENT_US // 86_400_000_000}, arrays).checked("popularity")


def _counts(ratings: Ratings, items: Items) -> Float64:
    return np.bincount(ratings.item, minlength=len(items)).astype(np.float64)


def _shrunk_share(positives: Float64, rated: Float64) -> Float64:
    average = positives.sum() / max(rated.sum(), 1)
    share: Float64 = (positives + PRIOR_RATINGS * average) / (rated + PRIOR_RATINGS)
    return share * 0.999


def fit_content(items: Items) -> Artifact:
    """The items' features as one sparse matrix (items, width), rows of unit length; without features a row is empty."""
    groups = list(item_features(items).values())
    features = _unit_rows(sp.csr_matrix(sp.hstack(groups) if groups else (len(items), 1), dtype=np.float32))
    features.sort_indices()
    arrays = {
        "pointer": features.indptr.astype(np.int64),
        "columns": features.indices.astype(np.int32),
        "values": features.data,
    }
    return Artifact({"width": features.shape[1]}, arrays).checked("content")


def item_features(items: Items) -> dict[str, sp.csr_matrix]:
    """Group (genres, years, tags) → sparse (items, columns), float32, rows of length 1 or 0.

    Groups without a column are left out.
    """
    genres = [tuple(dict.fromkeys(map(str.casefold, names))) for names in items.catalogue.genres]
    groups = {"genres": _words(genres, 1), "years": _years(items), "tags": _words(items.tags, TAG_MIN_ITEMS)}
    return {name: _unit_rows(group) for name, group in groups.items() if group.shape[1]}


def _words(words: Sequence[tuple[str, ...]], minimum: int) -> sp.csr_matrix:
    """1 where an item has a word that at least `minimum` items have; columns in the words' order."""
    count = Counter(word for own in words for word in set(own))
    columns = {word: n for n, word in enumerate(sorted(word for word, n in count.items() if n >= minimum))}
    entries = [(item, columns[word]) for item, own in enumerate(words) for word in sorted(set(own)) if word in columns]
    rows, cols = np.array(entries, np.int64).reshape(-1, 2).T
    return sp.csr_matrix((np.ones(len(rows), np.float32), (rows, cols)), (len(words), len(columns)))


def _years(items: Items) -> sp.csr_matrix:
    """A Gaussian over the years around each item's own; items without a year have no entry."""
    years = items.catalogue.years
    known = np.flatnonzero(years > 0)
    if not len(known):
        return sp.csr_matrix((len(items), 0), dtype=np.float32)
    grid = np.arange(years[known].min(), years[known].max() + 1)
    bell: Float32 = np.exp(-0.5 * ((years[known, None] - grid) / YEAR_SPREAD) ** 2).astype(np.float32)
    bell[bell < _KERNEL_MIN] = 0
    dense = sp.coo_matrix(bell)
    return sp.csr_matrix((dense.data, (known[dense.row], dense.col)), (len(items), len(grid)))


def _unit_rows(matrix: sp.csr_matrix) -> sp.csr_matrix:
    length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    scale = np.divide(1, length, out=np.zeros_like(length), where=length > 0)
    return sp.csr_matrix(sp.diags_array(scale) @ matrix, dtype=np.float32)
