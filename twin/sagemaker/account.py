"""The resources of one account in one region: what moto's backend holds for SageMaker while the twin runs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

from twin.sagemaker.errors import Refused, invalid
from twin.sagemaker.resource import Resource

if TYPE_CHECKING:
    from twin.sagemaker.hosting.endpoint import Endpoint
    from twin.sagemaker.processing import ProcessingJob
    from twin.sagemaker.registry import Group, Package
    from twin.sagemaker.training import TrainingJob
    from twin.sagemaker.tuning import TuningJob

R = TypeVar("R", bound=Resource)


class Account:
    """All that was made with SageMaker's API. `lock` guards the dictionaries, never the work itself."""

    def __init__(self, account: str, region: str) -> None:
        self.account, self.region = account, region
        self.lock = threading.RLock()
        self.training_jobs: dict[str, TrainingJob] = {}
        self.processing_jobs: dict[str, ProcessingJob] = {}
        self.tuning_jobs: dict[str, TuningJob] = {}
        self.models: dict[str, Resource] = {}
        self.configs: dict[str, Resource] = {}
        self.endpoints: dict[str, Endpoint] = {}
        self.groups: dict[str, Group] = {}
        self.packages: dict[str, Package] = {}
        self.closed = False

    def arn(self, kind: str, name: str) -> str:
        """`arn:aws:sagemaker:<region>:<account>:<kind>/<name>`."""
        return f"arn:aws:sagemaker:{self.region}:{self.account}:{kind}/{name}"

    def resources(self) -> list[Resource]:
        """Everything that can bear tags."""
        with self.lock:
            kinds: tuple[dict[str, Resource], ...] = (
                dict(self.training_jobs),
                dict(self.processing_jobs),
                dict(self.tuning_jobs),
                self.models,
                self.configs,
                dict(self.endpoints),
                dict(self.groups),
                dict(self.packages),
            )
            return [item for kind in kinds for item in kind.values()]

    def put(self, kind: dict[str, R], resource: R, taken: Refused) -> None:
        """Keep a new resource; raises `taken` when its name is."""
        with self.lock:
            if self.closed:
                raise invalid("The twin is ending.")
            if resource.name in kind:
                raise taken
            kind[resource.name] = resource

    def close(self) -> None:
        """End every job and endpoint; returns when no process is left."""
        with self.lock:
            self.closed = True
            running = [*self.tuning_jobs.values(), *self.training_jobs.values(), *self.processing_jobs.values()]
            endpoints = list(self.endpoints.values())
        for job in running:
            job.abandon()
        for endpoint in endpoints:
            endpoint.close()
        for job in running:
            job.join()
