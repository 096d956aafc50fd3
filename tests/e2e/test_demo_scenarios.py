"""The whole loop with fixed seeds, four times: each ends as it may, and users do not notice a broken model."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from twin.iam.record import FOLDER as PERMISSIONS

ROOT = Path(__file__).parents[2]
#: Far more than a quiet machine takes (four minutes): nothing here is about speed.
WHOLE_SECONDS = 1800.0

pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True)
class Played:
    """One demo that ended. record: None when no experiment was opened."""

    output: str
    record: dict[str, Any] | None

    @property
    def meta(self) -> dict[str, Any]:
        assert self.record is not None, self.output
        found: dict[str, Any] = self.record["experiment"]
        return found

    @property
    def shares(self) -> list[float]:
        """The challenger's share in each version of the router that was seen, in their order."""
        assert self.record is not None, self.output
        versions: dict[str, float] = self.record["challenger_share_by_version"]
        return [versions[version] for version in sorted(versions, key=int)]


def play(scratch: Path, *arguments: str) -> Played:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "USHER_"))}
    clean[PERMISSIONS] = os.environ[PERMISSIONS]  # its twin is judged, too
    kept = scratch / "kept"
    ended = subprocess.run(
        [sys.executable, "-m", "cli.main", "demo", "--save", str(kept), *arguments],
        cwd=ROOT,
        env={**clean, "TMPDIR": str(scratch), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=WHOLE_SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    record = kept / "experiment.json"
    return Played(ended.stdout, json.loads(record.read_text()) if record.exists() else None)


def is_safe(played: Played) -> None:
    """What holds in every run: shares are shares, and one variant serves all traffic in the end."""
    assert played.record is not None
    assert all(0 <= share <= 0.5 or share == 1 for share in played.shares)
    weights = played.record["router"]["weights"]
    assert sum(weights.values()) == pytest.approx(1.0)
    assert sorted(weights.values()) == [0.0, 1.0]
    assert played.record["router"]["state"] == "idle"


def test_the_natural_scenario_ends_with_a_reason(tmp_path: Path) -> None:
    played = play(tmp_path, "--seed", "42")
    assert "rows sent = rows in the lake" in played.output
    assert re.search(r"\d objects: rows in = rows in the lake \+ rows in quarantine", played.output)
    assert re.findall(r"^(model|fold_in|popular): ", played.output, re.M) == ["model", "fold_in", "popular"]
    assert len(re.findall(r"^run \S+ starts$", played.output, re.M)) == 2
    if played.record is None:
        assert re.search(r"verdict: (worse|popularity|insufficient)", played.output)
        assert "the champion keeps serving" in played.output
        return
    outcome = played.meta["outcome"]
    assert outcome in ("promoted", "rolled_back", "retired", "futile", "inconclusive")
    assert played.meta["reason"]
    assert played.meta["reason"] in played.output
    is_safe(played)
    champion = played.record["router"]["models"][played.record["router"]["champion"]]
    assert champion == played.meta["models"]["challenger" if outcome == "promoted" else "champion"]
    assert (tmp_path / "kept" / "experiment.html").stat().st_size > 1000


def test_the_function_back_end_serves_tests_and_decides_without_an_endpoint(tmp_path: Path) -> None:
    """Data in, two runs, an experiment, its decision; with seed 42 the second model passes the gate."""
    played = play(tmp_path, "--backend", "function", "--seed", "42")
    assert re.findall(r"^(model|fold_in|popular): ", played.output, re.M) == ["model", "fold_in", "popular"]
    serving = re.findall(r"^(in the function, without an endpoint|endpoint \S+),? [\d.]+ s after", played.output, re.M)
    assert serving == ["in the function, without an endpoint"] * 2
    assert "endpoint for one hour" not in played.output
    assert len(re.findall(r"^run \S+ starts$", played.output, re.M)) == 2
    assert played.record is not None, played.output
    assert played.meta["outcome"] in ("promoted", "rolled_back", "retired", "futile", "inconclusive")
    assert played.meta["reason"] in played.output
    is_safe(played)
    assert played.shares[0] > 0 and played.shares[-1] in (0, 1)
    users = played.record["simulated_users"]
    assert all(sum(users["variants"][variant]) > 0 for variant in ("A", "B")), "both models served"
    assert users["recommend_server_errors"] == 0


def test_a_harmful_model_is_not_promoted_and_ends_without_traffic(tmp_path: Path) -> None:
    played = play(tmp_path, "--scenario", "bad-model", "--seed", "7")
    assert played.meta["outcome"] in ("retired", "rolled_back", "futile", "inconclusive")
    assert played.meta["reason"] in played.output
    is_safe(played)
    assert played.shares[-1] == 0
    assert played.record is not None
    variants = played.record["simulated_users"]["variants"]
    bad = variants.get(played.meta["challenger"], [0, 0])
    good = variants[played.meta["champion"]]
    assert bad[0] * sum(good) < good[0] * max(sum(bad), 1)  # its lists were clicked less often


def test_a_broken_model_is_rolled_back_by_a_guardrail_and_users_see_no_errors(tmp_path: Path) -> None:
    played = play(tmp_path, "--scenario", "broken", "--seed", "7")
    assert played.meta["outcome"] == "rolled_back"
    assert re.search(r"server errors|alarm", played.meta["reason"])
    is_safe(played)
    assert played.shares[-1] == 0
    assert played.record is not None
    assert played.record["simulated_users"]["recommend_server_errors"] == 0
