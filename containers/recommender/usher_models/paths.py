"""Where SageMaker puts a container's files: one object, whose root tests and the twin move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT_VARIABLE = "SAGEMAKER_BASE_DIR"
DEFAULT_ROOT = "/opt/ml"


@dataclass(frozen=True, slots=True)
class Paths:
    """The container contract's places under `root`."""

    root: Path

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Paths:
        """`/opt/ml`, or what SAGEMAKER_BASE_DIR says."""
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
        """What a training job's FailureReason is taken from."""
        return self.root / "output/failure"

    @property
    def message(self) -> Path:
        """What a processing job's ExitMessage is taken from; it has no failure file."""
        return self.root / "output/message"

    def processing_input(self, name: str) -> Path:
        return self.root / "processing/input" / name

    def processing_output(self, name: str) -> Path:
        return self.root / "processing/output" / name
