"""What the programs refuse, in words: the message ends in /opt/ml/output/failure and in the job's FailureReason.

RefusedError
├── HyperparameterError   a name or value that cannot be meant; the nearest is named
├── DataError             a channel or a snapshot that cannot be used as it is
├── FitError              the fit did not end in finite numbers
└── LeakError             labels in the features, or rows of the window in what was trained on
"""

from __future__ import annotations


class RefusedError(Exception):
    """No retry helps: the message says what, where, and what to do."""


class HyperparameterError(RefusedError):
    """A hyperparameter's name or value."""


class DataError(RefusedError):
    """The data's shape, schema or amount."""


class FitError(RefusedError):
    """NaN or infinity where numbers belong."""


class LeakError(RefusedError):
    """What was learned from holds what is asked."""
