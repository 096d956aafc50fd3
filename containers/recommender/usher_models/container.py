"""SageMaker's container contract: where its files lie, and hyperparameters, which arrive as strings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from usher.algorithms import ALGORITHMS
from usher.algorithms.definition import SHARED_PARAMETERS, Algorithm, nearest
from usher_models.errors import HyperparameterError

ROOT_VARIABLE = "SAGEMAKER_BASE_DIR"
DEFAULT_ROOT = "/opt/ml"
#: Prefixes of the hyperparameters that SageMaker and its SDK add by themselves.
_FOREIGN_PREFIXES = ("_tuning_objective_metric", "sagemaker_")
_FILE_MAX_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Paths:
    """The paths of the container contract under `root`, which tests and the twin move."""

    root: Path

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Paths:
        """With /opt/ml as root, or the folder that SAGEMAKER_BASE_DIR names."""
        return cls(Path(environ.get(ROOT_VARIABLE) or DEFAULT_ROOT))

    @property
    def hyperparameters(self) -> Path:
        return self.root / "input/config/hyperparameters.json"

    @property
    def resources(self) -> Path:
        return self.root / "input/config/resourceconfig.json"

    @property
    def channels(self) -> Path:
        return self.root / "input/config/inputdataconfig.json"

    def channel(self, name: str) -> Path:
        return self.root / "input/data" / name

    @property
    def model(self) -> Path:
        return self.root / "model"

    @property
    def failure(self) -> Path:
        """Where SageMaker takes a training job's FailureReason from."""
        return self.root / "output/failure"

    @property
    def message(self) -> Path:
        """Where SageMaker takes a processing job's ExitMessage from; it has no failure file."""
        return self.root / "output/message"

    def processing_input(self, name: str) -> Path:
        return self.root / "processing/input" / name

    def processing_output(self, name: str) -> Path:
        return self.root / "processing/output" / name


def find_algorithm(given: Mapping[str, str]) -> Algorithm:
    """The algorithm that the hyperparameter `algorithm` names; HyperparameterError naming the nearest known one."""
    name = given.get("algorithm")
    if name is None:
        raise HyperparameterError(f"the hyperparameter algorithm is missing: it is one of {', '.join(ALGORITHMS)}")
    if name not in ALGORITHMS:
        raise HyperparameterError(f"unknown algorithm {name!r}{nearest(name, ALGORITHMS)}")
    return ALGORITHMS[name]


def parse(given: Mapping[str, str], algorithm: Algorithm) -> dict[str, Any]:
    """Every parameter's value by name; HyperparameterError naming all unknown names and bad values at once."""
    known = {parameter.name: parameter for parameter in (*algorithm.parameters, *SHARED_PARAMETERS)}
    values: dict[str, Any] = {name: parameter.default for name, parameter in known.items()}
    faults = []
    for name, text in given.items():
        if name == "algorithm" or name.startswith(_FOREIGN_PREFIXES):
            continue
        if name not in known:
            faults.append(f"unknown hyperparameter {name!r}{nearest(name, known)}")
            continue
        try:
            values[name] = known[name].read(str(text).strip())
        except ValueError as error:
            faults.append(f"{name} is {text!r}: it {error}")
    if faults:
        raise HyperparameterError("; ".join(faults))
    return values


def read_hyperparameters(path: Path) -> dict[str, str]:
    """hyperparameters.json; {} without the file; HyperparameterError for one that SageMaker would not write."""
    if not path.exists():
        return {}
    if path.stat().st_size > _FILE_MAX_BYTES:
        raise HyperparameterError(f"{path} has over {_FILE_MAX_BYTES} bytes: send fewer or shorter hyperparameters")
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise HyperparameterError(f"{path} is not JSON: {error}") from None
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise HyperparameterError(f"{path} must be an object whose values are strings, as SageMaker sends them")
    return {name: _unquote(value) for name, value in given.items()}


def _unquote(value: str) -> str:
    """The value without the JSON quotes that the SageMaker SDK puts around strings."""
    return value[1:-1] if len(value) >= 2 and value[0] == value[-1] == '"' else value
