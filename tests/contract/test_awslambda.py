"""Lambda on the twin: real processes with AWS's runtime client answer as AWS answers. Failure paths first."""

from __future__ import annotations

import base64
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

Client = Callable[[str], Any]
Make = Callable[..., str]
Wait = Callable[..., Any]

ECHO = "def handler(event, context):\n    return event\n"


WAITING = """
    import os, time
    def handler(event, context):
        until = time.monotonic() + 60
        while not os.path.exists(os.environ["GATE"]):
            assert time.monotonic() < until, "the gate stayed closed"
            time.sleep(0.02)
        print("attempt", sorted(event))
"""


def _gated(function: Make, gate: Path) -> str:
    """A function that only ends once its caller, who must not wait for it, has made the file `gate`."""
    return function(WAITING, Timeout=30, Environment={"Variables": {"GATE": str(gate)}})


def _call(client: Client, arn: str, event: Any = None, **more: Any) -> tuple[Any, str | None]:
    answer = client("lambda").invoke(FunctionName=arn, Payload=json.dumps(event or {}), **more)
    return json.loads(answer["Payload"].read() or b"null"), answer.get("FunctionError")


def _once(server: Any) -> Any:
    """A client that does not try again."""
    return boto3.client(
        "lambda",
        endpoint_url=server.endpoint,
        region_name=server.region,
        config=Config(retries={"total_max_attempts": 1}),
    )


def _messages(client: Client, group: str) -> list[str]:
    events = client("logs").filter_log_events(logGroupName=group)["events"]
    return [event["message"] for event in events]


def _sum(client: Client, namespace: str, metric: str, **dimensions: str) -> float:
    found = client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=time.time() - 3600,
        EndTime=time.time() + 3600,
        Period=7200,
        Statistics=["Sum"],
    )
    return float(sum(point["Sum"] for point in found["Datapoints"]))


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


# ── what goes wrong ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_function_that_takes_too_long_is_killed_and_says_so(client: Client, function: Make, eventually: Wait) -> None:
    arn = function(
        """
        import os, time
        def handler(event, context):
            if event.get("pid"):
                return os.getpid()
            print("sleeping in", os.getpid())
            time.sleep(60)
            print("slept to the end")
        """,
        Timeout=1,
    )
    pid, _ = _call(client, arn, {"pid": True})
    answer, error = _call(client, arn)
    assert error == "Unhandled"
    assert answer["errorType"] == "Sandbox.Timedout"
    assert answer["errorMessage"].endswith("Error: Task timed out after 1.00 seconds")
    eventually(lambda: _gone(pid))
    log = _messages(client, "/aws/lambda/function-1")
    assert any("Task timed out after 1.00 seconds" in line for line in log)
    assert any(f"sleeping in {pid}" in line for line in log)
    assert not any("slept to the end" in line for line in log)
    assert any(line.startswith("REPORT") and "Status: timeout" in line for line in log)
    assert _call(client, arn, {"pid": True})[1] is None, "the next call gets a new environment"


def test_an_exception_comes_back_with_type_message_and_trace(client: Client, function: Make) -> None:
    arn = function("def handler(event, context):\n    raise KeyError('nothing here')\n")
    answer, error = _call(client, arn)
    assert error == "Unhandled"
    assert answer["errorType"] == "KeyError"
    assert "nothing here" in answer["errorMessage"]
    assert any("raise KeyError" in line for line in answer["stackTrace"])
    assert any(line.startswith("[ERROR] KeyError") for line in _messages(client, "/aws/lambda/function-1"))
    assert _sum(client, "AWS/Lambda", "Errors", FunctionName="function-1") == 1


@pytest.mark.parametrize(
    ("statement", "ending"),
    [
        ("os._exit(3)", "Runtime exited with error: exit status 3"),
        ("os._exit(0)", "Runtime exited without providing a reason"),
        ("os.kill(os.getpid(), 9)", "Runtime exited with error: signal: killed"),
    ],
)
def test_a_runtime_that_dies_is_an_exit_error_and_is_replaced(
    client: Client, function: Make, statement: str, ending: str
) -> None:
    arn = function(f"import os\ndef handler(event, context):\n    if event:\n        return 'well'\n    {statement}\n")
    answer, error = _call(client, arn)
    assert (error, answer["errorType"]) == ("Unhandled", "Runtime.ExitError")
    assert answer["errorMessage"].endswith(ending)
    assert _call(client, arn, {"again": True}) == ("well", None)


def test_a_handler_that_cannot_be_imported_says_why(client: Client, function: Make) -> None:
    arn = function("import no_such_package\n")
    answer, error = _call(client, arn)
    assert (error, answer["errorType"]) == ("Unhandled", "Runtime.ImportModuleError")
    assert answer["errorMessage"] == "Unable to import module 'app': No module named 'no_such_package'"


def test_a_process_that_ends_while_it_is_imported_is_an_exit_error(client: Client, function: Make) -> None:
    arn = function("import os\nprint('so far')\nos._exit(7)\n")
    answer, error = _call(client, arn)
    assert (error, answer["errorType"]) == ("Unhandled", "Runtime.ExitError")
    assert "so far" in _messages(client, "/aws/lambda/function-1")


def test_a_process_that_dies_between_calls_is_not_used_again(client: Client, function: Make, eventually: Wait) -> None:
    arn = function("import os\ndef handler(event, context):\n    return os.getpid()\n")
    first, _ = _call(client, arn)
    os.kill(first, 9)
    eventually(lambda: _gone(first))
    second, error = _call(client, arn)
    assert error is None
    assert second != first


def test_an_answer_over_the_limit_is_refused(client: Client, function: Make) -> None:
    arn = function("def handler(event, context):\n    return 'x' * event['size']\n", MemorySize=512)
    answer, error = _call(client, arn, {"size": 6_400_000})
    assert (error, answer["errorType"]) == ("Unhandled", "Function.ResponseSizeTooLarge")
    assert "exceeded maximum allowed payload size (6291556 bytes)" in answer["errorMessage"]
    assert len(_call(client, arn, {"size": 6_290_000})[0]) == 6_290_000


def test_a_request_over_the_limit_is_refused(client: Client, function: Make) -> None:
    arn = function(ECHO)
    with pytest.raises(ClientError, match="Request must be smaller than 6291456 bytes") as refused:
        client("lambda").invoke(FunctionName=arn, Payload=json.dumps("x" * 6_300_000))
    assert refused.value.response["Error"]["Code"] == "RequestTooLargeException"


def test_an_asynchronous_invocation_is_refused(client: Client, function: Make) -> None:
    with pytest.raises(ClientError, match="the twin invokes functions synchronously only, not with type Event"):
        client("lambda").invoke(FunctionName=function(ECHO), InvocationType="Event")


def test_a_request_that_is_not_json_is_refused(client: Client, function: Make) -> None:
    with pytest.raises(ClientError, match="Could not parse request body into json"):
        client("lambda").invoke(FunctionName=function(ECHO), Payload=b"{")


def test_an_unknown_function_is_not_found(client: Client, function: Make) -> None:
    with pytest.raises(ClientError, match="Function not found"):
        client("lambda").invoke(FunctionName="unknown")


def test_a_runtime_that_is_not_python_is_refused(client: Client, function: Make) -> None:
    with pytest.raises(ClientError, match=r"the twin runs Python functions only, not nodejs22\.x"):
        function(ECHO, Runtime="nodejs22.x")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (
            {"DeadLetterConfig": {"TargetArn": "arn:aws:sqs:eu-west-1:123456789012:q"}},
            "does not support DeadLetterConfig",
        ),
        ({"LoggingConfig": {"LogFormat": "JSON"}}, "writes logs in the format Text only"),
    ],
)
def test_settings_that_the_twin_ignores_are_refused(
    client: Client, function: Make, settings: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ClientError, match=reason):
        function(ECHO, **settings)


def test_calls_beyond_the_reserved_concurrency_are_throttled(client: Client, function: Make) -> None:
    arn = function(ECHO)
    client("lambda").put_function_concurrency(FunctionName=arn, ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError) as refused:
        _call(client, arn)
    assert refused.value.response["Error"]["Code"] == "TooManyRequestsException"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert _sum(client, "AWS/Lambda", "Throttles", FunctionName="function-1") >= 1
    assert _sum(client, "AWS/Lambda", "Invocations", FunctionName="function-1") == 0
    client("lambda").delete_function_concurrency(FunctionName=arn)
    assert _call(client, arn, {"a": 1}) == ({"a": 1}, None)


def test_calls_beyond_what_the_machine_takes_are_throttled(
    client: Client, function: Make, server: Any, tmp_path: Path
) -> None:
    from twin.awslambda.pool import Pool  # noqa: PLC0415 - a second of imports

    arn = _gated(function, tmp_path / "gate")
    small = Pool(server, concurrency=1).start()
    answers: list[Any] = []
    busy = threading.Thread(target=lambda: answers.append(_call(client, arn)))
    try:
        busy.start()
        while not small.processes():
            time.sleep(0.01)
        with pytest.raises(ClientError, match="Rate Exceeded"):
            _once(server).invoke(FunctionName=arn)
        (tmp_path / "gate").touch()
        busy.join()
        (first,) = small.processes()
        other = function("def handler(event, context):\n    return 1\n")
        assert _call(client, other) == (1, None), "an idle process makes room"
        assert _gone(first)
    finally:
        (tmp_path / "gate").touch()
        busy.join()
        small.stop()
    assert answers == [(None, None)]


def test_memory_beyond_the_configured_is_reported(client: Client, function: Make) -> None:
    arn = function("def handler(event, context):\n    return len(bytearray(200_000_000))\n", MemorySize=128)
    _call(client, arn)
    log = _messages(client, "/aws/lambda/function-1")
    assert any("Lambda would have ended this at 128 MB" in line for line in log)


# ── what a function sees ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_function_sees_nothing_of_the_developers_packages(client: Client, function: Make) -> None:
    arn = function(
        """
        import importlib, os, sys
        def handler(event, context):
            found = {}
            for name in event:
                try:
                    found[name] = importlib.import_module(name).__name__
                except ImportError:
                    found[name] = None
            return found | {"environment": sorted(os.environ), "path": sys.path}
        """
    )
    os.environ["USHER_SECRET_OF_THE_HOST"] = "x"
    try:
        answer, error = _call(client, arn, ["pytest", "moto", "duckdb", "twin", "usher", "boto3", "awslambdaric"])
    finally:
        del os.environ["USHER_SECRET_OF_THE_HOST"]
    assert error is None
    assert [name for name in ("pytest", "moto", "duckdb", "twin", "usher") if answer[name]] == []
    assert (answer["boto3"], answer["awslambdaric"]) == ("boto3", "awslambdaric")
    assert "USHER_SECRET_OF_THE_HOST" not in answer["environment"]
    assert not any(".venv" in folder for folder in answer["path"])


def test_the_context_and_the_environment_are_lambdas(client: Client, function: Make, server: Any) -> None:
    arn = function(
        """
        import os, tempfile
        def handler(event, context):
            with open(os.path.join(tempfile.gettempdir(), "mine"), "w") as file:
                file.write("x")
            return {
                "arn": context.invoked_function_arn, "id": context.aws_request_id, "name": context.function_name,
                "memory": context.memory_limit_in_mb,
                "group": context.log_group_name, "stream": context.log_stream_name,
                "left": context.get_remaining_time_in_millis(), "version": context.function_version,
                "variables": {name: os.environ.get(name) for name in event}, "temporary": tempfile.gettempdir(),
                "trace": os.environ["_X_AMZN_TRACE_ID"],
            }
        """,
        Timeout=30,
        Environment={"Variables": {"COLOUR": "blue"}},
    )
    wanted = ["COLOUR", "AWS_REGION", "AWS_LAMBDA_FUNCTION_NAME", "AWS_EXECUTION_ENV", "_HANDLER", "AWS_ENDPOINT_URL"]
    answer, _ = _call(client, arn, wanted)
    assert answer["arn"] == arn
    assert (answer["name"], answer["memory"], answer["version"]) == ("function-1", "256", "$LATEST")
    assert 25_000 < answer["left"] <= 30_000
    assert answer["group"] == "/aws/lambda/function-1"
    assert "[$LATEST]" in answer["stream"]
    assert answer["trace"].startswith("Root=1-")
    assert answer["variables"]["COLOUR"] == "blue"
    assert answer["variables"]["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.13"
    assert answer["variables"]["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
    assert Path(answer["temporary"]).is_relative_to(server.folder)
    streams = client("logs").describe_log_streams(logGroupName=answer["group"])["logStreams"]
    assert [stream["logStreamName"] for stream in streams] == [answer["stream"]]


def test_a_later_layer_lies_over_an_earlier_one(
    client: Client, function: Make, archive: Callable[..., bytes], project: Any
) -> None:
    def layer(name: str, files: dict[str, str]) -> str:
        content = {"ZipFile": archive(files)}
        return str(client("lambda").publish_layer_version(LayerName=name, Content=content)["LayerVersionArn"])

    pins = (project / "layers" / "core" / "requirements.txt").read_text()
    lower = layer("lower", {"python/both.py": "x = 'lower'", "python/low.py": "x = 1", "requirements.txt": pins})
    foreign = "python/lib/python3.1/site-packages/wheel.py"
    upper = layer("upper", {"python/both.py": "x = 'upper'", foreign: "x = 1", "requirements.txt": ""})
    arn = function(
        """
        import both, low, aws_lambda_powertools, importlib.util
        def handler(event, context):
            return [both.x, low.x, aws_lambda_powertools.__name__, importlib.util.find_spec("wheel") is None]
        """,
        Layers=[lower, upper],
    )
    assert _call(client, arn) == (["upper", 1, "aws_lambda_powertools", True], None)


def test_a_deleted_layer_keeps_serving_the_functions_that_have_it(
    client: Client, function: Make, archive: Callable[..., bytes]
) -> None:
    content = {"ZipFile": archive({"python/mine.py": "x = 1"})}
    layer = client("lambda").publish_layer_version(LayerName="mine", Content=content)
    arn = function("import mine\ndef handler(event, context):\n    return mine.x\n", Layers=[layer["LayerVersionArn"]])
    client("lambda").delete_layer_version(LayerName="mine", VersionNumber=layer["Version"])
    assert _call(client, arn) == (1, None)


def test_a_broken_archive_says_so(client: Client, function: Make) -> None:
    answer, error = _call(client, function(ECHO, Code={"ZipFile": b"no archive"}))
    assert error == "Unhandled"
    assert "Could not unzip uploaded file" in answer["errorMessage"]


def test_a_layer_built_for_another_python_without_its_list_says_what_to_do(
    client: Client, function: Make, archive: Callable[..., bytes]
) -> None:
    content = {"ZipFile": archive({"python/lib/python3.1/site-packages/wheel.py": ""})}
    layer = client("lambda").publish_layer_version(LayerName="built", Content=content)["LayerVersionArn"]
    answer, error = _call(client, function(ECHO, Layers=[layer]))
    assert error == "Unhandled"
    assert "layer built:1 holds packages for Python 3.1" in answer["errorMessage"]
    assert "put its requirements.txt, with hashes, at its root" in answer["errorMessage"]


# ── environments ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_function_answers_as_aws_does(client: Client, function: Make) -> None:
    arn = function("import os\ndef handler(event, context):\n    print('hello')\n    return [event, os.getpid()]\n")
    first = client("lambda").invoke(FunctionName=arn, Payload=b'{"a": 1}', LogType="Tail")
    tail = base64.b64decode(first["LogResult"]).decode().splitlines()
    assert tail[0].startswith("START RequestId: ")
    assert tail[1] == "hello"
    assert tail[2].startswith("END RequestId: ")
    for word in (
        "REPORT",
        "Duration:",
        "Billed Duration:",
        "Memory Size: 256 MB",
        "Max Memory Used:",
        "Init Duration:",
    ):
        assert word in tail[3]
    second = client("lambda").invoke(FunctionName=arn, Payload=b'{"a": 1}', LogType="Tail")
    assert "Init Duration" not in base64.b64decode(second["LogResult"]).decode()
    assert json.loads(first["Payload"].read()) == json.loads(second["Payload"].read()), "the environment is warm"
    assert first["ExecutedVersion"] == "$LATEST"
    assert _sum(client, "AWS/Lambda", "Invocations", FunctionName="function-1") == 2
    assert _sum(client, "AWS/Lambda", "Errors", FunctionName="function-1") == 0


def test_four_simultaneous_calls_run_in_four_processes(client: Client, function: Make, tmp_path: Path) -> None:
    arn = function(
        """
        import os, pathlib, time
        def handler(event, context):
            folder = pathlib.Path(os.environ["FOLDER"])
            (folder / str(os.getpid())).touch()
            until = time.monotonic() + 60
            while len(list(folder.iterdir())) < 4:
                assert time.monotonic() < until, "the others have not come: the calls run one after the other"
                time.sleep(0.02)
            return os.getpid()
        """,
        Timeout=30,
        Environment={"Variables": {"FOLDER": str(tmp_path)}},
    )
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda: answers.append(_call(client, arn))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {error for _, error in answers} == {None}
    assert len({pid for pid, _ in answers}) == 4


def test_a_published_version_keeps_its_code_and_is_called_by_its_qualifier(client: Client, function: Make) -> None:
    arn = function(
        "def handler(event, context):\n    return [1, context.function_version, context.invoked_function_arn]\n"
    )
    version = client("lambda").publish_version(FunctionName=arn)["Version"]
    assert _call(client, arn, Qualifier=version)[0] == [1, "1", f"{arn}:1"]
    assert _call(client, f"{arn}:$LATEST")[0] == [1, "$LATEST", f"{arn}:$LATEST"]


def test_a_changed_variable_reaches_the_next_call(client: Client, function: Make, eventually: Wait) -> None:
    source = "import os\ndef handler(event, context):\n    return [os.environ.get('COLOUR'), os.getpid()]\n"
    arn = function(source, Environment={"Variables": {"COLOUR": "blue"}})
    (colour, pid), _ = _call(client, arn)
    assert colour == "blue"
    group = "/usher/other"
    client("lambda").update_function_configuration(
        FunctionName=arn, Environment={"Variables": {"COLOUR": "red"}}, LoggingConfig={"LogGroup": group}
    )
    assert _call(client, arn)[0][0] == "red"
    assert any(line.startswith("REPORT") for line in _messages(client, group))
    eventually(lambda: _gone(pid))


def test_changed_code_ends_the_old_processes(
    client: Client, function: Make, archive: Callable[..., bytes], eventually: Wait
) -> None:
    arn = function("import os\ndef handler(event, context):\n    return ['old', os.getpid()]\n")
    (_, pid), _ = _call(client, arn)
    new = "def handler(event, context):\n    return 'new'\n"
    client("lambda").update_function_code(FunctionName=arn, ZipFile=archive({"app.py": new}))
    assert _call(client, arn)[0] == "new"
    eventually(lambda: _gone(pid))


def test_deleting_a_function_ends_its_processes(client: Client, function: Make, eventually: Wait) -> None:
    arn = function("import os\ndef handler(event, context):\n    return os.getpid()\n")
    pid, _ = _call(client, arn)
    client("lambda").delete_function(FunctionName=arn)
    eventually(lambda: _gone(pid))


def test_logs_go_to_the_configured_group(client: Client, function: Make) -> None:
    arn = function("def handler(event, context):\n    print('here')\n", LoggingConfig={"LogGroup": "/usher/mine"})
    _call(client, arn)
    assert "here" in _messages(client, "/usher/mine")
    shown = client("lambda").get_function_configuration(FunctionName=arn)["LoggingConfig"]
    assert shown == {"LogFormat": "Text", "LogGroup": "/usher/mine"}
