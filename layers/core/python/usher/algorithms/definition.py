"""What the definition of an algorithm states: hyperparameters, tuning, and where its code is.

SageMaker's requests, the container's checks, the documentation and the scorer's readers all follow from it. Lambda
functions import it without numpy, so the code is named by entry points (`module:attribute`) and imported on use.
"""

from __future__ import annotations

import difflib
import importlib
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

#: What the scorer does with an algorithm's artifact; `usher_scorer.components` has the interface of each.
#: ranking: orders the catalogue for a profile. rating: predicts ratings. similar_items: finds items near an item.
#: component: none of these; code finds it by name in `Bundle.components`.
Role = Literal["ranking", "rating", "similar_items", "component"]


@dataclass(frozen=True, slots=True)
class Tuning:
    """The inclusive bounds that a tuning job draws from, and how SageMaker scales the draw."""

    minimum: float
    maximum: float
    scaling: Literal["Linear", "Logarithmic"] = "Logarithmic"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One hyperparameter: its kind, default, inclusive bounds or choices, meaning, and tuning bounds if it is tuned."""

    name: str
    kind: Literal["integer", "continuous", "categorical"]
    default: int | float | str
    doc: str
    minimum: float = -math.inf
    maximum: float = math.inf
    choices: tuple[str, ...] = ()
    tuning: Tuning | None = None

    def read(self, text: str) -> int | float | str:
        """The value of a string, as SageMaker sends it; ValueError naming what is allowed."""
        if self.kind == "categorical":
            if text not in self.choices:
                raise ValueError(f"must be one of {', '.join(self.choices)}{nearest(text, self.choices)}")
            return text
        try:
            value = int(text) if self.kind == "integer" else float(text)
        except ValueError:
            number = "a whole number" if self.kind == "integer" else "a number"
            raise ValueError(f"must be {number} from {self.minimum:g} to {self.maximum:g}") from None
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"must lie from {self.minimum:g} to {self.maximum:g}")
        return value

    @property
    def default_text(self) -> str:
        """The default as SageMaker's requests carry it."""
        return f"{self.default:g}" if isinstance(self.default, float) else str(self.default)

    def range_request(self) -> dict[str, str]:
        """The parameter range of CreateHyperParameterTuningJob; ValueError for a parameter that is not tuned."""
        if self.tuning is None:
            raise ValueError(f"hyperparameter {self.name} has no tuning bounds: give its definition some")
        return {
            "Name": self.name,
            "MinValue": f"{self.tuning.minimum:g}",
            "MaxValue": f"{self.tuning.maximum:g}",
            "ScalingType": self.tuning.scaling,
        }


#: Every algorithm takes these.
SHARED_PARAMETERS = (
    Parameter("seed", "integer", 0, "the same seed on the same data gives the same bytes", 0, 2**31 - 1),
    Parameter(
        "fit_rows",
        "categorical",
        "train",
        "`train`: fit the train channel, score the validation channel; `train_and_validation`: fit both, after tuning",
        choices=("train", "train_and_validation"),
    ),
)


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One algorithm. Its name is also the name of its artifact: the folder of its arrays in a bundle.

    fit:             `(Ratings, Items, values) -> Artifact`, in the container.
    validate:        `(Artifact, train, validation, Items) -> metrics by name`, in the container.
    reader:          `(settings, arrays, item count) -> component` with the interface of `role`, in the scorer.
    objective:       the metric that tuning optimises, as `validate` names it.
    rows_per_second: rows that a job works through in a second on one ml.m5.xlarge.
    ratings_only:    whether it learns from ratings alone; the others learn from events, too.
    """

    name: str
    summary: str
    role: Role
    fit: str
    validate: str
    reader: str
    objective: str
    objective_type: Literal["Maximize", "Minimize"]
    rows_per_second: float
    parameters: tuple[Parameter, ...]
    ratings_only: bool = False

    @property
    def objective_metric(self) -> str:
        """The objective as the container prints it."""
        return f"validation:{self.objective}"

    @property
    def tuned(self) -> tuple[Parameter, ...]:
        """The parameters that a tuning job varies; empty for an algorithm that is not tuned."""
        return tuple(parameter for parameter in self.parameters if parameter.tuning)

    @property
    def tuned_names(self) -> set[str]:
        return {parameter.name for parameter in self.tuned}

    @property
    def defaults(self) -> dict[str, str]:
        """The tuned parameters before any tuning."""
        return {parameter.name: parameter.default_text for parameter in self.tuned}

    @property
    def fixed(self) -> dict[str, str]:
        """Hyperparameters that are the same in every job."""
        return {"algorithm": self.name, "seed": SHARED_PARAMETERS[0].default_text}

    def ranges_request(self) -> dict[str, Any]:
        """ParameterRanges of a tuning job."""
        kinds = {"Integer": "integer", "Continuous": "continuous"}
        ranges: dict[str, Any] = {
            f"{title}ParameterRanges": [one.range_request() for one in self.tuned if one.kind == kind]
            for title, kind in kinds.items()
        }
        return {**ranges, "CategoricalParameterRanges": []}


def load_entry_point(entry_point: str) -> Any:
    """The object that `module:attribute` names."""
    module, _, attribute = entry_point.partition(":")
    return getattr(importlib.import_module(module), attribute)


def nearest(name: str, known: Collection[str] | Sequence[str]) -> str:
    """A hint to append to a message about an unknown name: the nearest known name, or all of them."""
    original = {entry.lower(): entry for entry in known}
    near = difflib.get_close_matches(name.lower(), original, 1, 0.5)
    return f"; did you mean {original[near[0]]!r}?" if near else f"; known are {', '.join(sorted(known))}"
