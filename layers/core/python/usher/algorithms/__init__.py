"""The algorithms that Usher trains: one module each, registered here."""

from __future__ import annotations

import importlib

from usher.algorithms.definition import Algorithm

#: One line per algorithm: the module that defines its ALGORITHM. Runs train in this order, and of several algorithms
#: with one role the scorer asks the first that is in the bundle.
_MODULES = (
    "usher.algorithms.fm",
    "usher.algorithms.knn",
    "usher.algorithms.ranker",
)


def read_definition(module: str) -> Algorithm:
    """The ALGORITHM of a module."""
    definition: Algorithm = importlib.import_module(module).ALGORITHM
    return definition


#: Algorithms by name.
ALGORITHMS: dict[str, Algorithm] = {one.name: one for one in map(read_definition, _MODULES)}
