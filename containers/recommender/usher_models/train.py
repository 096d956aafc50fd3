"""The program `train`: one algorithm, its hyperparameters and its channels in, one part of a bundle out."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from usher_models.algorithm import Algorithm, Fitted
from usher_models.errors import DataError, HyperparameterError, LeakError, RefusedError
from usher_models.evaluation.leak import label_findings
from usher_models.hyperparameters import SHARED, parse, read_file
from usher_models.part import Part, write_part
from usher_models.paths import Paths
from usher_models.ratings import Items, Ratings, read_items, read_ratings
from usher_models.registry import ALGORITHMS, algorithm


def train(paths: Paths) -> Part:
    """Fit what the hyperparameter `algorithm` names, print its metrics, write it into the model folder.

    Channels: train; validation and items if they are there. RefusedError says what is wrong; nothing is written then.
    """
    given = read_file(paths.hyperparameters)
    _check_resources(paths)
    chosen = algorithm(_named(given))
    values = parse({name: text for name, text in given.items() if name != "algorithm"}, [*chosen.parameters, *SHARED])
    rows, validation, items = _channels(paths)
    fit_on = rows
    if values["fit_rows"] == "train_and_validation":
        fit_on = rows.join(validation) if validation else rows
    findings = label_findings(fit_on)
    if findings:
        raise LeakError("; ".join(findings))
    fitted = chosen.fit(fit_on, items, values)
    metrics = _measure(chosen, fitted, rows, validation if values["fit_rows"] == "train" else None, items)
    for name, value in metrics.items():
        sys.stdout.write(f"validation:{name}={value:.6f}\n")
    sys.stdout.flush()
    part = Part(
        chosen.name,
        fitted,
        {name: str(value) for name, value in values.items()},
        metrics,
        len(items),
        len(fit_on),
        int(fit_on.time_us.max()),
    )
    write_part(part, paths.model)
    return part


def _named(given: Mapping[str, str]) -> str:
    if "algorithm" not in given:
        raise HyperparameterError(f"the hyperparameter algorithm is missing: it is one of {', '.join(ALGORITHMS)}")
    return given["algorithm"]


def _channels(paths: Paths) -> tuple[Ratings, Ratings | None, Items]:
    rows = read_ratings(paths.channel("train"), "train")
    if not len(rows):
        raise DataError("channel train holds no row")
    validation = (
        read_ratings(paths.channel("validation"), "validation") if paths.channel("validation").is_dir() else None
    )
    highest = max(int(part.item.max(initial=-1)) for part in (rows, validation) if part is not None) + 1
    items = read_items(paths.channel("items"), "items") if paths.channel("items").is_dir() else Items.nameless(highest)
    if highest > len(items):
        raise DataError(
            f"a rating names item {highest - 1}, channel items ends at {len(items) - 1}: they are not of one run"
        )
    return rows, validation if validation is not None and len(validation) else None, items


def _measure(
    chosen: Algorithm, fitted: Fitted, rows: Ratings, validation: Ratings | None, items: Items
) -> Mapping[str, float]:
    if validation is None:
        return {}
    return chosen.validate(fitted, rows, validation, items)


def _check_resources(paths: Paths) -> None:
    """One instance, and files rather than a pipe: what this container was made for."""
    hosts = _json(paths.resources).get("hosts", [])
    if len(hosts) > 1:
        raise RefusedError(f"this image trains on one instance, not on {len(hosts)}: set InstanceCount to 1")
    for name, channel in _json(paths.channels).items():
        if isinstance(channel, dict) and channel.get("TrainingInputMode", "File") == "Pipe":
            raise RefusedError(f"channel {name} comes as a pipe: set TrainingInputMode to File or FastFile")


def _json(path: Any) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RefusedError(f"{path} is not JSON: {error}") from None
    return fields
