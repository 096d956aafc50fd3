"""SageMaker on the server, with a small program in place of the recommender's image, and what most tests ask of it."""

from __future__ import annotations

import io
import json
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from twin.context import Context
from twin.sagemaker.account import SageMaker
from twin.sagemaker.container import IMAGES, Image

IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/program:1"
ROLE = "arn:aws:iam::123456789012:role/sagemaker"
BUCKET = "lake"
RESOURCES = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}


class Lab:
    """Short forms of the requests that the tests vary."""

    image, role, bucket, resources = IMAGE, ROLE, BUCKET, RESOURCES

    def __init__(self, client: Callable[[str], Any], eventually: Callable[..., Any]) -> None:
        self.client, self.eventually = client, eventually
        self.sagemaker = client("sagemaker")
        client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})

    def put(self, key: str, body: bytes | str) -> str:
        self.client("s3").put_object(Bucket=BUCKET, Key=key, Body=body)
        return f"s3://{BUCKET}/{key}"

    def get(self, key: str) -> bytes:
        body: bytes = self.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return body

    def unpacked(self, uri: str) -> dict[str, bytes]:
        """The files of a tar.gz in the bucket."""
        with tarfile.open(fileobj=io.BytesIO(self.get(uri.removeprefix(f"s3://{BUCKET}/")))) as tar:
            return {item.name: tar.extractfile(item).read() for item in tar if item.isfile()}  # type: ignore[union-attr]

    def training(self, name: str, hyperparameters: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:
        """A request for CreateTrainingJob."""
        metrics = [{"Name": "score", "Regex": "validation:score=([-0-9.]+)"}, {"Name": "loss", "Regex": "loss=(\\w+)"}]
        return {
            "TrainingJobName": name,
            "RoleArn": ROLE,
            "AlgorithmSpecification": {
                "TrainingImage": IMAGE,
                "TrainingInputMode": "File",
                "MetricDefinitions": metrics,
            },
            "HyperParameters": hyperparameters or {},
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/models"},
            "ResourceConfig": RESOURCES,
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
            **changes,
        }

    def train(self, name: str, hyperparameters: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:
        """Run a training job to its end; how it was described then."""
        self.sagemaker.create_training_job(**self.training(name, hyperparameters, **changes))
        return self.trained(name)

    def trained(self, name: str) -> dict[str, Any]:
        """The training job's description, once it has ended."""

        def ended() -> dict[str, Any] | None:
            found: dict[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=name)
            return found if found["TrainingJobStatus"] in ("Completed", "Failed", "Stopped") else None

        found: dict[str, Any] = self.eventually(ended, seconds=60)
        return found

    def messages(self, group: str) -> list[str]:
        events = self.client("logs").filter_log_events(logGroupName=group)["events"]
        return [event["message"] for event in events]

    def model(self, name: str, content: dict[str, Any] | None = None, **environment: str) -> None:
        """A model whose data is `content` (or none at all)."""
        written = io.BytesIO()
        with tarfile.open(fileobj=written, mode="w:gz") as tar:
            body = json.dumps({"name": name, **(content or {})}).encode()
            member = tarfile.TarInfo("model.json")
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
        url = self.put(f"models/{name}.tar.gz", written.getvalue())
        container = {"Image": IMAGE, "ModelDataUrl": url, "Environment": environment}
        self.sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)

    def config(self, name: str, **variants: tuple[str, float]) -> None:
        """An endpoint configuration: `A=("model", weight)`."""
        listed = [
            {
                "VariantName": variant,
                "ModelName": model,
                "InitialInstanceCount": 1,
                "InstanceType": "ml.m5.large",
                "InitialVariantWeight": weight,
            }
            for variant, (model, weight) in variants.items()
        ]
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=listed)

    def endpoint(self, name: str = "shop", seconds: float = 90) -> dict[str, Any]:
        """The endpoint's description, once it is no longer on its way."""

        def settled() -> dict[str, Any] | None:
            found: dict[str, Any] = self.sagemaker.describe_endpoint(EndpointName=name)
            return None if found["EndpointStatus"] in ("Creating", "Updating") else found

        found: dict[str, Any] = self.eventually(settled, seconds=seconds)
        return found

    def deploy(self, **variants: tuple[str, float]) -> dict[str, Any]:
        """Create the endpoint `shop` with the configuration `first` and wait for it."""
        self.config("first", **variants)
        self.sagemaker.create_endpoint(EndpointName="shop", EndpointConfigName="first")
        return self.endpoint()

    def call(self, body: dict[str, Any] | None = None, **more: Any) -> tuple[dict[str, Any], str]:
        """Invoke `shop`; the answer, and the variant that gave it."""
        runtime = self.client("sagemaker-runtime")
        answer = runtime.invoke_endpoint(
            EndpointName="shop", ContentType="application/json", Body=json.dumps(body or {}), **more
        )
        return json.loads(answer["Body"].read()), answer["InvokedProductionVariant"]


@pytest.fixture
def lab(
    server: Context,
    client: Callable[[str], Any],
    eventually: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Lab]:
    program = Path(__file__).with_name("program.py")
    image = Image(entry=(sys.executable, "-u", "-P", str(program)), environment={"COLOUR": "red"})
    monkeypatch.setitem(IMAGES, "program", image)
    yield Lab(client, eventually)
    SageMaker(server).stop()
