"""What the twin replaces in moto's S3."""

from __future__ import annotations

from twin.moto_patches.registry import Patch

PATCHES = (
    Patch(
        "moto.s3.notifications:_send_event_bridge_message",
        "twin.s3.events:send_to_event_bridge",
        "other fields than AWS's, and no word when an event is lost",
        "test_s3_events.py::test_a_new_object_is_told_of_as_aws_documents_it",
    ),
    Patch(
        "moto.s3.notifications:send_event",
        "twin.s3.events:send_event",
        "tells of a completed multipart upload twice, and of each new object as newly tagged",
        "test_s3_events.py::test_a_multipart_upload_is_told_of_once_and_as_what_it_is",
    ),
    Patch(
        "moto.s3.responses:S3Response.setup_class",
        "twin.s3.bodies:setup_class",
        "stores nothing of a body with a form's content type",
        "test_s3_events.py::test_a_body_is_stored_whatever_its_content_type",
    ),
    Patch(
        "moto.s3.models:FakeBucket.get_permission",
        "twin.s3.policies:get_permission",
        "takes a statement that denies what is not TLS for one that denies everything",
        "test_s3_events.py::test_a_policy_that_wants_tls_does_not_lock_the_twin_out",
    ),
)
