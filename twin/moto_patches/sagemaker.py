"""What the twin replaces in moto's SageMaker."""

from __future__ import annotations

from twin.moto_patches.registry import Patch

PATCHES = (
    Patch(
        "moto.sagemaker.models:sagemaker_backends.backend",
        "twin.sagemaker.account:Backend",
        "holds invented results and ends no process on reset",
        "sagemaker/test_service.py::test_a_reset_ends_the_processes_of_jobs_and_endpoints",
    ),
    Patch(
        "moto.sagemaker.responses:SageMakerResponse.call_action",
        "twin.sagemaker.api:call_action",
        "completes every job at once, runs nothing, checks little, lacks UpdateEndpoint and most Stop and Delete calls",
        "sagemaker/test_training.py::test_a_training_job_runs_the_program_and_keeps_its_model",
    ),
    Patch(
        "moto.sagemakerruntime.responses:SageMakerRuntimeResponse.invoke_endpoint",
        "twin.sagemaker.hosting.actions:invoke_endpoint",
        "answers `body` whatever the endpoint",
        "sagemaker/test_endpoints.py::test_calls_are_split_by_weight_and_say_which_variant_answered",
    ),
)
