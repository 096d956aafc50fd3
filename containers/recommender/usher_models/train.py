"""The program `train`: one algorithm, its hyperparameters and its channels in, one training result out."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from usher.algorithms.definition import load_entry_point
from usher_models.artifacts import Artifact, TrainingResult, write_result
from usher_models.container import Paths, find_algorithm, parse, read_hyperparameters
from usher_models.errors import DataError, LeakError, RefusedError
from usher_models.evaluation.leakage import label_findings
from usher_models.ratings import Items, Ratings, read_items, read_ratings


def train(paths: Paths) -> TrainingResult:
    """Fit the algorithm that the hyperparameters name, print its metrics, write the result into the model folder.

    Channels: train; validation and items if they are there. RefusedError states what is wrong; nothing is written then.
    """
    given = read_hyperparameters(paths.hyperparameters)
    _check_resources(paths)
    algorithm = find_algorithm(given)
    values = parse(given, algorithm)
    rows, validation, items = _channels(paths)
    fit_on = rows
    if values["fit_rows"] == "train_and_validation":
        fit_on = rows.join(validation) if validation else rows
    findings = label_findings(fit_on)
    if findings:
        raise LeakError("; ".join(findings))
    artifact: Artifact = load_entry_point(algorithm.fit)(fit_on, items, values)
    metrics: Mapping[str, float] = {}
    if validation is not None and values["fit_rows"] == "train":
        metrics = load_entry_point(algorithm.validate)(artifact, rows, validation, items)
    for name, value in metrics.items():
        sys.stdout.write(f"validation:{name}={value:.6f}\n")
    sys.stdout.flush()
    result = TrainingResult(
        algorithm.name,
        artifact,
        {name: str(value) for name, value in values.items()},
        metrics,
        len(items),
        len(fit_on),
        int(fit_on.time_us.max()),
    )
    write_result(result, paths.model)
    return result


def _channels(paths: Paths) -> tuple[Ratings, Ratings | None, Items]:
    rows = read_ratings(paths.channel("train"), "train")
    if not len(rows):
        raise DataError("channel train holds no row: start the run when ratings or events have arrived")
    validation = (
        read_ratings(paths.channel("validation"), "validation") if paths.channel("validation").is_dir() else None
    )
    highest = max(int(some.item.max(initial=-1)) for some in (rows, validation) if some is not None) + 1
    items = read_items(paths.channel("items"), "items") if paths.channel("items").is_dir() else Items.nameless(highest)
    if highest > len(items):
        raise DataError(
            f"a rating names item {highest - 1}, channel items ends at {len(items) - 1}: "
            "they are not of one run; pass the channels that one prepare job wrote"
        )
    return rows, validation if validation is not None and len(validation) else None, items


def _check_resources(paths: Paths) -> None:
    """RefusedError for more than one instance or a piped channel: this container reads files on one machine."""
    hosts = _json(paths.resources).get("hosts", [])
    if len(hosts) > 1:
        raise RefusedError(f"this image trains on one instance, not on {len(hosts)}: set InstanceCount to 1")
    for name, channel in _json(paths.channels).items():
        if isinstance(channel, dict) and channel.get("TrainingInputMode", "File") == "Pipe":
            raise RefusedError(f"channel {name} comes as a pipe: set TrainingInputMode to File or FastFile")


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RefusedError(f"{path} is not JSON: {error}") from None
    return fields
