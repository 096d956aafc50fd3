"""The program `evaluate`: assembles the bundle, judges it beside champion and popularity, and writes what may ship."""

from __future__ import annotations

import json
import math
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import usher_scorer.bundle as bundles
from usher_models.evaluation import leak
from usher_models.evaluation.assemble import Prepared, assemble, load_champion, read_parts, read_prepared
from usher_models.evaluation.judge import judge, judge_scores
from usher_models.evaluation.page import page
from usher_models.evaluation.report import SCHEMA, Contest, examples, facts
from usher_models.evaluation.window import split_window
from usher_models.part import Part, pack
from usher_models.paths import Paths
from usher_models.prepare.plan import microseconds


def evaluate(paths: Paths) -> dict[str, Any]:
    """Write run/{evaluation.json, report.html, bundle/, model.tar.gz}: what was judged is what ships, byte for byte.

    Reads processing/input/{prepared, models, champion}; the gate's verdict is not taken here.
    """
    output = paths.processing_output("run")
    with tempfile.TemporaryDirectory(prefix="evaluate-") as scratch:
        prepared = read_prepared(paths.processing_input("prepared"))
        parts = read_parts(paths.processing_input("models"), Path(scratch) / "models")
        champion = load_champion(paths.processing_input("champion"))
        shutil.rmtree(output / "bundle", ignore_errors=True)
        candidate = assemble(prepared, parts, output / "bundle")
        result = judge_all(prepared, parts, candidate, champion)
    pack(output / "bundle", output / "model.tar.gz")
    text = json.dumps(result, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
    (output / "report.html").write_text(page(result), encoding="utf-8")
    (output / "evaluation.json").write_text(text + "\n", encoding="utf-8")
    return result


def judge_all(
    prepared: Prepared, parts: list[Part], candidate: bundles.Bundle, champion: bundles.Bundle | None
) -> dict[str, Any]:
    """evaluation.json: the facts, what the leak guard found, and a metric that is no number as null."""
    started = time.perf_counter()
    window = split_window(prepared.before, prepared.inside)
    ids = prepared.items.catalogue.ids
    judged = {"candidate": judge(candidate, window, ids), "popularity": judge_scores(candidate.popularity.all, window)}
    if champion is not None:
        judged["champion"] = judge(champion, window, ids)
    contest = Contest(prepared, window, judged)
    found = facts(contest)
    return {
        "schema": SCHEMA,
        "run_id": candidate.manifest.run_id,
        "model_id": candidate.manifest.model_id,
        "champion_model_id": champion.manifest.model_id if champion else None,
        "trained_until": candidate.manifest.trained_until,
        "prepared": dict(prepared.summary),
        "parts": {
            part.name: {"hyperparameters": dict(part.hyperparameters), "metrics": _finite(dict(part.metrics))}
            for part in parts
            if not part.fitted.left_out
        },
        "left_out": {
            **{str(name): str(why) for name, why in dict(prepared.summary.get("left_out", {})).items()},
            **{part.name: part.fitted.left_out for part in parts if part.fitted.left_out},
        },
        **_finite(found),
        "leaks": _leaks(prepared, parts, champion, found),
        "examples": examples(contest, candidate),
        "seconds": round(time.perf_counter() - started, 3),
    }


def _leaks(prepared: Prepared, parts: list[Part], champion: bundles.Bundle | None, found: dict[str, Any]) -> list[str]:
    fitted = max(part.fitted_until_us for part in parts)
    champion_until = microseconds(champion.manifest.trained_until) if champion else 0
    start = int(prepared.summary["split_at_us"])
    findings = leak.window_findings(fitted, champion_until, start, prepared.before, prepared.inside)
    findings += leak.label_findings(prepared.before.join(prepared.inside))
    metrics = found["metrics"]
    if "rmse" in metrics["candidate"]:
        findings += leak.too_good(metrics["candidate"]["rmse"], metrics["bias_only"]["rmse"])
    return findings


def _finite(value: Any) -> Any:
    """NaN and infinity become null, which the gate refuses: JSON has neither."""
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
