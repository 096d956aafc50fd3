"""A/B experiments between two models: opened by a deployment, checked each minute, closed by a decision.

`evidence`, `metrics` and `strata` need numpy, which only shift_traffic carries; everything that other functions import
does without it.
"""
