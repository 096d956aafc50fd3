"""Relevance: one score for every item of the catalogue and many users at once, as a request and the gate both
read it.
"""

from __future__ import annotations

import numpy as np

from usher_scorer.bundle import Bundle
from usher_scorer.profiles import Bool, Float32, Int64, Profiles

#: Half the regression's slope: the whole of it lets content alone push out what the ranker knows (P4: 0.130 for 0.134).
SHRINKAGE = np.float32(0.5)


def relevance(bundle: Bundle, profiles: Profiles) -> tuple[Float32, Bool]:
    """Scores (users, items), higher is better, -inf for what the user has seen.

    And for whom they are an opinion (users,).

    Where the models know nothing of a user, the scores are the popularity's.
    """
    scores = _opinions(bundle, profiles)
    informed = scores.max(axis=1, initial=-np.inf) > scores.min(axis=1, initial=np.inf)
    scores[~informed] = bundle.popularity.all
    seen = profiles.seen
    scores[profiles.user[seen], profiles.items[seen]] = -np.inf
    return scores, informed


def _opinions(bundle: Bundle, profiles: Profiles) -> Float32:
    """The ranker scores what it covers. An item outside it gets the score that its content makes likely.

    That is the user's own linear regression of the ranker's scores on the content scores: it shrinks what content
    cannot tell. A user who rated nothing that the ranker covers is scored by content alone.
    """
    count = len(bundle.catalogue)
    content = bundle.content.scores(profiles) if bundle.content else np.zeros((len(profiles), count), np.float32)
    if bundle.ranker is None or not len(bundle.ranker.covered):
        return content
    covered = bundle.ranker.covered
    ranked = bundle.ranker.scores(profiles)
    scores = _expected(ranked, content, covered)
    scores[:, covered] = ranked
    silent = ~ranked.any(axis=1)
    scores[silent] = content[silent]
    return scores


def _expected(ranked: Float32, content: Float32, covered: Int64) -> Float32:
    """What the content makes of the ranker's score (users, items)."""
    x = content[:, covered]
    x_mean, y_mean = x.mean(axis=1, keepdims=True), ranked.mean(axis=1, keepdims=True)
    x -= x_mean
    slope = np.einsum("pi,pi->p", x, ranked - y_mean) / np.maximum(np.einsum("pi,pi->p", x, x), 1e-12)
    expected: Float32 = y_mean + SHRINKAGE * np.maximum(slope, 0).astype(np.float32)[:, None] * (content - x_mean)
    return expected
