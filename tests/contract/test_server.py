"""The way of a request to its service, which every call to the twin takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


def test_the_service_of_a_host_is_found_once(client: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    client("sqs").list_queues()

    def again() -> None:
        raise AssertionError("moto lists its folder for a host that it has seen")

    monkeypatch.setattr("moto.backends.list_of_moto_modules", again)
    assert client("sqs").list_queues()["ResponseMetadata"]["HTTPStatusCode"] == 200
