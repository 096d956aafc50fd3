"""Settings from environment variables; missing and malformed ones are reported together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

PREFIX = "USHER_"


class SettingsError(Exception):
    """The environment lacks a setting or has a malformed one; the message names all of them."""


def _positive_int(text: str) -> int:
    value = int(text)
    if value <= 0:
        raise ValueError("must be above 0")
    return value


def _positive_number(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError("must be above 0")
    return value


def _backend(text: str) -> str:
    if text not in ("endpoint", "function"):
        raise ValueError("must be endpoint or function")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Usher's settings. Each is read from `USHER_` and its name in capitals; a function has only those it needs."""

    landing_bucket: str = ""
    lake_bucket: str = ""
    database: str = ""
    state_table: str = ""
    endpoint_name: str = ""
    stream_prefix: str = ""
    ingest_queue_url: str = ""
    catalog_queue_url: str = ""
    train_workflow_arn: str = ""
    shift_workflow_arn: str = ""
    shift_rule_name: str = ""
    signing_secret_arn: str = ""
    serving_backend: str = "endpoint"
    min_new_rows: int = 1000
    quiet_seconds: int = 300
    experiment_preset: str = "default"
    epoch_seconds: int = 3600
    attribution_seconds: int = 3600
    experiment_hour_seconds: float = 3600.0
    bake_seconds: int = 86400
    router_cache_seconds: float = 30.0
    min_gate_users: int = 50
    budget_usd: float = 10.0
    quiet_queue_url: str = ""
    processing_instance_type: str = "ml.m5.xlarge"
    training_instance_type: str = "ml.m5.xlarge"
    hosting_instance_type: str = "ml.c5.large"
    tuning_trials: int = 8
    parallel_algorithms: int = 3
    parallel_trials: int = 2
    recommender_image: str = ""
    recommender_repository: str = ""

    @classmethod
    def read(cls, environ: Mapping[str, str], *needed: str) -> Settings:
        """Read the settings from `environ`; SettingsError names every missing or malformed one at once.

        needed: the settings that the caller requires.
        """
        values: dict[str, Any] = {}
        faults = []
        for field in fields(cls):
            name = environment_name(field.name)
            text = environ.get(name, "")
            if not text:
                if field.name in needed:
                    faults.append(f"{name} is missing")
                continue
            try:
                values[field.name] = _READERS.get(field.name, str)(text)
            except ValueError as error:
                faults.append(f"{name} is {text!r}: {error}")
        if faults:
            raise SettingsError("; ".join(faults))
        return cls(**values)


_READERS: Mapping[str, Callable[[str], Any]] = {
    "serving_backend": _backend,
    "budget_usd": _positive_number,
    "experiment_hour_seconds": _positive_number,
    "router_cache_seconds": _positive_number,
    **dict.fromkeys(
        (
            "min_new_rows",
            "quiet_seconds",
            "epoch_seconds",
            "attribution_seconds",
            "bake_seconds",
            "min_gate_users",
            "tuning_trials",
            "parallel_algorithms",
            "parallel_trials",
        ),
        _positive_int,
    ),
}


def environment_name(setting: str) -> str:
    """`lake_bucket` → `USHER_LAKE_BUCKET`."""
    return PREFIX + setting.upper()
