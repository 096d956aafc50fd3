"""What the twin replaces in moto's Firehose."""

from __future__ import annotations

from twin.moto_patches.registry import Patch

PATCHES = (
    Patch(
        "moto.firehose.models:firehose_backends.backend",
        "twin.firehose.backend:Backend",
        "writes each put to S3 at once, without buffer, transformation, compression and error output",
        "test_firehose.py::test_records_are_transformed_and_delivered_together",
    ),
    Patch(
        "moto.firehose.responses:FirehoseResponse.setup_class",
        "twin.firehose.api:setup_class",
        "reads half a megabyte of records three times, once as a form",
        "test_firehose.py::test_a_put_is_read_unchanged",
    ),
    Patch(
        "moto.firehose.responses:FirehoseResponse.put_record",
        "twin.firehose.api:put_record",
        "checks no limit, throttles never",
        "test_firehose.py::test_a_record_over_the_limit_is_refused",
    ),
    Patch(
        "moto.firehose.responses:FirehoseResponse.put_record_batch",
        "twin.firehose.api:put_record_batch",
        "checks no limit, knows no partial failure",
        "test_firehose.py::test_the_tag_sets_which_share_of_a_batch_fails",
    ),
)
