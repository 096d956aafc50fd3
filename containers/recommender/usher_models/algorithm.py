"""What an algorithm is: a name, its hyperparameters, a fit to arrays, and what its validation is measured by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from usher_models.errors import FitError
from usher_models.hyperparameters import Parameter
from usher_models.ratings import Items, Ratings

Array = npt.NDArray[Any]
_LEFT_OUT = "left_out"


@dataclass(frozen=True, slots=True)
class Fitted:
    """A part of a bundle: settings (JSON) and arrays, as `usher_scorer` reads them."""

    settings: Mapping[str, Any]
    arrays: Mapping[str, Array]

    @classmethod
    def nothing(cls, reason: str) -> Fitted:
        """What an algorithm fits when the rows hold nothing for it: the bundle is made without it, and says why."""
        return cls({_LEFT_OUT: reason}, {})

    @property
    def left_out(self) -> str:
        """Why there is nothing here; empty for a real fit."""
        return str(self.settings.get(_LEFT_OUT, ""))

    def checked(self, name: str) -> Fitted:
        """Itself; FitError when an array holds NaN or infinity."""
        for array_name, array in self.arrays.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise FitError(
                    f"{name}: {array_name} holds NaN or infinity after the fit; nothing is written. "
                    "Check the ratings, or try less extreme hyperparameters"
                )
        return self


class Algorithm(Protocol):
    """A new algorithm is one file that defines one of these and one line in the registry."""

    @property
    def name(self) -> str:
        """Also the folder of its arrays in a bundle."""
        ...

    @property
    def parameters(self) -> Sequence[Parameter]:
        """Its hyperparameters, besides the shared ones."""
        ...

    def fit(self, ratings: Ratings, items: Items, values: Mapping[str, Any]) -> Fitted:
        """Fit on these rows; values: every parameter by name."""
        ...

    def validate(self, fitted: Fitted, train: Ratings, validation: Ratings, items: Items) -> Mapping[str, float]:
        """Metrics by name (`rmse`, `ndcg@10`) of a fit on `train`, measured on `validation`."""
        ...
