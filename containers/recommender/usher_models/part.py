"""A trained part on disk: what `train` leaves in the model folder and `evaluate` puts into a bundle."""

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

from usher_models.algorithm import Fitted
from usher_models.errors import DataError

SCHEMA = 1
PART = "part.json"
#: An artefact unpacks to at most this; EASE's largest matrix has 0.4 GB.
ARTEFACT_MAX_BYTES = 4 * 1024**3
ARTEFACT_MAX_FILES = 100


@dataclass(frozen=True, slots=True)
class Part:
    """One algorithm's fit, and what it was fitted on.

    items: how many items it knows; fitted_until_us: the time of the last row it saw.
    """

    name: str
    fitted: Fitted
    hyperparameters: Mapping[str, str]
    metrics: Mapping[str, float]
    items: int
    rows: int
    fitted_until_us: int


def write_part(part: Part, folder: Path) -> None:
    """Write all of it or, when that fails, nothing: part.json comes last."""
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / f"{name}.npy" for name in part.fitted.arrays]
    try:
        for path, array in zip(written, part.fitted.arrays.values(), strict=True):
            np.save(path, array, allow_pickle=False)
        fields = {
            "schema": SCHEMA,
            "name": part.name,
            "settings": part.fitted.settings,
            "arrays": sorted(part.fitted.arrays),
            "hyperparameters": part.hyperparameters,
            "metrics": part.metrics,
            "items": part.items,
            "rows": part.rows,
            "fitted_until_us": part.fitted_until_us,
        }
        (folder / PART).write_text(json.dumps(fields, indent=1, sort_keys=True, allow_nan=False) + "\n")
    except BaseException:
        for path in (*written, folder / PART):
            path.unlink(missing_ok=True)
        raise


def read_part(folder: Path) -> Part:
    """A part from its folder; DataError for one that is foreign, newer or damaged."""
    path = folder / PART
    if not path.is_file():
        raise DataError(f"{folder} holds no {PART}: it is not what `train` wrote")
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        if fields["schema"] > SCHEMA:
            raise DataError(f"{path} has schema {fields['schema']}, this image reads {SCHEMA}: use the newer image")
        arrays = {str(name): _array(folder, str(name)) for name in fields["arrays"]}
        return Part(
            str(fields["name"]),
            Fitted(fields["settings"], arrays),
            fields["hyperparameters"],
            fields["metrics"],
            int(fields["items"]),
            int(fields["rows"]),
            int(fields["fitted_until_us"]),
        )
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise DataError(f"{path} cannot be read ({type(error).__name__}: {error}): train again") from error


def _array(folder: Path, name: str) -> Any:
    if not name.isidentifier():
        raise DataError(f"{folder / PART} names the array {name[:40]!r}")
    return np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a model.tar.gz into the new `folder`; DataError for one that is damaged, too large or reaches outside."""
    folder.mkdir(parents=True)
    try:
        with tarfile.open(archive, "r:gz") as tar:
            size = files = 0
            for member in tar:
                size, files = size + member.size, files + 1
                if size > ARTEFACT_MAX_BYTES or files > ARTEFACT_MAX_FILES:
                    raise DataError(
                        f"{archive} unpacks to more than {ARTEFACT_MAX_BYTES} bytes or {ARTEFACT_MAX_FILES} files"
                    )
                if not (member.isreg() or member.isdir()):
                    raise DataError(f"{archive} holds {member.name[:80]!r}, which is no plain file")
                tar.extract(member, folder, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise DataError(f"{archive} is damaged ({type(error).__name__}: {error}): fetch it again") from error


def pack(folder: Path, archive: Path) -> None:
    """A folder as model.tar.gz; the same files are the same bytes."""
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
