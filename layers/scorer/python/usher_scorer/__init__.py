"""The numpy-only runtime of a bundle: load, score, top k, fold in, explain."""
