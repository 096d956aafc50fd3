"""Evaluation: models judged whole, on a window of time that none of them has seen."""
