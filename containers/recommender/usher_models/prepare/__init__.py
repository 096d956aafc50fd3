"""Prepare: a snapshot of the lake becomes dense ids, a split by time, and item features."""
