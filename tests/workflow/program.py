"""A small program with the recommender's contract, for the workflow tests: what a job does stands in a script file.

The script maps a job's kind (prepare, fm, knn, ranker, evaluate, serve) to {"fail": words, "times": how often,
"sleep": seconds, …}; a job that may fail `times` times counts its tries in a file beside the script.
"""

# ruff: noqa: T201 - a container tells what it does by printing it
from __future__ import annotations

import http.server
import io
import json
import os
import struct
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

BASE = Path(os.environ["SAGEMAKER_BASE_DIR"])
SCRIPT = Path(os.environ["WORKFLOW_SCRIPT"])


def main() -> int:
    program = sys.argv[1]
    hyperparameters = BASE / "input/config/hyperparameters.json"
    asked = json.loads(hyperparameters.read_text()) if hyperparameters.exists() else {}
    kind = asked.get("algorithm", program)
    if "_tuning_objective_metric" in asked:
        kind += "-hpo"
    wanted = json.loads(SCRIPT.read_text()).get(kind, {})
    (SCRIPT.parent / f"{kind}@{os.getpid()}.ran").write_text(json.dumps(asked))
    time.sleep(wanted.get("sleep", 0))
    if fails(kind, wanted):
        (BASE / "output").mkdir(exist_ok=True)
        (BASE / "output/failure").write_text(wanted["fail"])
        (BASE / "output/message").write_text(wanted["fail"])
        return 1
    return {"prepare": prepare, "evaluate": evaluate, "serve": serve}.get(program, train)(wanted, asked)


def fails(kind: str, wanted: dict[str, Any]) -> bool:
    if "fail" not in wanted:
        return False
    tries = len(list(SCRIPT.parent.glob(f"{kind}@*.ran")))
    return tries <= wanted.get("times", 10**6)


def prepare(wanted: dict[str, Any], asked: dict[str, str]) -> int:
    plan = json.loads((BASE / "processing/input/plan/plan.json").read_text())
    for name in ("train", "validation", "test", "items", "users"):
        folder = BASE / "processing/output/prepared" / name
        folder.mkdir(parents=True)
        (folder / "part-0.parquet").write_text(json.dumps(plan))
    return 0


def train(wanted: dict[str, Any], asked: dict[str, str]) -> int:
    for channel in ("train", "validation", "items"):
        assert list((BASE / "input/data" / channel).iterdir())
    print(f"validation:rmse={0.8 + float(asked.get('init_sigma', '0')) / 100:.6f}", flush=True)
    print("validation:ndcg@10=0.200000", flush=True)
    (BASE / "model/artifact.json").write_text(json.dumps(asked))
    return 0


def evaluate(wanted: dict[str, Any], asked: dict[str, str]) -> int:
    given, output = BASE / "processing/input", BASE / "processing/output/run"
    plan = json.loads((given / "plan/plan.json").read_text())
    models = sorted(path.parent.name for path in (given / "models").rglob("model.tar.gz"))
    champion = (given / "champion").is_dir()
    metrics = {"candidate": {"ndcg@10": 0.2}, "popularity": {"ndcg@10": 0.1}}
    facts: dict[str, Any] = {
        "run_id": plan["run_id"],
        "trained_until": "2020-01-01T00:00:00+00:00",
        "window": {"users": 100},
        "metrics": metrics,
        "intervals": {},
        "leaks": [],
        "models": models,
    }
    if champion:
        metrics["champion"] = {"ndcg@10": 0.19}
        facts["intervals"] = {"candidate-champion": {"ndcg@10": {"mean": 0.01, "low": -0.01, "high": 0.03}}}
    facts |= wanted.get("facts", {})
    bundle = output / "bundle"
    (bundle / "popularity").mkdir(parents=True)
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }"
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + struct.pack("<2f", 0.5, 0.9)
    (bundle / "popularity/all.npy").write_bytes(array)
    (bundle / "items.txt").write_text("1\n2\n")
    (bundle / "items.jsonl").write_text('{"title": "Heat", "genres": ["Crime"]}\n{"title": "Fargo", "genres": []}\n')
    (bundle / "manifest.json").write_text("{}")
    (output / "model.tar.gz").write_bytes(model())
    (output / "evaluation.json").write_text(wanted.get("text") or json.dumps(facts))
    return 0


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def serve(wanted: dict[str, Any], asked: dict[str, str]) -> int:
    http.server.HTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
    return 0


def model() -> bytes:
    """A tar.gz that holds an empty manifest."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("manifest.json"))
    return written.getvalue()


if __name__ == "__main__":
    sys.exit(main())
