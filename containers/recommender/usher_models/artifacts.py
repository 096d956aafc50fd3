"""What a fit yields (an artifact: settings and arrays) and how it travels: a training result in model.tar.gz."""

from __future__ import annotations

import gzip
import json
import shutil
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from usher.algorithms import ALGORITHMS
from usher_models.errors import DataError, FitError

SCHEMA = 1
RESULT = "artifact.json"
#: An archive unpacks to at most this; EASE's largest matrix has 0.4 GB.
ARCHIVE_MAX_BYTES = 4 * 1024**3
ARCHIVE_MAX_FILES = 100
_LEFT_OUT = "left_out"


@dataclass(frozen=True, slots=True)
class Artifact:
    """What an algorithm fitted: settings (JSON) and arrays by name, as its reader in `usher_scorer` takes them."""

    settings: Mapping[str, Any]
    arrays: Mapping[str, npt.NDArray[Any]]

    @classmethod
    def empty(cls, reason: str) -> Artifact:
        """For rows that hold nothing to learn from: the bundle is built without the algorithm and states the reason."""
        return cls({_LEFT_OUT: reason}, {})

    @property
    def left_out(self) -> str:
        """Why the artifact is empty; "" for a real fit."""
        return str(self.settings.get(_LEFT_OUT, ""))

    def checked(self, name: str) -> Artifact:
        """The artifact itself; FitError when an array holds NaN or infinity."""
        for array_name, array in self.arrays.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise FitError(
                    f"{name}: {array_name} holds NaN or infinity after the fit; nothing is written. "
                    "Check the ratings, or try less extreme hyperparameters"
                )
        return self


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """One algorithm's artifact and what it was fitted on.

    name: the algorithm; items: number of items in the catalogue; rows: rows fitted; fitted_until_us: the time of the
    last of them, microseconds since 1970.
    """

    name: str
    artifact: Artifact
    hyperparameters: Mapping[str, str]
    metrics: Mapping[str, float]
    items: int
    rows: int
    fitted_until_us: int


def write_result(result: TrainingResult, folder: Path) -> None:
    """Write all files or, when one fails, none: artifact.json comes last."""
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / f"{name}.npy" for name in result.artifact.arrays]
    try:
        for path, array in zip(written, result.artifact.arrays.values(), strict=True):
            np.save(path, array, allow_pickle=False)
        fields = {
            "schema": SCHEMA,
            "name": result.name,
            "settings": result.artifact.settings,
            "arrays": sorted(result.artifact.arrays),
            "hyperparameters": result.hyperparameters,
            "metrics": result.metrics,
            "items": result.items,
            "rows": result.rows,
            "fitted_until_us": result.fitted_until_us,
        }
        (folder / RESULT).write_text(json.dumps(fields, indent=1, sort_keys=True, allow_nan=False) + "\n")
    except BaseException:
        for path in (*written, folder / RESULT):
            path.unlink(missing_ok=True)
        raise


def read_result(folder: Path) -> TrainingResult:
    """A training result from its folder; DataError for one that is unknown, newer, damaged or not complete."""
    path = folder / RESULT
    if not path.is_file():
        raise DataError(f"{folder} has no {RESULT}: it was not written by `train`; pass the output of a training job")
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        if fields["schema"] > SCHEMA:
            raise DataError(f"{path} has schema {fields['schema']}, this image reads {SCHEMA}: use the newer image")
        _check_known(path, str(fields["name"]), fields["arrays"])
        arrays = {str(name): _array(folder, str(name)) for name in fields["arrays"]}
        return TrainingResult(
            str(fields["name"]),
            Artifact(fields["settings"], arrays),
            fields["hyperparameters"],
            fields["metrics"],
            int(fields["items"]),
            int(fields["rows"]),
            int(fields["fitted_until_us"]),
        )
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise DataError(f"{path} cannot be read ({type(error).__name__}: {error}): train again") from error


def _check_known(path: Path, name: str, arrays: Any) -> None:
    """An artifact or a file that would be shipped without a reader is refused."""
    if name not in ALGORITHMS:
        raise DataError(
            f"{path}: the artifact {name[:40]!r} is unknown to this image, which reads {', '.join(ALGORITHMS)}: "
            "use an image that has this algorithm, or leave the model package out"
        )
    unlisted = sorted({file.stem for file in path.parent.glob("*.npy")} - set(arrays))
    if unlisted:
        raise DataError(f"{path} does not list {unlisted[0][:40]}.npy, which lies beside it: train again")


def _array(folder: Path, name: str) -> Any:
    if not name.isidentifier():
        raise DataError(f"{folder / RESULT} lists {name[:40]!r}, which cannot be an array's name: train again")
    return np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a model.tar.gz into the new `folder`; DataError for one that is damaged, too large or reaches outside."""
    folder.mkdir(parents=True)
    try:
        with tarfile.open(archive, "r:gz") as tar:
            size = files = 0
            for member in tar:
                size, files = size + member.size, files + 1
                if size > ARCHIVE_MAX_BYTES or files > ARCHIVE_MAX_FILES:
                    raise DataError(
                        f"{archive} unpacks to more than {ARCHIVE_MAX_BYTES} bytes or {ARCHIVE_MAX_FILES} files: "
                        "pass an archive that `train` or `evaluate` wrote"
                    )
                if not (member.isreg() or member.isdir()):
                    raise DataError(
                        f"{archive} holds {member.name[:80]!r}, which is not a plain file: "
                        "pass an archive that `train` or `evaluate` wrote"
                    )
                tar.extract(member, folder, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise DataError(f"{archive} is damaged ({type(error).__name__}: {error}): fetch it again") from error


def pack(folder: Path, archive: Path) -> None:
    """Write a folder as model.tar.gz; the same files give the same bytes."""
    with (
        archive.open("wb") as raw,
        gzip.GzipFile("", "wb", 1, raw, mtime=0) as file,
        tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            info = tarfile.TarInfo(str(path.relative_to(folder)))
            info.size, info.mode = path.stat().st_size, 0o644
            with path.open("rb") as content:
                tar.addfile(info, content)
