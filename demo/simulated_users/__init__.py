"""Simulated users of the demo: they see lists, choose by tastes fitted outside Usher, and do not know the variant."""
