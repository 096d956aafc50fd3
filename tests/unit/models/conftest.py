"""The fixtures of the small world."""

from __future__ import annotations

from tests.unit.small_world import (
    bundle,
    bundle_folder,
    fit,
    items,
    job,
    make_prepared,
    nameless,
    prepared,
    rated,
    raw_files,
    trained,
    world,
)

__all__ = [
    "bundle",
    "bundle_folder",
    "fit",
    "items",
    "job",
    "make_prepared",
    "nameless",
    "prepared",
    "rated",
    "raw_files",
    "trained",
    "world",
]
