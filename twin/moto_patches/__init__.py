"""Every symbol of moto that the twin replaces or adds, by service, with the reason and the contract test for it.

moto is pinned. tests/contract/ fails when a patch no longer fits the pinned version: its `symbol` no longer exists (or,
for an addition, now exists), or the replaced behaviour does not work any more.
"""

from __future__ import annotations

from twin.moto_patches import (
    athena,
    awslambda,
    cloudformation,
    cloudwatch,
    dynamodb,
    events,
    firehose,
    glue,
    s3,
    sagemaker,
    server,
    servicequotas,
    sqs,
    stepfunctions,
)
from twin.moto_patches.registry import Patch, install

__all__ = ["PATCHES", "Patch", "apply"]

PATCHES: tuple[Patch, ...] = (
    *athena.PATCHES,
    *awslambda.PATCHES,
    *cloudformation.PATCHES,
    *cloudwatch.PATCHES,
    *dynamodb.PATCHES,
    *events.PATCHES,
    *firehose.PATCHES,
    *glue.PATCHES,
    *s3.PATCHES,
    *sagemaker.PATCHES,
    *server.PATCHES,
    *servicequotas.PATCHES,
    *sqs.PATCHES,
    *stepfunctions.PATCHES,
)


def apply() -> None:
    """Install every patch, once in a process; AttributeError when one does not fit this version of moto."""
    install(PATCHES)
