"""SageMaker's container contract, with the programs as real processes.

What fails first, then train, evaluate, serve.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from usher_models.__main__ import BLAS_VARIABLES
from usher_models.ratings import Items, Ratings
from usher_models.serve import Server

Job = Callable[..., Path]
PROJECT = Path(__file__).parents[3]
SMALL_FM = {"algorithm": "fm", "num_factors": "3", "epochs": "6", "samples": "2"}


def run(program: str, root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "usher_models", program]
    environment = {**os.environ, "SAGEMAKER_BASE_DIR": str(root)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def failure(program: str, root: Path) -> str:
    """The failure file of a run that must fail: one line, no trace, no model."""
    done = run(program, root)
    assert done.returncode == 1, done.stdout + done.stderr
    text = (root / "output/failure").read_text()
    assert "\n" not in text
    assert len(text) <= 1024
    assert "Traceback" not in done.stderr
    assert not list((root / "model").glob("*"))
    return text


def test_without_a_program_the_usage_is_printed(tmp_path: Path) -> None:
    done = run("tain", tmp_path)
    assert done.returncode == 2
    assert "train|serve|prepare|evaluate" in done.stderr


def test_a_misspelled_hyperparameter_ends_in_the_failure_file(job: Job, world: Ratings) -> None:
    root = job({"algorithm": "fm", "num_factor": "3"}, train=world)
    assert failure("train", root) == "train: unknown hyperparameter 'num_factor'; did you mean 'num_factors'?"


def test_a_job_without_an_algorithm_names_the_known_ones(job: Job, world: Ratings) -> None:
    assert "one of fm, knn, ranker" in failure("train", job({}, train=world))


def test_an_empty_channel_is_named(job: Job) -> None:
    root = job(SMALL_FM)
    (root / "input/data/train").mkdir(parents=True)
    assert "channel train is empty" in failure("train", root)


def test_another_schema_is_named(job: Job, items: Items) -> None:
    assert "lacks user, rating, rated_at_us; it has item, item_id" in failure("train", job(SMALL_FM, train=items))


def test_row_numbers_as_ratings_are_refused(job: Job, world: Ratings, items: Items) -> None:
    value = world.value.copy()
    value[:] = range(len(value))
    numbers = Ratings(world.user, world.item, value, world.time_us)
    assert "a rating, not a row number" in failure("train", job(SMALL_FM, train=numbers, items=items))


def test_items_of_another_run_are_refused(job: Job, world: Ratings, nameless: Callable[[int], Items]) -> None:
    assert "they are not of one run" in failure("train", job(SMALL_FM, train=world, items=nameless(3)))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("resourceconfig", {"current_host": "a", "hosts": ["a", "b"]}, "set InstanceCount to 1"),
        ("inputdataconfig", {"train": {"TrainingInputMode": "Pipe"}}, "set TrainingInputMode to File"),
    ],
)
def test_what_this_image_cannot_do_is_said(
    job: Job, world: Ratings, name: str, content: Mapping[str, Any], message: str
) -> None:
    root = job(SMALL_FM, train=world)
    (root / f"input/config/{name}.json").write_text(json.dumps(content))
    assert message in failure("train", root)


def test_evaluate_without_inputs_names_what_is_missing(tmp_path: Path) -> None:
    assert "channel train is empty" in failure("evaluate", tmp_path)


def test_a_bundle_that_cannot_be_loaded_ends_the_server(tmp_path: Path) -> None:
    assert "is not an Usher bundle" in ended_server(tmp_path)


def test_a_bundle_that_no_check_foresaw_ends_the_server_too(bundle_folder: Path, tmp_path: Path) -> None:
    """It would answer 503 for ever otherwise, and SageMaker would wait until its time-out without a reason."""
    shutil.copytree(bundle_folder, tmp_path / "model")
    manifest = json.loads((tmp_path / "model/manifest.json").read_text())
    manifest["artifacts"]["fm"] = ["not", "an", "object"]
    (tmp_path / "model/manifest.json").write_text(json.dumps(manifest))
    assert "make the bundle again" in ended_server(tmp_path)


def ended_server(root: Path) -> str:
    """What a server that must exit with code 1 prints: one line."""
    environment = {**os.environ, "SAGEMAKER_BASE_DIR": str(root), "SAGEMAKER_BIND_TO_PORT": "0"}
    command = [sys.executable, "-m", "usher_models", "serve"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("serve: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.mark.parametrize(("program", "given", "threads"), [("serve", "", 1), ("serve", "3", 3), ("train", "", None)])
def test_serve_and_only_serve_uses_one_blas_thread_unless_told_otherwise(
    tmp_path: Path, program: str, given: str, threads: int | None
) -> None:
    """After the program's imports, and its failure in this empty folder, BLAS is asked for its number of threads."""
    code = f"""
import sys
from usher_models.__main__ import main
assert "numpy" not in sys.modules
main(["{program}"])
from threadpoolctl import threadpool_info
print([pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"])
"""
    environment = {name: value for name, value in os.environ.items() if name not in BLAS_VARIABLES}
    environment |= {"SAGEMAKER_BASE_DIR": str(tmp_path), "SAGEMAKER_BIND_TO_PORT": "0"}
    environment |= dict.fromkeys(BLAS_VARIABLES, given) if given else {}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    expected = os.cpu_count() if threads is None else min(threads, os.cpu_count() or 1)
    counts = json.loads(done.stdout)
    assert counts
    assert set(counts) == {expected}


def test_sigterm_ends_a_training_without_a_half_written_model(job: Job, world: Ratings, items: Items) -> None:
    root = job({**SMALL_FM, "epochs": "5000", "num_factors": "64"}, train=world, items=items)
    environment = {**os.environ, "SAGEMAKER_BASE_DIR": str(root)}
    with subprocess.Popen([sys.executable, "-m", "usher_models", "train"], env=environment) as process:
        try:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(4)
            process.terminate()
            assert process.wait(60) in {143, -signal.SIGTERM}
        finally:
            process.kill()
    assert not list((root / "model").glob("*"))


def test_metrics_are_printed_one_a_line(job: Job, world: Ratings, items: Items) -> None:
    early = world.time_us < sorted(world.time_us)[len(world) * 4 // 5]
    root = job(
        {**SMALL_FM, "_tuning_objective_metric": "validation:rmse"},
        train=world.take(early),
        validation=world.take(~early),
        items=items,
    )
    done = run("train", root)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"validation:rmse=\d\.\d{6}\nvalidation:mae=\d\.\d{6}\n", done.stdout)
    assert not (root / "output/failure").exists()


def ask(port: int, path: str, body: Any = None) -> tuple[int, Any]:
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def server(bundle_folder: Path, tmp_path: Path, free_port: int) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    (tmp_path / "model").symlink_to(bundle_folder)
    environment = {**os.environ, "SAGEMAKER_BASE_DIR": str(tmp_path), "SAGEMAKER_BIND_TO_PORT": str(free_port)}
    with subprocess.Popen([sys.executable, "-m", "usher_models", "serve"], env=environment) as process:
        try:
            wait_until_healthy(free_port, process)
            yield free_port, process
        finally:
            process.kill()


def wait_until_healthy(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if ask(port, "/ping")[0] == 200:
                return
        except urllib.error.URLError:
            time.sleep(0.05)
    raise AssertionError("the server did not get healthy")


def test_the_server_answers_and_ends_on_sigterm(server: tuple[int, subprocess.Popen[bytes]]) -> None:
    port, process = server
    for body in (b"{", {"op": "recommend", "k": 0}, {"op": "similar", "item_id": "?"}):
        status, answer = ask(port, "/invocations", body)
        assert status == 400
        assert set(answer["error"]) == {"code", "message"}
    assert ask(port, "/nowhere")[0] == 404
    assert ask(port, "/nowhere", {})[0] == 404
    status, answer = ask(port, "/invocations", {"op": "recommend", "user_id": "u0", "k": 3})
    assert (status, answer["level"], len(answer["items"])) == (200, "model", 3)
    assert ask(port, "/invocations", {"instances": [{"features": [0, 1]}]})[0] == 200
    process.terminate()
    assert process.wait(60) == 0


def test_sigterm_lets_a_running_request_finish_and_closes_idle_connections(
    server: tuple[int, subprocess.Popen[bytes]],
) -> None:
    port, process = server
    body = json.dumps({"op": "recommend", "user_id": "u0", "k": 3}).encode()
    idle = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    idle.request("POST", "/invocations", body)
    assert idle.getresponse().read()
    with socket.create_connection(("127.0.0.1", port), timeout=60) as running:
        head = f"POST /invocations HTTP/1.1\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
        running.sendall(head.encode())
        assert running.recv(100).startswith(b"HTTP/1.1 100 ")  # it runs now, and waits for its body
        process.terminate()
        assert idle.sock is not None
        assert idle.sock.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=60)
        assert process.poll() is None
        running.sendall(body)
        with http.client.HTTPResponse(running) as response:
            response.begin()
            assert (response.status, response.getheader("Connection")) == (200, "close")
            assert len(json.load(response)["items"]) == 3
    assert process.wait(60) == 0
    idle.close()


def test_draining_gives_up_when_its_time_is_over() -> None:
    with Server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        with socket.create_connection(server.server_address[:2], timeout=60) as running:
            running.sendall(b"POST /invocations HTTP/1.1\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n")
            assert running.recv(100).startswith(b"HTTP/1.1 100 ")
            server.shutdown()
            assert not server.drain(0.0)
        assert server.drain(60.0)
        thread.join()


def test_a_request_without_a_length_is_refused(server: tuple[int, subprocess.Popen[bytes]]) -> None:
    with socket.create_connection(("127.0.0.1", server[0]), timeout=60) as connection:
        connection.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 411 ")
    with socket.create_connection(("127.0.0.1", server[0]), timeout=60) as connection:
        connection.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")


def test_before_the_model_is_loaded_the_server_is_not_healthy(bundle_folder: Path) -> None:
    with Server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            port = server.server_address[1]
            assert ask(port, "/ping")[0] == 503
            assert ask(port, "/invocations", {"op": "popular"})[0] == 503
        finally:
            server.shutdown()
            thread.join()


def test_from_files_to_a_served_bundle(
    tmp_path: Path, world: Ratings, items: Items, raw_files: Callable[..., None]
) -> None:
    """prepare → train ×3 → evaluate as five processes; what was judged is what is in the archive."""
    root = tmp_path / "job"
    raw_files(root, world, items)
    done = run("prepare", root)
    assert done.returncode == 0, done.stderr
    prepared = root / "processing/output/prepared"
    (root / "processing/input/prepared").symlink_to(prepared)
    for name in ("fm", "knn", "ranker"):
        train_one(root, tmp_path / name, name, prepared)
    done = run("evaluate", root)
    assert done.returncode == 0, done.stderr
    output = root / "processing/output/run"
    facts = json.loads((output / "evaluation.json").read_text())
    assert facts["leaks"] == []
    assert facts["metrics"]["candidate"]["ndcg@10"] > facts["metrics"]["popularity"]["ndcg@10"]
    listed = subprocess.run(["tar", "-xzf", output / "model.tar.gz", "-C", tmp_path / "fm/model"], check=False)
    assert listed.returncode == 0
    for file in (output / "bundle").rglob("*.*"):
        if file.is_file():
            assert (tmp_path / "fm/model" / file.relative_to(output / "bundle")).read_bytes() == file.read_bytes()


def train_one(root: Path, folder: Path, name: str, prepared: Path) -> None:
    (folder / "input/config").mkdir(parents=True)
    (folder / "input/data").mkdir()
    for channel in ("train", "validation", "items"):
        (folder / "input/data" / channel).symlink_to(prepared / channel)
    small = {"fm": {"num_factors": "3", "epochs": "6"}, "knn": {}, "ranker": {"regularization": "20"}}[name]
    given = {"algorithm": name, "fit_rows": "train_and_validation", **small}
    (folder / "input/config/hyperparameters.json").write_text(json.dumps(given))
    done = run("train", folder)
    assert done.returncode == 0, done.stderr
    place = root / "processing/input/models" / name
    place.mkdir(parents=True)
    subprocess.run(["tar", "-czf", place / "model.tar.gz", "-C", folder / "model", "."], check=True)


def test_the_image_copies_what_the_programs_import_and_pins_what_it_installs() -> None:
    text = (PROJECT / "containers/recommender/Dockerfile").read_text()
    assert "--require-hashes" in text
    # SageMaker mounts /opt/ml as root, mode 0755: another user could write neither a model nor a failure file.
    assert not re.search(r"^USER ", text, re.MULTILINE)
    for source in re.findall(r"^COPY (\S+) ", text, re.MULTILINE):
        assert (PROJECT / source).exists(), source
