"""Ends SageMaker's jobs and endpoints with the twin: `SageMaker(context).start()`, `.stop()`."""

from __future__ import annotations

from twin.context import Context
from twin.sagemaker import backend


class SageMaker:
    """SageMaker as a service of the twin. Its work starts by API calls, so only its end needs a hand."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def start(self) -> None:
        """Nothing to do: the patches of `twin.moto_patches` are the start."""

    def stop(self) -> None:
        """End every job and endpoint; returns when their processes are gone."""
        for account in backend.running():
            account.close()
