"""moto's backend for SageMaker with the twin's account in it: empty at first, its processes end at a reset."""

from __future__ import annotations

from typing import Any

from moto.sagemaker.models import SageMakerModelBackend

from twin.sagemaker.account import Account


class Backend(SageMakerModelBackend):
    """One account in one region. The calls of `api.ACTIONS` work on `twin`; the rest is moto's."""

    __module__ = SageMakerModelBackend.__module__  # moto derives the service's URLs from it

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.twin = Account(account_id, region_name)

    def reset(self) -> None:
        """An empty account: also without the processes of the old one."""
        self.twin.close()
        super().reset()


def of(account: str, region: str) -> Account:
    """The account's resources in `region`."""
    from moto.sagemaker.models import sagemaker_backends  # noqa: PLC0415 - as the patch finds it

    backend: Any = sagemaker_backends[account][region]
    found: Account = backend.twin
    return found


def running() -> list[Account]:
    """The accounts that have been used so far, without making new ones."""
    from moto.sagemaker.models import sagemaker_backends  # noqa: PLC0415

    backends = [item for account in list(sagemaker_backends.values()) for item in list(account.values())]
    return [item.twin for item in backends if isinstance(item, Backend)]
