"""Implicit ALS (Hu, Koren, Volinsky 2008) in plain numpy: what people liked as a few numbers a person and an item.

Nothing of Usher's own models is used: who judges them must not share their mistakes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo.simulated_users.history import Floats, History, Ints

#: Confidence of a row over that of no row; regularisation of both sides; tuned on held-out likes (AUC) of MovieLens.
ALPHA = 20.0
REGULARISATION = 50.0
FACTORS = 24
SWEEPS = 5


@dataclass(frozen=True, slots=True)
class Factors:
    """people (people, k), items (items, k)."""

    people: Floats
    items: Floats


def fit_factors(liked: History, rng: np.random.Generator) -> Factors:
    """Fit on liked rows. The generator alone decides where it begins: the same one gives the same factors."""
    items = rng.normal(0.0, 0.1, (len(liked.item_ids), FACTORS))
    people = np.zeros((len(liked.person_ids), FACTORS))
    by_person, by_item = _grouped(liked.person, liked.item, len(people)), _grouped(liked.item, liked.person, len(items))
    for _ in range(SWEEPS):
        people = _solve(items, by_person)
        items = _solve(people, by_item)
    people = _solve(items, by_person)
    return Factors(people, items)


def _grouped(of: Ints, what: Ints, count: int) -> list[Ints]:
    """For each of `count`: what it stands in rows with."""
    order = np.argsort(of, kind="stable")
    return np.split(what[order], np.searchsorted(of[order], np.arange(1, count)))


def _gram(other: Floats) -> Floats:
    result: Floats = other.T @ other + REGULARISATION * np.eye(other.shape[1])
    return result


def _solve(other: Floats, rows: list[Ints]) -> Floats:
    """One side, given the other: (Yᵀ Y + α Yᵤᵀ Yᵤ + λ) x = (1 + α) Yᵤᵀ 1 for each."""
    gram = _gram(other)
    result = np.zeros((len(rows), other.shape[1]))
    for number, places in enumerate(rows):
        if len(places):
            own = other[places]
            result[number] = np.linalg.solve(gram + ALPHA * own.T @ own, (1 + ALPHA) * own.sum(axis=0))
    return result
