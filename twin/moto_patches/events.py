"""What the twin replaces in moto's EventBridge."""

from __future__ import annotations

from twin.moto_patches.registry import Patch

PATCHES = (
    Patch(
        "moto.events.models:Rule.send_to_targets",
        "twin.events.rules:send_to_targets",
        "does not support Step Functions, ignores DISABLED, swallows failures",
        "test_events.py::test_an_event_reaches_its_queue",
    ),
    Patch(
        "moto.events.models:EventsBackend.put_rule",
        "twin.events.rules:put_rule",
        "takes schedules and patterns that it does not understand",
        "test_events.py::test_a_rule_that_cannot_work_is_refused",
    ),
    Patch(
        "moto.events.models:EventsBackend.put_targets",
        "twin.events.rules:put_targets",
        "takes targets that it cannot deliver to",
        "test_events.py::test_a_target_that_cannot_work_is_refused",
    ),
)
