"""Item features: genres, the release year smoothed, and the tags in use, each a group of columns with rows of
unit length.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from usher_models.ratings import Float32, Items

#: A release year stands also for its neighbours, with this standard deviation in years.
YEAR_SPREAD = 3.0
#: A tag on fewer items says nothing that carries over.
TAG_MIN_ITEMS = 2
_KERNEL_MIN = 0.01


def item_features(items: Items) -> dict[str, sp.csr_matrix]:
    """Group (genres, years, tags) → sparse (items, columns), float32, rows of length 1 or 0.

    Groups without a column are left out.
    """
    genres = [tuple(dict.fromkeys(map(str.casefold, names))) for names in items.catalogue.genres]
    groups = {"genres": _words(genres, 1), "years": _years(items), "tags": _words(items.tags, TAG_MIN_ITEMS)}
    return {name: _unit_rows(group) for name, group in groups.items() if group.shape[1]}


def _words(words: Sequence[tuple[str, ...]], minimum: int) -> sp.csr_matrix:
    """1 where an item bears a word that at least `minimum` items bear; columns in the words' order."""
    count = Counter(word for own in words for word in set(own))
    columns = {word: n for n, word in enumerate(sorted(word for word, n in count.items() if n >= minimum))}
    entries = [(item, columns[word]) for item, own in enumerate(words) for word in sorted(set(own)) if word in columns]
    rows, cols = np.array(entries, np.int64).reshape(-1, 2).T
    return sp.csr_matrix((np.ones(len(rows), np.float32), (rows, cols)), (len(words), len(columns)))


def _years(items: Items) -> sp.csr_matrix:
    """A bell over the years round each item's own; no year, no entry."""
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
