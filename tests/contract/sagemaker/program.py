"""A small program with the container's contract, for the contract tests: `program.py train|serve|prepare [arguments]`.

What it does is asked for by hyperparameters, by the model's data, or by arguments.
"""

# ruff: noqa: T201 - a container tells what it does by printing it
from __future__ import annotations

import http.server
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

BASE = Path(os.environ["SAGEMAKER_BASE_DIR"])


def train() -> int:
    config = BASE / "input/config"
    asked = json.loads((config / "hyperparameters.json").read_text())
    print("channels", json.dumps(json.loads((config / "inputdataconfig.json").read_text()), sort_keys=True))
    signal.signal(signal.SIGTERM, lambda *_: stop(asked))
    if "failure" in asked:
        (BASE / "output/failure").write_text(asked["failure"])
        return int(asked.get("code", "1"))
    if "write" in asked:
        (BASE / asked["write"]).write_text("changed")
    if "kill" in asked:
        os.kill(os.getpid(), int(asked["kill"]))
    x = float(asked.get("x", "0"))
    for epoch in range(int(asked.get("epochs", "1"))):
        print(f"epoch {epoch}: validation:score={1 - (x - 0.3) ** 2:.6f} loss=nan", flush=True)
        time.sleep(float(asked.get("pause", "0")))
    files = sorted(
        str(item.relative_to(BASE / "input/data")) for item in (BASE / "input/data").rglob("*") if item.is_file()
    )
    environment = {name: os.environ.get(name) for name in ("TRAINING_JOB_NAME", "COLOUR", "PYTEST_CURRENT_TEST")}
    content = {"hyperparameters": asked, "files": files, "environment": environment}
    (BASE / "model/model.json").write_text(json.dumps(content))
    if "output" in asked:
        (BASE / "output/data/extra.txt").write_text(asked["output"])
    return 0


def stop(asked: dict[str, str]) -> None:
    (BASE / "model/stopped.txt").write_text("in time")
    sys.exit(int(asked.get("code", "0")))


def prepare(arguments: list[str]) -> int:
    source, target, *more = arguments
    if more:
        (BASE / "output/message").write_text(more[0])
        time.sleep(float((*more, "0")[1]))
        return 3
    for file in Path(source).iterdir():
        (Path(target) / file.name).write_text(file.read_text().upper())
    print("prepared", os.environ["COLOUR"])
    return 0


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms for the acknowledgement of its headers
    model: dict[str, Any]

    def do_GET(self) -> None:
        self.answer(int(self.model.get("ping", 200)), b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        asked = json.loads(body or b"{}")
        if "exit" in asked:
            os._exit(1)
        if "ping" in asked:
            Handler.model["ping"] = asked["ping"]
        time.sleep(asked.get("pause", 0))
        size = asked.get("size", 0)
        seen = {name.lower(): value for name, value in self.headers.items()}
        response = {"model": self.model, "pid": os.getpid(), "headers": seen}
        self.answer(asked.get("status", 200), b"x" * size if size else json.dumps(response).encode())

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Amzn-SageMaker-Custom-Attributes", "seen")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        print(format % args, flush=True)


def serve() -> int:
    file = BASE / "model/model.json"
    Handler.model = json.loads(file.read_text()) | {"colour": os.environ.get("COLOUR")}
    if "write" in Handler.model:
        (BASE / Handler.model["write"]).write_text("changed")
    if "exit" in Handler.model:
        print("no such model", flush=True)
        return int(Handler.model["exit"])
    port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    print("serving", flush=True)
    server.serve_forever()
    return 0


if __name__ == "__main__":
    program, *rest = sys.argv[1:]
    sys.exit({"train": train, "serve": serve, "prepare": lambda: prepare(rest)}[program]())
