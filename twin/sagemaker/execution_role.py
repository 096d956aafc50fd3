"""The execution role of a job or model: SageMaker moves objects, pulls images and writes logs with it."""

from __future__ import annotations

import re
from typing import Any

from twin import context
from twin.iam import authorization, sessions
from twin.iam.request import Check
from twin.sagemaker.errors import invalid

#: The name of the sessions that SageMaker opens.
SESSION = "SageMaker"

_ECR = re.compile(r"(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com/([^:@]+)")


class ExecutionRole:
    """A session of the role. Refused, as AWS words it, when SageMaker cannot assume the role."""

    def __init__(self, arn: str) -> None:
        self.arn = arn
        try:
            self._credentials = sessions.assume(arn, sessions.SAGEMAKER, SESSION)
        except sessions.CannotAssume as error:
            raise invalid(
                f"Could not assume role {arn}. Please ensure that the role exists and allows principal "
                "'sagemaker.amazonaws.com' to assume the role."
            ) from error

    @property
    def s3(self) -> Any:
        """A client that reads and writes objects as the role."""
        return self._credentials.client("s3")

    def environment(self) -> dict[str, str]:
        """The credentials that a container finds."""
        return self._credentials.environment()

    def allows(self, *checks: Check) -> bool:
        """Whether the role may do all of this; the log names what it may not."""
        try:
            authorization.check_role(self.arn, sessions.SAGEMAKER, SESSION, checks)
        except authorization.AccessDenied:
            return False
        return True

    def may_pull(self, image: str) -> bool:
        """Whether the role may pull an image of ECR; of another registry SageMaker asks no policy."""
        found = _ECR.match(image)
        if found is None:
            return True
        repository = f"arn:aws:ecr:{found[2]}:{found[1]}:repository/{found[3]}"
        pulled = ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")
        return self.allows(
            Check("ecr:GetAuthorizationToken", "*"), *(Check(f"ecr:{action}", repository) for action in pulled)
        )

    def may_log(self, group: str, stream: str) -> bool:
        """Whether the role may create a log group and stream and write to it."""
        groups = f"arn:aws:logs:{context.current().region}:{context.ACCOUNT}:log-group:{group}"
        return self.allows(
            Check("logs:CreateLogGroup", groups),
            Check("logs:CreateLogStream", f"{groups}:*"),
            Check("logs:DescribeLogStreams", f"{groups}:*"),
            Check("logs:PutLogEvents", f"{groups}:log-stream:{stream}"),
        )

    def may_measure(self, namespace: str) -> bool:
        """Whether the role may publish metrics."""
        return self.allows(Check("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": (namespace,)}))
