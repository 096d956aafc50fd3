"""A twin: moto's server with the twin's patches, the background services of AWS, and the application's stack.

    with Twin(project=Path(".")) as twin:
        boto3.client("s3", endpoint_url=twin.endpoint, …)

There is one twin per process, because moto's state is global.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, Self

from twin import children, context
from twin.context import Context
from twin.iam.record import RECORD

REGION = "eu-west-1"
STACK_NAME = "usher"
SPEED = 10.0
LOCALHOST = "127.0.0.1"

SERVICES = (
    # In the order of their start; they stop in reverse.
    "twin.awslambda.pool:Pool",
    "twin.apigateway.gateway:Gateway",
    "twin.sqs.event_sources:EventSources",
    "twin.firehose.backend:Firehose",
    "twin.events.schedules:Schedules",
    "twin.cloudwatch.alarms:Alarms",
    "twin.sagemaker.account:SageMaker",
)
"""`module:Class` of the services beside the server: created with the Context, each with `start()` and `stop()`."""


class TwinError(Exception):
    """The twin cannot run; the message is one line: why, and what to do."""


class Service(Protocol):
    """A background service of AWS: polling queues, firing schedules, evaluating alarms."""

    def start(self) -> object:
        """Begin; returns at once."""

    def stop(self) -> None:
        """End; returns when nothing of it runs any more."""


class Twin:
    """The application on this machine.

    project:  the folder that holds the template. template: another path to it.
    speed:    seconds of AWS's time that pass in one real second (schedules, batch windows, alarm periods).
    host:     the address to listen on. port: 0 takes a free one.
    new_account: answer with the service quotas of a new account, and hold SageMaker to them.
    report:   called with a line for each step of the deployment.

    `start` and `with` raise TwinError after cleaning up.
    """

    def __init__(  # noqa: PLR0913 - the settings of a twin
        self,
        project: Path,
        *,
        template: Path | None = None,
        speed: float = SPEED,
        host: str = LOCALHOST,
        port: int = 0,
        region: str = REGION,
        stack_name: str = STACK_NAME,
        parameters: Mapping[str, str] | None = None,
        new_account: bool = False,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        if not speed > 0:
            raise TwinError(f"the speed must be above 0, not {speed:g}")
        self.template = template or project / "template.yaml"
        self.stack_name, self.parameters, self.report = stack_name, dict(parameters or {}), report
        self.outputs: dict[str, str] = {}
        self._host, self._port, self._region, self._speed = host, port, region, speed
        self._new_account = new_account
        self._cleanup = contextlib.ExitStack()
        self.context: Context | None = None

    @property
    def endpoint(self) -> str:
        """The URL of every AWS API."""
        return self._entered().endpoint

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point boto3, the AWS CLI and SAM at this twin."""
        return self._entered().environment()

    def client(self, service: str) -> Any:
        """A boto3 client for this twin."""
        self._entered()
        return context.client(service)

    def start(self) -> Self:
        """Serve, run the services and deploy the stack; returns when all of it is ready."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End everything, in reverse; returns when every process and folder is gone."""
        self._cleanup.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self) -> None:
        from twin.cloudformation import deploy  # noqa: PLC0415 - boto3, half a second
        from twin.cloudformation.errors import StackError  # noqa: PLC0415

        try:
            deploy.read(self.template)  # before the slow part: a missing template should be an error at once
            self._serve()
            self._run_services()
            self.report(f"deploying {self.template.name}")
            self.outputs = deploy.deploy(self.template, self.stack_name, self.parameters, self.report)
        except StackError as error:
            raise TwinError(str(error)) from error

    def _serve(self) -> None:
        listening = _listen(self._host, self._port)
        self._cleanup.callback(listening.close)
        address, port = listening.getsockname()[:2]
        reachable = LOCALHOST if address == "0.0.0.0" else address  # noqa: S104 - compared, not bound
        folder = Path(tempfile.mkdtemp(prefix="usher-twin-"))
        self._cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
        self._cleanup.callback(children.close)
        self._cleanup.callback(RECORD.save)
        children.remove_at_end(folder)
        self.context = Context(f"http://{reachable}:{port}", self._region, folder, self._speed, self._new_account)
        self._cleanup.enter_context(_environment({**self.context.environment(), "MOTO_PORT": str(port)}))
        self.report(f"starting the server on {self.context.endpoint}")
        self._cleanup.callback(_serve_api(listening))
        context.enter(self.context)

    def _run_services(self) -> None:
        for name in SERVICES:
            module, _, cls = name.partition(":")
            service: Service = getattr(importlib.import_module(module), cls)(self._entered())
            service.start()
            self._cleanup.callback(service.stop)

    def _entered(self) -> Context:
        if self.context is None:
            raise TwinError("the twin has not been started")
        return self.context


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(128)
    except OSError as error:
        raise TwinError(
            f"cannot listen on {host}, port {port}: {error.strerror}; choose another with --port"
        ) from error
    except OverflowError as error:
        raise TwinError(f"port {port} does not exist; choose one from 0 to 65535 with --port") from error
    return listening


def _serve_api(listening: socket.socket) -> Callable[[], None]:
    """Serve every AWS API on the socket, in threads; returns the function that ends it."""
    # moto's modules take seconds: they are loaded once the port is known to be free.
    from moto.moto_api._internal.models import moto_api_backend  # noqa: PLC0415
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app  # noqa: PLC0415
    from werkzeug.serving import make_server  # noqa: PLC0415

    from twin import moto_patches  # noqa: PLC0415
    from twin.moto_patches.server import RequestHandler  # noqa: PLC0415

    moto_patches.apply()
    host, port = listening.getsockname()[:2]
    application = DomainDispatcherApplication(create_backend_app)
    server = make_server(host, port, application, True, request_handler=RequestHandler, fd=listening.fileno())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="api", daemon=True)
    thread.start()

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join(5)
        moto_api_backend.reset()  # the next twin of this process starts with an empty account

    return end


@contextlib.contextmanager
def _environment(wanted: Mapping[str, str]) -> Any:
    """Point boto3 in this process at the twin, whatever the user's own configuration."""
    saved = dict(os.environ)
    os.environ.update(wanted)
    os.environ.update(
        AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull, AWS_EC2_METADATA_DISABLED="true"
    )
    for name in ("NO_PROXY", "no_proxy"):  # the twin must not reach itself through a proxy
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1,localhost")))
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN"):
        os.environ.pop(name, None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)
