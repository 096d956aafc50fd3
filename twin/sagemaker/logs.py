"""What a container prints, in CloudWatch Logs."""

from __future__ import annotations

import threading
import time
from typing import Any

_writing = threading.Lock()  # moto's log streams are not made for several threads


class LogStream:
    """One stream of one of SageMaker's log groups."""

    def __init__(self, account: str, region: str, group: str, stream: str) -> None:
        self._account, self._region = account, region
        self.group, self.stream = group, stream

    def write(self, lines: list[str]) -> None:
        """Append; group and stream are made when they are not there. Empty lines are no events, as on AWS."""
        moment = int(time.time() * 1000)
        events = [{"timestamp": moment, "message": line} for line in lines if line.strip()]
        if not events:
            return
        from moto.logs.models import logs_backends  # noqa: PLC0415 - moto is heavy, and not always there

        backend: Any = logs_backends[self._account][self._region]
        with _writing:
            backend.ensure_log_group(self.group)
            if self.stream not in backend.groups[self.group].streams:
                backend.create_log_stream(self.group, self.stream)
            backend.put_log_events(self.group, self.stream, events)
