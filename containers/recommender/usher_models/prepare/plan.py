"""The plan of a run: which snapshots to read, and what the champion has seen already."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from usher_models.errors import DataError


@dataclass(frozen=True, slots=True)
class Plan:
    """plan.json, as prepare_run writes it.

    snapshots: data set → Iceberg snapshot id; trained_until_us: the champion's, microseconds since 1970, 0 without a
    champion; left_out: algorithm → why this run does without it.
    """

    run_id: str
    database: str
    snapshots: Mapping[str, int]
    trained_until_us: int
    left_out: Mapping[str, str] = field(default_factory=dict)


def read_plan(path: Path) -> Plan:
    """{"run_id", "database", "snapshots", "champion": {"trained_until"} or null}; DataError naming what is wrong."""
    if not path.is_file():
        return Plan("local", "", {}, 0)
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        snapshots = {str(name): int(snapshot) for name, snapshot in fields.get("snapshots", {}).items()}
        champion = fields.get("champion") or {}
        until = champion.get("trained_until")
        left_out = {str(name): str(reason) for name, reason in (fields.get("left_out") or {}).items()}
        until_us = microseconds(until) if until else 0
        return Plan(str(fields["run_id"]), str(fields.get("database", "")), snapshots, until_us, left_out)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path} is no plan of a run ({type(error).__name__}: {error})") from None


def microseconds(text: Any) -> int:
    """ISO 8601 (UTC when it names no zone) as microseconds since 1970."""
    moment = datetime.fromisoformat(str(text))
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000)


def iso(time_us: int) -> str:
    """Microseconds since 1970 as ISO 8601, UTC."""
    return datetime.fromtimestamp(time_us / 1_000_000, UTC).isoformat()
