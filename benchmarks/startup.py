"""CPU seconds of the start of each program, side by side, above those of bare Python.

    python -m benchmarks.startup [--repeat 5]

Lambda bills the start of an environment, and every user waits for that of a command. AWS does not answer here: what is
measured is imports and the construction of clients.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

_RECOMMEND = """
import time
from usher.serving.metrics import Telemetry
from usher.serving.bootstrap import make_service
from usher.schema.settings import Settings
from aws_lambda_powertools import Logger
settings = Settings(state_table="t", endpoint_name="e", signing_secret_arn="s")
service = make_service(settings, Telemetry("s", Logger(service="s")), time.time, lambda: None)
service.router.get(); service.key.get()
"""
_FEEDBACK = """
import time
from usher.feedback.metrics import Telemetry
from usher.feedback.bootstrap import make_service
from usher.schema.settings import Settings
from aws_lambda_powertools import Logger
service = make_service(Settings(state_table="t", stream_prefix="p"), Telemetry("s", Logger(service="s")), time.time)
service.streams._firehose()
"""
PROGRAMS = {
    "boto3": "import boto3",
    "recommend_items: modules": "import aws_lambda_powertools, usher.api.responses, usher.serving.bootstrap",
    "recommend_items: with clients": _RECOMMEND,
    "ingest_feedback: modules": "import aws_lambda_powertools, usher.feedback.service, usher.feedback.bootstrap",
    "ingest_feedback: with clients": _FEEDBACK,
    "scorer": "import usher_scorer.invocations",
    "usher --help": "import cli.main",
}
_ENVIRONMENT = {
    **{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "eu-west-1"},
    **{"AWS_DEFAULT_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "PATH": "/usr/bin:/bin"},
}
_CPU = "import sys, time; print(time.process_time(), file=sys.stderr)"


def cpu_seconds(code: str, repeat: int) -> float:
    """CPU seconds of a fresh interpreter that runs `code`, the best of `repeat`."""
    found = []
    for _ in range(repeat):
        command = [sys.executable, "-c", f"{code}\n{_CPU}"]
        result = subprocess.run(command, env=_ENVIRONMENT, capture_output=True, text=True, check=True)
        found.append(float(result.stderr.splitlines()[-1]))
    return min(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5)
    repeat = parser.parse_args().repeat
    bare = cpu_seconds("", repeat)
    print(f"{'bare Python':32} {bare:7.3f} s CPU")
    for name, code in PROGRAMS.items():
        print(f"{name:32} {cpu_seconds(code, repeat) - bare:7.3f} s CPU above it")


if __name__ == "__main__":
    main()
