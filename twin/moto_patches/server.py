"""What the twin replaces in moto's HTTP server."""

from __future__ import annotations

from twin.moto_patches.registry import Patch

PATCHES = (
    Patch(
        "moto.moto_server.werkzeug_app:DomainDispatcherApplication.get_backend_for_host",
        "twin.requests:backend_for_host",
        "lists its own folder twice for each request",
        "test_requests.py::test_the_service_of_a_host_is_found_once",
    ),
)
