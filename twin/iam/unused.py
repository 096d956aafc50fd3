"""Permissions that no call on the twin uses, and why a real account needs them."""

from __future__ import annotations

#: Role → the reason for all that it has.
ROLES: dict[str, str] = {
    "ImageBuildRole": "only in an account: the twin has no CodeBuild",
}
#: Action → the reason wherever it stands.
ACTIONS: dict[str, str] = {
    "s3:AbortMultipartUpload": "an upload in parts that fails is aborted",
    "sagemaker:AddTags": "only in an account: Step Functions tags the jobs of `.sync`",
    "sagemaker:ListTags": "only in an account: Step Functions reads the tags of the jobs of `.sync`",
}
RETRY = "a failed message is handed back with a delay"
MISSING = "only in an account: S3 answers 403 for a missing object without it, and the twin 404 in any case"
QUOTAS = "a quota whose code is unknown, or that the account has never changed"
IDLE = "a rollback while no experiment is open"
OWN_IMAGE = "a stack with RecommenderImage"
#: (role, statement, action) → the reason.
STATEMENTS: dict[tuple[str, str, str], str] = {
    ("StreamsRole", "Deliver", "s3:GetObject"): "only in an account: Firehose asks for it (IAM in its guide)",
    ("StreamsRole", "ListTheBucket", "s3:GetBucketLocation"): "only in an account: Firehose asks for it",
    ("StreamsRole", "ListTheBucket", "s3:ListBucket"): "only in an account: Firehose asks for it",
    ("StreamsRole", "ListTheBucket", "s3:ListBucketMultipartUploads"): "only in an account: Firehose asks for it",
    ("StreamsRole", "InvokeTheTransformation", "lambda:InvokeFunction"): "only in an account: Firehose names $LATEST",
    ("StreamsRole", "InvokeTheTransformation", "lambda:GetFunctionConfiguration"): "only in an account: as above",
    ("IngestObjectsRole", "ReadLanding", "s3:GetObject"): "the landing bucket of an adopted lake may have no versions",
    ("IngestObjectsRole", "DetectMissingObjects", "s3:ListBucket"): MISSING,
    (
        "CatalogTablesRole",
        "RestoreTheSchedule",
        "events:EnableRule",
    ): "an update of the stack while an experiment is open",
    ("CatalogTablesRole", "CloseTheExperiment", "dynamodb:UpdateItem"): "the stack is deleted with an open experiment",
    ("CatalogObjectsRole", "ReceiveMessages", "sqs:ChangeMessageVisibility"): RETRY,
    ("PrepareNextRole", "ReceiveAndDelayMessages", "sqs:ChangeMessageVisibility"): RETRY,
    ("PrepareNextRole", "DescribeRuns", "states:DescribeExecution"): "a run ended without releasing the lock",
    ("PrepareRunRole", "ReadServiceQuotas", "servicequotas:GetAWSDefaultServiceQuota"): QUOTAS,
    ("PrepareRunRole", "ReadServiceQuotas", "servicequotas:ListServiceQuotas"): QUOTAS,
    ("PrepareRunRole", "ReadServiceQuotas", "servicequotas:ListAWSDefaultServiceQuotas"): QUOTAS,
    ("PrepareRunRole", "FindTheImage", "ecr:BatchGetImage"): OWN_IMAGE,
    ("SageMakerRole", "PullTheImage", "ecr:BatchCheckLayerAvailability"): OWN_IMAGE,
    ("SageMakerRole", "PullTheImage", "ecr:BatchGetImage"): OWN_IMAGE,
    ("SageMakerRole", "PullTheImage", "ecr:GetDownloadUrlForLayer"): OWN_IMAGE,
    (
        "TrainWorkflowRole",
        "RunTrainingJobs",
        "sagemaker:StopTrainingJob",
    ): "a stopped run stops the job that it waits for",
    ("EvaluateGateRole", "DetectMissingEvaluations", "s3:ListBucket"): MISSING,
    ("DeployExperimentRole", "DetectMissingLists", "s3:ListBucket"): MISSING,
    ("ShiftTrafficRole", "DetectMissingLists", "s3:ListBucket"): MISSING,
    ("ShiftTrafficRole", "DisableTheSchedule", "events:EnableRule"): "an experiment opened while the last one ended",
    ("ShiftTrafficRole", "DescribeItsModels", "sagemaker:DescribeEndpointConfig"): IDLE,
    ("TrainWorkflowRole", "RegisterModels", "sagemaker:CreateModelPackage"): "only in an account: AWS's guides name "
    "the group, its reference the package",
    ("TrainWorkflowRole", "CheckModelPackages", "ecr:BatchGetImage"): "only in an account: CreateModelPackage may look "
    "at the image as the caller",
    ("TrainWorkflowRole", "CheckModelPackages", "ecr:DescribeImages"): "only in an account: as above",
    ("TrainWorkflowRole", "CheckModelFiles", "s3:GetObject"): "only in an account: CreateModelPackage may look at the "
    "files as the caller",
}


def reason(role: str, statement: str, action: str) -> str:
    """Why an unused permission stays; empty without a reason."""
    return ROLES.get(role) or STATEMENTS.get((role, statement, action)) or ACTIONS.get(action) or ""
