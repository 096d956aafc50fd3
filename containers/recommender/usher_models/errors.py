"""Errors that end a program with a message: it goes to /opt/ml/output/failure and the job's FailureReason.

RefusedError
├── HyperparameterError   an unknown name or a value out of bounds; the nearest known name is given
├── DataError             a channel or a snapshot that cannot be used as it is
├── FitError              a fit that did not end in finite numbers
└── LeakError             labels in the features, or rows of the window in the training rows
"""

from __future__ import annotations


class RefusedError(Exception):
    """A retry does not help: the message says what is wrong, where, and what to do."""


class HyperparameterError(RefusedError):
    """A hyperparameter's name or value."""


class DataError(RefusedError):
    """The data's shape, schema or amount."""


class FitError(RefusedError):
    """NaN or infinity in the result of a fit."""


class LeakError(RefusedError):
    """Data leakage: the training rows hold what is to be predicted."""
