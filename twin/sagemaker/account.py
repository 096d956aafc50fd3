"""SageMaker's resources in one account and region, and the service that ends their processes with the twin.

Resources are kept by their class, so this module imports none of theirs.
"""

from __future__ import annotations

import datetime
import logging
import threading
from dataclasses import dataclass, field
from typing import Any, TypeVar

from moto.sagemaker.models import SageMakerModelBackend

from twin.context import Context
from twin.events import bus
from twin.sagemaker.errors import Refused, invalid

log = logging.getLogger(__name__)

Request = dict[str, Any]


def now() -> datetime.datetime:
    """The wall-clock time with its zone: the twin scales waiting times, not the dates that it writes."""
    return datetime.datetime.now(datetime.UTC)


@dataclass(eq=False)
class Resource:
    """One resource. `request` is the body of the call that created it, in the API's own spelling."""

    name: str
    arn: str
    request: Request
    created: datetime.datetime = field(default_factory=now)
    modified: datetime.datetime = field(default_factory=now)

    def describe(self) -> dict[str, Any]:
        """The response of the Describe call: the request, and what SageMaker adds to it."""
        return {**self.request, "CreationTime": self.created}

    def touch(self) -> None:
        """Set the time of the last change to now."""
        self.modified = now()

    def abandon(self) -> None:
        """Kill the resource's work without waiting for it; resources without processes do nothing."""

    def close(self) -> None:
        """Wait until the resource's processes are gone; resources without processes do nothing."""


R = TypeVar("R", bound=Resource)


class Account:
    """All SageMaker resources of one account in one region. `lock` guards the dictionaries, not the work."""

    def __init__(self, account: str, region: str) -> None:
        self.account, self.region = account, region
        self.lock = threading.RLock()
        self.closed = False
        self._kinds: dict[type[Resource], dict[str, Any]] = {}

    def arn(self, kind: str, name: str) -> str:
        """`arn:aws:sagemaker:<region>:<account>:<kind>/<name>`; the name in lower case, as in SageMaker's ARNs."""
        return f"arn:aws:sagemaker:{self.region}:{self.account}:{kind}/{name.lower()}"

    def all(self, kind: type[R]) -> dict[str, R]:
        """The resources of one class by name; the dictionary itself, not a copy."""
        with self.lock:
            return self._kinds.setdefault(kind, {})

    def find(self, kind: type[R], name: str, missing: Refused) -> R:
        """The resource of that name; raises `missing` when it does not exist."""
        found = self.all(kind).get(name)
        if found is None:
            raise missing
        return found

    def put(self, resource: Resource, taken: Refused) -> None:
        """Keep a new resource; raises `taken` when another one of its class has the name."""
        with self.lock:
            if self.closed:
                raise invalid("The twin is ending.")
            if resource.name in self.all(type(resource)):
                raise taken
            self.all(type(resource))[resource.name] = resource

    def resources(self) -> list[Resource]:
        """All resources, of every class."""
        with self.lock:
            return [item for kind in self._kinds.values() for item in kind.values()]

    def close(self) -> None:
        """End every job and endpoint; returns when no process is left."""
        self.closed = True
        resources = self.resources()
        for resource in resources:
            resource.abandon()
        for resource in resources:
            resource.close()


class Backend(SageMakerModelBackend):
    """moto's backend of one account in one region. The calls of `api.ACTIONS` work on `twin`; the rest is moto's."""

    __module__ = SageMakerModelBackend.__module__  # moto derives the service's URLs from it

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.twin = Account(account_id, region_name)

    def reset(self) -> None:
        """Empty the account and end its processes."""
        self.twin.close()
        super().reset()


def account_in(account: str, region: str) -> Account:
    """The account's resources in `region`."""
    from moto.sagemaker.models import sagemaker_backends  # noqa: PLC0415 - as the patch finds it

    backend: Any = sagemaker_backends[account][region]
    found: Account = backend.twin
    return found


def used_accounts() -> list[Account]:
    """The accounts that have been used so far, without making new ones."""
    from moto.sagemaker.models import sagemaker_backends  # noqa: PLC0415

    backends = [item for account in list(sagemaker_backends.values()) for item in list(account.values())]
    return [item.twin for item in backends if isinstance(item, Backend)]


class SageMaker:
    """SageMaker as a service of the twin: API calls start its work, `stop` ends it."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def start(self) -> None:
        """Nothing to start: the patches of `twin.moto_patches` take the API calls."""

    def stop(self) -> None:
        """End every job and endpoint; returns when their processes are gone."""
        for account in used_accounts():
            account.close()


def send_status_event(kind: str, arn: str, described: dict[str, Any]) -> None:
    """Put `SageMaker <kind> State Change` on the default event bus; a fault is logged and does not end the job.

    described: what the Describe call answers; its times become milliseconds.
    """
    try:
        bus.emit("aws.sagemaker", f"SageMaker {kind} State Change", _json(described), [arn])
    except Exception:
        log.exception("the status event of %s was not sent", arn)


def _json(value: Any) -> Any:
    if isinstance(value, datetime.datetime):
        return int(value.timestamp() * 1000)
    if isinstance(value, dict):
        return {name: _json(item) for name, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    return value
