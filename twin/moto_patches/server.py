"""What the twin replaces in moto's HTTP server."""

from __future__ import annotations

import functools
import logging
from typing import Any

from moto.moto_server.werkzeug_app import MotoRequestHandler

from twin.moto_patches.registry import Patch, original

log = logging.getLogger(__name__)

BACKEND_FOR_HOST = "moto.moto_server.werkzeug_app:DomainDispatcherApplication.get_backend_for_host"

PATCHES = (
    Patch(
        "moto.moto_server.werkzeug_app:DomainDispatcherApplication.__call__",
        "twin.iam.server:dispatch",
        "lets every caller do everything",
        "test_iam.py::test_a_call_that_no_policy_allows_is_denied",
    ),
    Patch(
        BACKEND_FOR_HOST,
        "twin.moto_patches.server:backend_for_host",
        "lists its own folder twice for each request",
        "test_server.py::test_the_service_of_a_host_is_found_once",
    ),
)


class RequestHandler(MotoRequestHandler):
    """moto's handler; a response of 500 and above is logged with its path, other requests are not."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:  # noqa: ARG002 - the base's signature
        if str(code).startswith("5"):
            target = self.headers.get("X-Amz-Target") or self.path
            log.error("%s %s failed with %s", self.command, target, code)

    def log(self, type: str, message: str, *args: Any) -> None:
        log.log(logging.ERROR if type == "error" else logging.DEBUG, message.rstrip(), *args)


@functools.lru_cache(maxsize=4096)
def backend_for_host(self: Any, host: str | None) -> Any:
    """The service of a host, cached: moto lists its own folder for it, twice a request."""
    return original(BACKEND_FOR_HOST)(self, host)
