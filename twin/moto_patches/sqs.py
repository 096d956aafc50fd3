"""What the twin replaces in moto's SQS and Lambda's event source mappings."""

from __future__ import annotations

from twin.moto_patches.registry import Patch

PATCHES = (
    Patch(
        "moto.sqs.models:Queue.add_message",
        "twin.sqs.queues:add_message",
        "runs functions inside SendMessage, one message at a time",
        "test_sqs.py::test_a_record_has_awss_shape",
    ),
    Patch(
        "moto.sqs.models:Queue.delete_message",
        "twin.sqs.queues:delete_message",
        "takes no lock: a message that arrives meanwhile can get lost",
        "test_sqs.py::test_a_delete_waits_for_the_lock_of_the_queue",
    ),
    Patch(
        "moto.sqs.models:SQSBackend.receive_message",
        "twin.sqs.queues:receive_message",
        "gives one message to two consumers, looks once a second",
        "test_sqs.py::test_two_consumers_do_not_get_the_same_message",
    ),
    Patch(
        "moto.sqs.models:SQSBackend.change_message_visibility",
        "twin.sqs.queues:change_message_visibility",
        "does not wake waiting consumers",
        "test_sqs.py::test_a_message_that_becomes_visible_again_wakes_waiting_consumers",
    ),
    Patch(
        "moto.sqs.models:Message.change_visibility",
        "twin.sqs.queues:change_visibility",
        "real seconds",
        "test_sqs.py::test_a_visibility_timeout_runs_on_the_scaled_clock",
    ),
    Patch(
        "moto.sqs.models:Message.delay",
        "twin.sqs.queues:delay",
        "real seconds",
        "test_sqs.py::test_a_delay_runs_on_the_scaled_clock",
    ),
    Patch(
        "moto.awslambda.models:LambdaBackend.create_event_source_mapping",
        "twin.sqs.event_sources:create_event_source_mapping",
        "takes what cannot work, polls no stream",
        "test_sqs.py::test_a_mapping_that_cannot_work_is_refused",
    ),
    Patch(
        "moto.awslambda.models:LambdaBackend.update_event_source_mapping",
        "twin.sqs.event_sources:update_event_source_mapping",
        "takes what cannot work",
        "test_sqs.py::test_an_update_that_cannot_work_is_refused",
    ),
    Patch(
        "moto.sqs.models:Queue.messages",
        "twin.sqs.queues:messages",
        "reads the clock for each message",
        "test_sqs.py::test_counting_a_queue_reads_the_clock_once",
    ),
    Patch(
        "moto.sqs.models:Queue.approximate_number_of_messages_delayed",
        "twin.sqs.queues:approximate_number_of_messages_delayed",
        "reads the clock for each message",
        "test_sqs.py::test_counting_a_queue_reads_the_clock_once",
    ),
    Patch(
        "moto.sqs.models:Queue.approximate_number_of_messages_not_visible",
        "twin.sqs.queues:approximate_number_of_messages_not_visible",
        "reads the clock for each message",
        "test_sqs.py::test_counting_a_queue_reads_the_clock_once",
    ),
    Patch(
        "moto.sqs.models:SQSBackend.is_message_valid_based_on_retention_period",
        "twin.sqs.queues:is_message_valid_based_on_retention_period",
        "counts the queue for each message",
        "test_sqs.py::test_receiving_does_not_count_the_queue_for_each_message",
    ),
)
