"""Popularity: what most users liked, the answer for those of whom nothing is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from usher_scorer.errors import BundleError
from usher_scorer.profiles import Float32


@dataclass(frozen=True)
class Popularity:
    """all, recent (items,): scores, higher is more popular.

    `recent` looks at the last window alone, shrunk towards `all`.
    """

    all: Float32
    recent: Float32


def read_popularity(settings: Mapping[str, Any], arrays: Mapping[str, Any], items: int) -> Popularity:  # noqa: ARG001 - one signature for all parts
    """The popularity part of a bundle's arrays; BundleError when they do not fit together."""
    if arrays["all"].shape != (items,) or arrays["recent"].shape != (items,):
        raise BundleError(f"popularity/ does not hold {items} scores: make the bundle again")
    return Popularity(arrays["all"], arrays["recent"])
