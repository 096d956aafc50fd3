"""Ends the streams with the twin; they begin by themselves, with the first record."""

from __future__ import annotations

from typing import Any, Self

from twin.context import Context


class Firehose:
    """A service of the twin. A twin that ends takes its lake with it, so what is still under way is not delivered."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def start(self) -> Self:
        """Nothing: a stream's thread starts with its first record."""
        return self

    def stop(self) -> None:
        """End every stream's thread; the log says what was not delivered."""
        from moto.firehose.models import firehose_backends  # noqa: PLC0415 - moto is heavy

        backends: list[Any] = [backend for account in firehose_backends.values() for backend in account.values()]
        for backend in backends:
            backend.close()
