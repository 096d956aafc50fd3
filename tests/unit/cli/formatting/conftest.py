"""The fixtures of the small world."""

from __future__ import annotations

from tests.unit.small_world import bundle, bundle_folder, items, prepared, trained, world

__all__ = ["bundle", "bundle_folder", "items", "prepared", "trained", "world"]
