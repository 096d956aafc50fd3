"""Seeded files in MovieLens' shape, for everybody who has no MovieLens: long tails, tastes, genres, sessions, drift.

`world` draws the items and the people, `ratings` what they rated, chunk by chunk, `events` what they did,
`titles` the words, `files` writes.
The same seed gives the same bytes (with the pinned numpy and pyarrow).
"""
