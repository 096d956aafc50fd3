"""The SageMaker endpoint's status and weights, and whether it follows the router.

Its weights serve callers that name no variant; Usher's own requests name theirs. So a late weight harms no request,
and every tick compares again, which repairs a crash, an update that failed, and weights that were edited by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from usher.errors import code
from usher.store.router import VARIANTS

#: SageMaker stores weights in single precision.
_TOLERANCE = 1e-5
_BUSY = ("Creating", "Updating", "SystemUpdating", "RollingBack")


@dataclass(frozen=True, slots=True)
class EndpointStatus:
    """The described endpoint. weights: the desired ones, by variant. problem: why it cannot serve, or empty."""

    status: str
    weights: Mapping[str, float]
    problem: str = ""

    @property
    def busy(self) -> bool:
        return self.status in _BUSY

    def needs(self, weights: Mapping[str, float]) -> bool:
        """Whether the endpoint is in service with other weights than `weights`."""
        return self.status == "InService" and any(
            abs(self.weights.get(variant, -1.0) - weights[variant]) > _TOLERANCE for variant in VARIANTS
        )


#: With the serving back end "function" there is no endpoint.
NO_ENDPOINT = EndpointStatus("", {})


def describe(sagemaker: Any, endpoint: str) -> EndpointStatus:
    """The endpoint's status; a missing or failed endpoint, or one without a variant, is a problem, not an error."""
    try:
        found = sagemaker.describe_endpoint(EndpointName=endpoint)
    except ClientError as error:
        if code(error) != "ValidationException":
            raise
        return EndpointStatus("Missing", {}, f"the endpoint {endpoint} does not exist")
    status = str(found["EndpointStatus"])
    weights = {
        str(variant["VariantName"]): float(variant.get("DesiredWeight", variant.get("CurrentWeight", -1.0)))
        for variant in found.get("ProductionVariants") or ()
    }
    if status != "InService" and status not in _BUSY:
        reason = str(found.get("FailureReason") or "SageMaker gives no reason")
        return EndpointStatus(status, weights, f"the endpoint {endpoint} is {status}: {reason[:300]}")
    missing = [variant for variant in VARIANTS if variant not in weights]
    if status == "InService" and missing:
        return EndpointStatus(status, weights, f"the endpoint {endpoint} has no variant {' and '.join(missing)}")
    return EndpointStatus(status, weights)


def model_mismatch(sagemaker: Any, endpoint: str, variant: str, run_id: str) -> str:
    """Why the variant does not hold that run's model, or empty. A run that failed late may have replaced it."""
    try:
        found = sagemaker.describe_endpoint(EndpointName=endpoint)
        config = str(found["EndpointConfigName"])
        pending = (found.get("PendingDeploymentSummary") or {}).get("EndpointConfigName", config)
        if pending != config:
            return f"a run is replacing the endpoint's models ({pending}): stop it, or wait until it has ended"
        variants = sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    except ClientError as error:
        if code(error) != "ValidationException":
            raise
        return f"the endpoint {endpoint} does not exist"
    model = next((str(one["ModelName"]) for one in variants if one["VariantName"] == variant), "none")
    wanted = f"{endpoint}-{run_id}"
    # A second try of CreateModel has its number appended.
    same = model == wanted or (model.startswith(f"{wanted}-") and model.removeprefix(f"{wanted}-").isdigit())
    return "" if same else f"the endpoint's variant {variant} holds {model} instead of {wanted}: start another run"
