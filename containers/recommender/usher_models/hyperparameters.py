"""Hyperparameters: strings, as SageMaker sends them, checked against what an algorithm knows, every fault
reported at once.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from usher_models.errors import HyperparameterError

#: What SageMaker and its SDK add by themselves.
_FOREIGN_PREFIXES = ("_tuning_objective_metric", "sagemaker_")
_FILE_MAX_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Parameter:
    """One hyperparameter: its kind, default, inclusive bounds or choices, and what it means."""

    name: str
    kind: Literal["integer", "continuous", "categorical"]
    default: int | float | str
    doc: str
    minimum: float = -math.inf
    maximum: float = math.inf
    choices: tuple[str, ...] = ()

    def read(self, text: str) -> int | float | str:
        """The value of a string; ValueError saying what is allowed."""
        if self.kind == "categorical":
            if text not in self.choices:
                raise ValueError(f"must be one of {', '.join(self.choices)}{_nearest(text, self.choices)}")
            return text
        try:
            value = int(text) if self.kind == "integer" else float(text)
        except ValueError:
            whole = "a whole number" if self.kind == "integer" else "a number"
            raise ValueError(f"must be {whole} from {self.minimum:g} to {self.maximum:g}") from None
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"must lie from {self.minimum:g} to {self.maximum:g}")
        return value

    def markdown(self) -> str:
        """Its row in docs/models.md, which a test compares with this."""
        allowed = ", ".join(f"`{choice}`" for choice in self.choices) or f"{self.minimum:g} to {self.maximum:,.10g}"
        return f"| `{self.name}` | {self.default} | {allowed} | {self.doc} |"


#: Every algorithm takes these.
SHARED = (
    Parameter("seed", "integer", 0, "the same seed on the same data gives the same bytes", 0, 2**31 - 1),
    Parameter(
        "fit_rows",
        "categorical",
        "train",
        "what is fitted: `train` scores the validation channel; `train_and_validation`, after tuning, fits both",
        choices=("train", "train_and_validation"),
    ),
)


def parse(given: Mapping[str, str], parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Every parameter's value by name; HyperparameterError naming all unknown names and bad values at once."""
    known = {parameter.name: parameter for parameter in parameters}
    values: dict[str, Any] = {name: parameter.default for name, parameter in known.items()}
    faults = []
    for name, text in given.items():
        if name.startswith(_FOREIGN_PREFIXES):
            continue
        if name not in known:
            faults.append(f"unknown hyperparameter {name!r}{_nearest(name, known)}")
            continue
        try:
            values[name] = known[name].read(str(text).strip())
        except ValueError as error:
            faults.append(f"{name} is {text!r}: it {error}")
    if faults:
        raise HyperparameterError("; ".join(faults))
    return values


def read_file(path: Path) -> dict[str, str]:
    """hyperparameters.json; without the file there are none."""
    if not path.exists():
        return {}
    if path.stat().st_size > _FILE_MAX_BYTES:
        raise HyperparameterError(f"{path} has over {_FILE_MAX_BYTES} bytes")
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise HyperparameterError(f"{path} is not JSON: {error}") from None
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise HyperparameterError(f"{path} must be an object whose values are strings, as SageMaker sends them")
    return {name: _unquote(value) for name, value in given.items()}


def _unquote(value: str) -> str:
    """The SageMaker SDK sends text as JSON, in quotes of its own."""
    return value[1:-1] if len(value) >= 2 and value[0] == value[-1] == '"' else value


def _nearest(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name.lower(), {entry.lower(): entry for entry in known}, 1, 0.5)
    original = {entry.lower(): entry for entry in known}
    return f"; did you mean {original[near[0]]!r}?" if near else f"; known are {', '.join(sorted(known))}"
