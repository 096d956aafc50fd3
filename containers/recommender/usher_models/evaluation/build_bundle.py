"""Builds the bundle from the training results, popularity, content and all profiles; reads what `evaluate` takes."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import usher_scorer.bundle as bundles
from usher_models.artifacts import RESULT, Artifact, TrainingResult, read_result, unpack
from usher_models.errors import DataError
from usher_models.models.baselines import fit_content, fit_popularity
from usher_models.prepare.sources import iso
from usher_models.ratings import Items, Ratings, read_items, read_ratings, read_summary, read_users


@dataclass(frozen=True, slots=True)
class Prepared:
    """What prepare wrote. before: rows before the split (train and validation); inside: rows of the window."""

    summary: Mapping[str, Any]
    before: Ratings
    inside: Ratings
    items: Items
    users: tuple[str, ...]


def read_prepared(folder: Path) -> Prepared:
    """The folder prepared/; the window may be empty, the rows before it may not (DataError)."""
    train, validation, test = (read_ratings(folder / name, name) for name in ("train", "validation", "test"))
    return Prepared(
        read_summary(folder),
        train.join(validation),
        test,
        read_items(folder / "items", "items"),
        read_users(folder / "users", "users"),
    )


def read_results(folder: Path, scratch: Path) -> list[TrainingResult]:
    """Every training result under `folder`, as model.tar.gz or unpacked.

    DataError for none, for two of one algorithm, and for one of an algorithm that this image does not know.
    """
    results = [read_result(path.parent) for path in sorted(folder.rglob(RESULT))]
    for number, archive in enumerate(sorted(folder.rglob("model.tar.gz"))):
        unpack(archive, scratch / str(number))
        results.append(read_result(scratch / str(number)))
    names = [result.name for result in results]
    if not names or len(set(names)) != len(names):
        raise DataError(
            f"{folder} must hold the model.tar.gz of each algorithm once; it holds {', '.join(names) or 'none'}: "
            "pass the outputs of one run's training jobs"
        )
    return results


def build_bundle(prepared: Prepared, trained: list[TrainingResult], folder: Path) -> bundles.Bundle:
    """Write the bundle into `folder` and load it as a server would.

    DataError for a result fitted on another catalogue; BundleError for an artifact that the scorer cannot read.
    """
    for result in trained:
        if result.items != len(prepared.items):
            raise DataError(
                f"{result.name} was trained on {result.items} items, the window has {len(prepared.items)}: "
                "pass models and data of one run"
            )
    artifacts = {result.name: result.artifact for result in trained if not result.artifact.left_out}
    artifacts["popularity"] = fit_popularity(prepared.before, prepared.items)
    artifacts["content"] = fit_content(prepared.items)
    everything = prepared.before.join(prepared.inside).strongest()
    bundles.write(
        folder,
        catalogue=prepared.items.catalogue,
        users=prepared.users,
        profiles=everything.profiles(np.arange(len(prepared.users))),
        arrays={name: artifact.arrays for name, artifact in artifacts.items()},
        fields=_fields(prepared, trained, artifacts),
    )
    return bundles.load(folder)


def _fields(prepared: Prepared, trained: list[TrainingResult], artifacts: Mapping[str, Artifact]) -> dict[str, Any]:
    """The manifest's fields. model_id names the run and a digest of what was fitted: it differs between models."""
    settings = {name: dict(artifact.settings) for name, artifact in artifacts.items()}
    hyperparameters = {result.name: dict(result.hyperparameters) for result in trained}
    run_id = str(prepared.summary["run_id"])
    identity = json.dumps([settings, hyperparameters, prepared.summary], sort_keys=True).encode()
    return {
        "model_id": f"{run_id}-{hashlib.sha256(identity).hexdigest()[:8]}",
        "run_id": run_id,
        "snapshots": dict(prepared.summary["snapshots"]),
        "trained_until": iso(int(prepared.summary["split_at_us"])),
        "artifacts": settings,
        "hyperparameters": hyperparameters,
        "metrics": {result.name: dict(result.metrics) for result in trained},
    }


def load_champion(folder: Path) -> bundles.Bundle | None:
    """The champion's bundle from its channel, unpacked or as model.tar.gz; None when there is no champion."""
    if not folder.is_dir():
        return None
    manifests = sorted(folder.rglob("manifest.json"))
    if manifests:
        return bundles.load(manifests[0].parent)
    archives = sorted(folder.rglob("model.tar.gz"))
    if not archives:
        return None
    scratch = Path(tempfile.mkdtemp(prefix="champion-")) / "bundle"
    unpack(archives[0], scratch)
    return bundles.load(scratch)
