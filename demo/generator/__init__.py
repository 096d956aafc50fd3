"""Seeded data in MovieLens' format: long tails, preferences by genre, sessions, drift.

The same seed gives the same bytes (with the pinned numpy and pyarrow).
"""
