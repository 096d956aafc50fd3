"""The program `evaluate`: builds the bundle, compares it with champion and popularity, and writes what may ship."""

from __future__ import annotations

import json
import math
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import usher_scorer.bundle as bundles
from usher_models.artifacts import TrainingResult, pack
from usher_models.container import Paths
from usher_models.evaluation import leakage
from usher_models.evaluation.build_bundle import Prepared, build_bundle, load_champion, read_prepared, read_results
from usher_models.evaluation.bundle_scores import score_bundle, score_popularity
from usher_models.evaluation.report import SCHEMA, Comparison, examples, facts
from usher_models.evaluation.window import split_window
from usher_models.prepare.sources import microseconds


def evaluate(paths: Paths) -> dict[str, Any]:
    """Write run/{evaluation.json, bundle/, model.tar.gz}: exactly the bytes that were evaluated ship.

    Reads processing/input/{prepared, models, champion}. The gate decides later, from evaluation.json.
    """
    output = paths.processing_output("run")
    with tempfile.TemporaryDirectory(prefix="evaluate-") as scratch:
        prepared = read_prepared(paths.processing_input("prepared"))
        trained = read_results(paths.processing_input("models"), Path(scratch) / "models")
        champion = load_champion(paths.processing_input("champion"))
        shutil.rmtree(output / "bundle", ignore_errors=True)
        candidate = build_bundle(prepared, trained, output / "bundle")
        result = evaluate_models(prepared, trained, candidate, champion)
    pack(output / "bundle", output / "model.tar.gz")
    text = json.dumps(result, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
    (output / "evaluation.json").write_text(text + "\n", encoding="utf-8")
    return result


def evaluate_models(
    prepared: Prepared, trained: list[TrainingResult], candidate: bundles.Bundle, champion: bundles.Bundle | None
) -> dict[str, Any]:
    """evaluation.json: the facts and the findings of the leakage checks; NaN and infinity become null."""
    started = time.perf_counter()
    window = split_window(prepared.before, prepared.inside)
    ids = prepared.items.catalogue.ids
    results = {
        "candidate": score_bundle(candidate, window, ids),
        "popularity": score_popularity(candidate.popularity.all, window),
    }
    if champion is not None:
        results["champion"] = score_bundle(champion, window, ids)
    comparison = Comparison(prepared, window, results)
    found = facts(comparison)
    return {
        "schema": SCHEMA,
        "run_id": candidate.manifest.run_id,
        "model_id": candidate.manifest.model_id,
        "champion_model_id": champion.manifest.model_id if champion else None,
        "trained_until": candidate.manifest.trained_until,
        "prepared": dict(prepared.summary),
        "algorithms": {
            one.name: {"hyperparameters": dict(one.hyperparameters), "metrics": _finite(dict(one.metrics))}
            for one in trained
            if not one.artifact.left_out
        },
        "left_out": {
            **{str(name): str(why) for name, why in dict(prepared.summary.get("left_out", {})).items()},
            **{one.name: one.artifact.left_out for one in trained if one.artifact.left_out},
        },
        **_finite(found),
        "leaks": _leaks(prepared, trained, champion, found),
        "examples": examples(comparison, candidate),
        "seconds": round(time.perf_counter() - started, 3),
    }


def _leaks(
    prepared: Prepared, trained: list[TrainingResult], champion: bundles.Bundle | None, found: dict[str, Any]
) -> list[str]:
    fitted = max(one.fitted_until_us for one in trained)
    champion_until = microseconds(champion.manifest.trained_until) if champion else 0
    start = int(prepared.summary["split_at_us"])
    findings = leakage.window_findings(fitted, champion_until, start, prepared.before, prepared.inside)
    findings += leakage.label_findings(prepared.before.join(prepared.inside))
    metrics = found["metrics"]
    if "rmse" in metrics["candidate"]:
        findings += leakage.too_good(metrics["candidate"]["rmse"], metrics["bias_only"]["rmse"])
    return findings


def _finite(value: Any) -> Any:
    """The value with NaN and infinity as null, which the gate refuses: JSON has neither."""
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
