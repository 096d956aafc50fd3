"""An experiment's life: opened when a challenger takes the idle variant, looked at each minute, closed by a decision.

evidence.py and strata.py need numpy and are imported by shift_traffic alone; all else here is plain Python.
"""
