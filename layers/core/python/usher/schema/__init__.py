"""The contracts between Usher's parts, each held once: data sets, keys, ids and settings (standard library only)."""
