"""An endpoint: its variants with their weights, and the swap from one configuration to the next."""

from __future__ import annotations

import contextlib
import logging
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from twin import context
from twin.sagemaker.account import Account, Request, Resource, now, send_status_event
from twin.sagemaker.errors import JobFailed, Refused, invalid
from twin.sagemaker.hosting import model
from twin.sagemaker.hosting.config import Deployment, VariantState
from twin.sagemaker.hosting.connections import invalid_call, unavailable
from twin.sagemaker.hosting.model import Served
from twin.sagemaker.hosting.variant import Variant

log = logging.getLogger(__name__)

START_SECONDS = 480
#: How long new weights take to arrive (AWS's time).
WEIGHTS_SECONDS = 10.0
_EVENT_STATUS = {
    "Creating": "CREATING",
    "Updating": "UPDATING",
    "InService": "IN_SERVICE",
    "Failed": "FAILED",
    "Deleting": "DELETING",
}


class Endpoint(Resource):
    """`status` changes in deployments' threads and in API calls, always under `_lock`."""

    def __init__(self, account: Account, request: Request, deployment: Deployment) -> None:
        name = request["EndpointName"]
        super().__init__(name, account.arn("endpoint", name), request)
        self.account = account
        self.config = deployment.config
        self.status = "Creating"
        self.failure_reason: str | None = None
        self.states: list[VariantState] = []
        self._live: dict[str, Variant] = {}
        self._pending: Deployment | None = None
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._worker: threading.Thread | None = None
        self._random = random.Random(self.arn)  # noqa: S311 - routing, not secrets

    # ── calls ───────────────────────────────────────────────────────────────────────────────────────────────────────

    @contextlib.contextmanager
    def variant_for(self, target: str | None) -> Iterator[Variant]:
        """The variant that takes the next call: `target`, or one at random by weight. Raises CallFailed.

        Within the context it is not closed: a swap waits for the calls that the old variants still answer.
        """
        with self._lock:
            variant = self._choose_variant(target)
            variant.enter()
        try:
            yield variant
        finally:
            variant.leave()

    def _choose_variant(self, target: str | None) -> Variant:
        live, states = self._live, self.states
        if not live:
            raise unavailable(f"Endpoint {self.name} is {self.status} and cannot be invoked.")
        if target is not None:
            if target not in live:
                raise invalid_call(f"Variant {target} was not found for endpoint {self.name}.")
            return live[target]
        weights = [state.weight for state in states]
        if not any(weights):
            raise invalid_call(f"Every variant of endpoint {self.name} has weight 0; name a TargetVariant.")
        return live[self._random.choices(states, weights)[0].name]

    # ── changes ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def deploy(self, deployment: Deployment, status: str) -> None:
        """Start the swap to `deployment` in the background; Refused while the endpoint is busy."""
        deployment = replace(deployment, started=now())
        self._begin(status, lambda: self._deploy(deployment), deployment)

    def set_weights(self, wanted: dict[str, tuple[float | None, int | None]]) -> None:
        """New weights and counts, in the background; Refused while busy, or for unknown variants."""
        with self._lock:
            unknown = sorted(set(wanted) - {state.name for state in self.states})
            if unknown and self.status == "InService":
                raise invalid(
                    f"The variant name(s) {', '.join(unknown)} is/are not present within endpoint configuration "
                    f'"{self.account.arn("endpoint-config", self.config)}".'
                )
            self._begin("Updating", self._apply_weights, None)
            self.states = [state.with_target(*wanted.get(state.name, (None, None))) for state in self.states]

    def delete(self) -> None:
        """End it in the background; Refused while busy."""
        self._begin("Deleting", self._delete, None)

    def close(self) -> None:
        """End every process now; returns when they are gone."""
        self._closing.set()
        worker = self._worker
        if worker is not None and worker is not threading.current_thread():
            worker.join()
        with self._lock:
            live, self._live = self._live, {}
        _close_all(live)

    def describe(self) -> dict[str, Any]:
        """DescribeEndpoint."""
        with self._lock:
            pending = self._pending
            return {
                "EndpointName": self.name,
                "EndpointArn": self.arn,
                "EndpointConfigName": self.config,
                "ProductionVariants": [state.describe() for state in self.states] or None,
                "PendingDeploymentSummary": pending.describe() if pending and self.status == "Updating" else None,
                "EndpointStatus": self.status,
                "FailureReason": self.failure_reason,
                "CreationTime": self.created,
                "LastModifiedTime": self.modified,
            }

    def _begin(self, status: str, work: Callable[[], None], deployment: Deployment | None) -> None:
        with self._lock:
            if self.status in ("Creating", "Updating", "Deleting") and self._worker is not None:
                raise invalid(f'Cannot update in-progress endpoint "{self.arn}".')
            if self.status == "Failed" and status != "Deleting":
                raise invalid(f'Cannot update failed endpoint "{self.arn}"; delete it.')
            self.status, self._pending = status, deployment
            self.failure_reason = None if deployment else self.failure_reason
            self._worker = threading.Thread(target=self._run, args=(work,), name=f"endpoint-{self.name}", daemon=True)
            self.touch()
            self._worker.start()

    def _run(self, work: Callable[[], None]) -> None:
        self._announce()
        try:
            work()
        finally:
            with self._lock:
                self._worker = None if self._worker is threading.current_thread() else self._worker
        self._announce()

    def _deploy(self, deployment: Deployment) -> None:
        started: dict[str, Variant] = {}
        try:
            served = {
                item["VariantName"]: model.served_by(self.account, item["ModelName"]) for item in deployment.variants
            }
            kept = {name: live for name, live in self._live.items() if served.get(name) == live.served}
            started = self._start([item for item in deployment.variants if item["VariantName"] not in kept], served)
        except (JobFailed, Refused) as error:
            self._failed(str(error))
            return
        except Exception as error:
            log.exception("the deployment of %s broke", self.name)
            self._failed(f"InternalServerError: {type(error).__name__}: {error}")
            return
        self._swap(deployment, served, {**kept, **started})

    def _start(self, wanted: list[dict[str, Any]], served: dict[str, Served]) -> dict[str, Variant]:
        """Start the new variants and wait until all are healthy; else close them and raise JobFailed."""
        names = [item["VariantName"] for item in wanted]
        limits = [item.get("ContainerStartupHealthCheckTimeoutInSeconds", START_SECONDS) for item in wanted]
        variants = [Variant(self.account, self.name, name, served[name], self._closing) for name in names]
        if not variants:
            return {}
        try:
            with ThreadPoolExecutor(len(variants)) as pool:
                list(pool.map(lambda pair: pair[0].start(pair[1]), zip(variants, limits, strict=True)))
            if self._closing.is_set():
                raise JobFailed("the endpoint was closed meanwhile")
        except BaseException:
            _close_all(dict(zip(names, variants, strict=True)))
            raise
        return dict(zip(names, variants, strict=True))

    def _swap(self, deployment: Deployment, served: dict[str, Served], live: dict[str, Variant]) -> None:
        with self._lock:
            replaced = {name: item for name, item in self._live.items() if live.get(name) is not item}
            self.states = deployment.states({name: item.image for name, item in served.items()})
            self._live, self.config, self.failure_reason = live, deployment.config, None
            self.status, self._worker = "InService", None
            self.touch()
        for variant in replaced.values():
            variant.drain()
        _close_all(replaced)

    def _failed(self, reason: str) -> None:
        """A first deployment ends Failed; an update goes back InService, on the configuration before."""
        with self._lock:
            self.failure_reason = reason
            self.status, self._worker = ("InService" if self._live else "Failed"), None
            self.touch()

    def _apply_weights(self) -> None:
        self._closing.wait(max(0.1, context.current().real_seconds(WEIGHTS_SECONDS)))
        with self._lock:
            self.states = [state.at_target() for state in self.states]
            self.status, self._worker = "InService", None
            self.touch()

    def _delete(self) -> None:
        self.close()
        with self.account.lock:
            self.account.all(Endpoint).pop(self.name, None)

    def _announce(self) -> None:
        if not self._closing.is_set() or self.status == "Deleting":
            described = self.describe()
            send_status_event("Endpoint", self.arn, {**described, "EndpointStatus": _EVENT_STATUS[self.status]})


def _close_all(variants: dict[str, Variant]) -> None:
    for variant in variants.values():
        variant.close()
