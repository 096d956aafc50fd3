"""How the twin takes HTTP requests: quickly, without a line for each, but never silent about a defect."""

from __future__ import annotations

import functools
import logging
from typing import Any

from moto.moto_server.werkzeug_app import MotoRequestHandler

from twin.moto_patches.registry import original

log = logging.getLogger(__name__)


class RequestHandler(MotoRequestHandler):
    """moto's handler; an answer of 500 and above is logged with its path, other requests are not."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:  # noqa: ARG002 - the base's signature
        if str(code).startswith("5"):
            target = self.headers.get("X-Amz-Target") or self.path
            log.error("%s %s was answered with %s", self.command, target, code)

    def log(self, type: str, message: str, *args: Any) -> None:
        log.log(logging.ERROR if type == "error" else logging.DEBUG, message.rstrip(), *args)


@functools.lru_cache(maxsize=4096)
def backend_for_host(self: Any, host: str | None) -> Any:
    """moto's answer to which service a host is, kept: moto lists its own folder for it, twice a request."""
    symbol = "moto.moto_server.werkzeug_app:DomainDispatcherApplication.get_backend_for_host"
    return original(symbol)(self, host)
