"""A DuckDB that can compute and nothing else: no files, no network, no settings, bounded memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

MEMORY_LIMIT = "512MB"
SPILL_LIMIT = "16GB"
THREADS = 2

#: Trino functions that DuckDB lacks and sqlglot does not rewrite.
MACROS = (
    "CREATE TEMP MACRO at_timezone(t, zone) AS timezone(zone, t)",
    "CREATE TEMP MACRO format_datetime(t, pattern) AS strftime(t, CASE pattern "
    "WHEN 'yyyy' THEN '%Y' WHEN 'yyyy-MM' THEN '%Y-%m' WHEN 'yyyy-MM-dd' THEN '%Y-%m-%d' "
    "WHEN 'yyyy-MM-dd HH:mm' THEN '%Y-%m-%d %H:%M' WHEN 'yyyy-MM-dd HH:mm:ss' THEN '%Y-%m-%d %H:%M:%S' "
    "WHEN 'HH' THEN '%H' WHEN 'EEEE' THEN '%A' WHEN 'EEE' THEN '%a' "
    "ELSE error('not supported by the twin: format_datetime with ' || pattern || ' (use date_format)') END)",
    "CREATE TEMP MACRO width_bucket(x, low, high, n) AS "
    "CASE WHEN x < low THEN 0 WHEN x >= high THEN n + 1 "
    "ELSE CAST(floor((x - low) / ((high - low) / n)) AS BIGINT) + 1 END",
)


def open_session(spill: Path) -> Any:
    """A locked connection of its own, in memory, spilling to `spill`."""
    connection = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": MEMORY_LIMIT,
            "threads": THREADS,
            "temp_directory": str(spill),
            "max_temp_directory_size": SPILL_LIMIT,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "python_enable_replacements": False,  # a table must not name a Python variable of the twin
            "integer_division": True,  # in Trino 7 / 2 is 3
        },
    )
    connection.execute("SET TimeZone = 'UTC'")
    for macro in MACROS:
        connection.execute(macro)
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection
