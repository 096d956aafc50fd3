"""What the decision refuses.

ShiftError (ValueError)    the message says what, where, and what to do
├── PresetError            an unknown preset, or one whose numbers contradict each other: mend the setting
├── CountError             counts that cannot be true: the caller's fault, a retry is of no use
├── StateError             a stored state that cannot be read: written by a newer version, cut short, edited by hand
└── WeightError            weights that do not sum to one, or that leave nobody to serve
"""


class ShiftError(ValueError):
    """The decision was asked something it cannot answer."""


class PresetError(ShiftError):
    """An unknown preset, or numbers that contradict each other."""


class CountError(ShiftError):
    """Counts that cannot be true."""


class StateError(ShiftError):
    """A stored state that this version cannot read."""


class WeightError(ShiftError):
    """Weights that are no probabilities, or leave nobody to serve."""
