"""What an endpoint is to become, and what each variant's place in it is: weights and counts, now and wanted."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from twin.sagemaker.resource import now


@dataclass(frozen=True)
class Share:
    """One variant's place in the endpoint: its weight (any number from 0) and its count of instances."""

    name: str
    image: str
    weight: float
    instances: int
    weight_wanted: float
    instances_wanted: int
    since: datetime.datetime

    def describe(self) -> dict[str, Any]:
        """Its member of DescribeEndpoint's ProductionVariants."""
        deployed = {"SpecifiedImage": self.image, "ResolvedImage": self.image, "ResolutionTime": self.since}
        return {
            "VariantName": self.name,
            "DeployedImages": [deployed],
            "CurrentWeight": self.weight,
            "DesiredWeight": self.weight_wanted,
            "CurrentInstanceCount": self.instances,
            "DesiredInstanceCount": self.instances_wanted,
        }

    def wanting(self, weight: float | None, instances: int | None) -> Share:
        """With another weight or count wanted; None keeps what was."""
        return replace(
            self,
            weight_wanted=self.weight_wanted if weight is None else weight,
            instances_wanted=self.instances_wanted if instances is None else instances,
        )

    def arrived(self) -> Share:
        """With what was wanted."""
        return replace(self, weight=self.weight_wanted, instances=self.instances_wanted)


@dataclass(frozen=True)
class Plan:
    """One deployment: a configuration, and what of the present variants is kept."""

    config: str
    variants: list[dict[str, Any]]
    keep_weights: bool = False
    keep_instances: bool = False
    started: datetime.datetime | None = None

    def describe(self) -> dict[str, Any]:
        """A PendingDeploymentSummary."""
        variants = [
            {
                "VariantName": item["VariantName"],
                "DesiredWeight": item["InitialVariantWeight"],
                "DesiredInstanceCount": item["InitialInstanceCount"],
            }
            for item in self.variants
        ]
        return {"EndpointConfigName": self.config, "ProductionVariants": variants, "StartTime": self.started}

    def shares(self, images: Mapping[str, str], before: Mapping[str, Share]) -> list[Share]:
        """The shares that it leads to. images: variant → image; before: the shares until now."""
        return [
            self._share(item, images[item["VariantName"]], before.get(item["VariantName"])) for item in self.variants
        ]

    def _share(self, item: dict[str, Any], image: str, before: Share | None) -> Share:
        weight, instances = float(item["InitialVariantWeight"]), int(item["InitialInstanceCount"])
        if before and self.keep_weights:
            weight = before.weight
        if before and self.keep_instances:
            instances = before.instances
        return Share(item["VariantName"], image, weight, instances, weight, instances, now())
