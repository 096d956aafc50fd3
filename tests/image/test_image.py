"""The image as SageMaker runs it: /opt/ml owned by root with mode 0755, inputs read-only, no network, SIGTERM."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.image.conftest import IMAGE, Machine, engine

TRAIN: dict[str, Any] = {"read_only": ("input",), "write": ("model", "output")}
HYPERPARAMETERS = {
    "fm": {"num_factors": "3", "epochs": "6", "samples": "2"},
    "knn": {"k": "8"},
    "ranker": {"regularization": "20"},
}
#: The workflow's entry point of processing jobs.
PROCESSING: dict[str, Any] = {"entrypoint": "python"}


def configuration(**hyperparameters: str) -> dict[str, Any]:
    return {"hyperparameters.json": hyperparameters, "resourceconfig.json": {"hosts": ["algo-1"]}}


def ask(name: str, path: str, body: Any = None) -> tuple[int, Any]:
    """A request from inside: the container has no network."""
    code = """
import json, sys, urllib.error, urllib.request
body = sys.argv[2].encode() if sys.argv[2] != "null" else None
try:
    with urllib.request.urlopen(urllib.request.Request("http://127.0.0.1:8080" + sys.argv[1], body), timeout=60) as r:
        print(json.dumps([r.status, json.load(r)]))
except urllib.error.HTTPError as error:
    print(json.dumps([error.code, json.load(error)]))
except urllib.error.URLError:
    print(json.dumps([0, None]))
"""
    done = engine("exec", name, "python", "-c", code, path, json.dumps(body), check=False)
    assert done.returncode == 0, done.stderr + engine("logs", name).stderr
    status, answer = json.loads(done.stdout)
    return int(status), answer


def until_healthy(name: str) -> None:
    end = time.monotonic() + 120
    while ask(name, "/ping")[0] != 200:
        assert time.monotonic() < end, engine("logs", name).stderr


def test_it_runs_as_the_user_that_sagemaker_mounts_for_and_serves_by_default() -> None:
    (found,) = json.loads(engine("image", "inspect", IMAGE).stdout)
    assert found["Config"].get("User", "") in {"", "root", "0"}
    assert found["Config"]["Cmd"] == ["serve"]
    assert not found["Config"].get("Entrypoint")  # so that `docker run IMAGE train` runs train
    assert (found["Os"], found["Architecture"]) == ("linux", "amd64")


def test_a_failed_training_leaves_its_reason_in_a_folder_of_roots(machine: Machine) -> None:
    machine.fill("input/config", configuration(algorithm="fm", num_factor="3"))
    done = machine.run("train", **TRAIN)
    expected = "train: unknown hyperparameter 'num_factor'; did you mean 'num_factors'?"
    assert done.returncode == 1
    assert (machine.folder / "output/failure").read_text() == expected
    assert not list((machine.folder / "model").iterdir())


def test_a_processing_job_without_inputs_leaves_its_message(machine: Machine) -> None:
    done = machine.run("-m", "usher_models", "evaluate", write=("output", "processing/output/run"), **PROCESSING)
    assert done.returncode == 1
    assert "channel train is empty" in (machine.folder / "output/message").read_text()


def test_a_model_that_cannot_be_read_ends_serve_with_one_line(machine: Machine) -> None:
    done = machine.run("serve", read_only=("model",))
    assert done.returncode == 1
    assert done.stderr.startswith("serve: /opt/ml/model is not an Usher bundle")
    assert done.stderr.count("\n") == 1


def test_from_files_to_a_served_model(
    machine: Machine, tmp_path: Path, world: Any, items: Any, raw_files: Callable[..., None]
) -> None:
    """prepare, train (three algorithms), evaluate and serve, each in a container of its own."""
    raw = tmp_path / "raw"
    raw_files(raw, world, items)
    machine.fill("processing/input", raw / "processing/input")
    done = machine.run(
        *("-m", "usher_models", "prepare"),
        read_only=("processing/input",),
        write=("processing/output/prepared", "output"),
        **PROCESSING,
    )
    assert done.returncode == 0, done.stderr
    prepared = machine.folder / "processing/output/prepared"
    evaluation = Machine(tmp_path / "evaluate")
    evaluation.fill("processing/input/prepared", prepared)
    for algorithm in HYPERPARAMETERS:
        archive = evaluation.folder / "processing/input/models" / algorithm / "model.tar.gz"
        archive.parent.mkdir(parents=True)
        train(tmp_path / algorithm, algorithm, prepared, archive)
    done = evaluation.run(
        *("-m", "usher_models", "evaluate"),
        read_only=("processing/input",),
        write=("processing/output/run", "output"),
        **PROCESSING,
    )
    evaluation.close()
    assert done.returncode == 0, done.stderr
    output = evaluation.folder / "processing/output/run"
    assert json.loads((output / "evaluation.json").read_text())["leaks"] == []
    serve(tmp_path / "serve", output / "model.tar.gz")


def train(folder: Path, algorithm: str, prepared: Path, archive: Path) -> None:
    """A training job; fm takes its kernels from the image and compiles none."""
    machine = Machine(folder)
    given = {"algorithm": algorithm, "fit_rows": "train_and_validation", **HYPERPARAMETERS[algorithm]}
    machine.fill("input/config", configuration(**given))
    for channel in ("train", "validation", "items"):
        machine.fill(f"input/data/{channel}", prepared / channel)
    done = machine.run("train", environment={"NUMBA_DEBUG_CACHE": "1"}, **TRAIN)
    machine.close()
    assert done.returncode == 0, done.stderr
    assert (machine.folder / "model/artifact.json").is_file()
    if algorithm == "fm":
        assert "[cache] data loaded from '/opt/usher/numba/" in done.stdout
    assert "[cache] data saved" not in done.stdout
    subprocess.run(["tar", "-czf", archive, "-C", machine.folder / "model", "."], check=True)


def serve(folder: Path, archive: Path) -> None:
    """An endpoint's container: healthy, answers, and ends with 0 after SIGTERM."""
    machine = Machine(folder)
    machine.fill("model")
    subprocess.run(["tar", "-xzf", archive, "-C", folder / "model"], check=True)
    name = machine.start("serve", read_only=("model",))
    try:
        until_healthy(name)
        status, answer = ask(name, "/invocations", {"op": "recommend", "user_id": "u0", "k": 3})
        assert (status, answer["level"], len(answer["items"])) == (200, "model", 3)
        assert ask(name, "/invocations", {"op": "recommend", "k": 0})[0] == 400
        threads = engine("exec", name, "sh", "-c", "ls /proc/1/task | wc -l").stdout
        assert int(threads) <= 3  # the listener, and requests just answered: no threads of BLAS
        engine("kill", "--signal=TERM", name)
        assert engine("wait", name).stdout.strip() == "0"
    finally:
        machine.close()


def test_sigterm_ends_a_training_without_a_half_written_model(machine: Machine, world: Any, items: Any) -> None:
    from tests.unit.small_world import write_channel  # noqa: PLC0415 - beside its use

    machine.fill("input/config", configuration(algorithm="fm", epochs="100000", num_factors="64"))
    write_channel(machine.folder / "input/data/train", world)
    write_channel(machine.folder / "input/data/items", items)
    name = machine.start("train", **TRAIN)
    until_it_handles_sigterm(name)
    engine("kill", "--signal=TERM", name)
    assert engine("wait", name).stdout.strip() == "143"
    machine.take_back()
    assert not list((machine.folder / "model").iterdir())


def until_it_handles_sigterm(name: str) -> None:
    """The kernel drops a signal for which a container's first process has no handler."""
    end = time.monotonic() + 120
    while True:
        status = engine("exec", name, "grep", "SigCgt", "/proc/1/status").stdout
        if int(status.split()[1], 16) >> (signal.SIGTERM - 1) & 1:
            return
        assert time.monotonic() < end, status


@pytest.mark.parametrize("place", ["/opt/ml/input/data/new", "/opt/ml/input/config/hyperparameters.json"])
def test_inputs_are_read_only(machine: Machine, place: str) -> None:
    """What the other tests rest on."""
    machine.fill("input/config", configuration(algorithm="knn"))
    machine.fill("input/data")
    done = machine.run("-c", f"open({place!r}, 'w')", entrypoint="python", **TRAIN)
    assert done.returncode == 1
    assert "Read-only file system" in done.stderr
