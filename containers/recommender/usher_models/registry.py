"""The algorithms that can be trained, by name; importing one costs only when it is asked for."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping

from usher_models.algorithm import Algorithm
from usher_models.errors import HyperparameterError

#: Name → module and class.
ALGORITHMS: Mapping[str, tuple[str, str]] = {
    "fm": ("usher_models.models.fm", "FactorizationMachine"),
    "knn": ("usher_models.models.knn", "NearestNeighbours"),
    "ranker": ("usher_models.models.ranker", "ItemRanker"),
}


def algorithm(name: str) -> Algorithm:
    """The algorithm of that name; HyperparameterError naming the nearest."""
    if name not in ALGORITHMS:
        near = difflib.get_close_matches(name.lower(), ALGORITHMS, 1, 0.3)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(ALGORITHMS)}"
        raise HyperparameterError(f"unknown algorithm {name!r}; {hint}")
    module, attribute = ALGORITHMS[name]
    made: Algorithm = getattr(importlib.import_module(module), attribute)()
    return made
