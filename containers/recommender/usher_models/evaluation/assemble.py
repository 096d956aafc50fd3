"""Assemble: the trained parts, popularity, content and everybody's profile become one bundle."""

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
from usher_models.algorithm import Fitted
from usher_models.errors import DataError
from usher_models.models.content import fit_content
from usher_models.models.popularity import fit_popularity
from usher_models.part import PART, Part, read_part, unpack
from usher_models.prepare.plan import iso
from usher_models.ratings import Items, Ratings, read_items, read_ratings, read_summary, read_users


@dataclass(frozen=True, slots=True)
class Prepared:
    """What prepare wrote: `before` the split (train and validation) and `inside` the window."""

    summary: Mapping[str, Any]
    before: Ratings
    inside: Ratings
    items: Items
    users: tuple[str, ...]


def read_prepared(folder: Path) -> Prepared:
    """The folder prepared/; an empty window is allowed, an empty past is not."""
    train, validation, test = (read_ratings(folder / name, name) for name in ("train", "validation", "test"))
    return Prepared(
        read_summary(folder),
        train.join(validation),
        test,
        read_items(folder / "items", "items"),
        read_users(folder / "users", "users"),
    )


def read_parts(folder: Path, scratch: Path) -> list[Part]:
    """Every trained part under `folder`, as model.tar.gz or unpacked; DataError for none or two of one algorithm."""
    parts = [read_part(path.parent) for path in sorted(folder.rglob(PART))]
    for number, archive in enumerate(sorted(folder.rglob("model.tar.gz"))):
        unpack(archive, scratch / str(number))
        parts.append(read_part(scratch / str(number)))
    names = [part.name for part in parts]
    if not names or len(set(names)) != len(names):
        raise DataError(
            f"{folder} must hold the model.tar.gz of each algorithm once; it holds {', '.join(names) or 'none'}"
        )
    return parts


def assemble(prepared: Prepared, parts: list[Part], folder: Path) -> bundles.Bundle:
    """Write the bundle into `folder` and load it as a server would; DataError when a part knows other items."""
    for part in parts:
        if part.items != len(prepared.items):
            raise DataError(
                f"{part.name} was trained on {part.items} items, the window has {len(prepared.items)}: "
                "parts and data of one run belong together"
            )
    fitted = {part.name: part.fitted for part in parts if not part.fitted.left_out}
    fitted["popularity"] = fit_popularity(prepared.before, prepared.items)
    fitted["content"] = fit_content(prepared.items)
    everything = prepared.before.join(prepared.inside).strongest()
    bundles.write(
        folder,
        catalogue=prepared.items.catalogue,
        users=prepared.users,
        profiles=everything.profiles(np.arange(len(prepared.users))),
        parts={name: part.arrays for name, part in fitted.items()},
        fields=_fields(prepared, parts, fitted),
    )
    return bundles.load(folder)


def _fields(prepared: Prepared, parts: list[Part], fitted: Mapping[str, Fitted]) -> dict[str, Any]:
    """The manifest. model_id names the run and what was fitted, so that two models never share one."""
    settings = {name: dict(part.settings) for name, part in fitted.items()}
    hyperparameters = {part.name: dict(part.hyperparameters) for part in parts}
    run_id = str(prepared.summary["run_id"])
    identity = json.dumps([settings, hyperparameters, prepared.summary], sort_keys=True).encode()
    return {
        "model_id": f"{run_id}-{hashlib.sha256(identity).hexdigest()[:8]}",
        "run_id": run_id,
        "snapshots": dict(prepared.summary["snapshots"]),
        "trained_until": iso(int(prepared.summary["split_at_us"])),
        "parts": settings,
        "blend": {"order": ["ranker", "content", "popularity"]},
        "hyperparameters": hyperparameters,
        "metrics": {part.name: dict(part.metrics) for part in parts},
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
