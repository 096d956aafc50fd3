"""Partition projection: which objects belong to a table whose partitions are a rule and not a list."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from twin.athena.errors import QueryError, Unsupported

Check = Callable[[str], bool]

_PLACE = re.compile(r"\$\{(\w+)\}")
_NOW = re.compile(r"NOW(?:([+-])(\d+)(DAY|WEEK|MONTH|YEAR)S?)?")
_UNIT_DAYS = {"DAY": 1, "WEEK": 7, "MONTH": 30, "YEAR": 365}
_JAVA_DATES = {"yyyy-MM-dd": "%Y-%m-%d", "yyyy/MM/dd": "%Y/%m/%d", "yyyyMMdd": "%Y%m%d", "yyyy-MM": "%Y-%m"}


@dataclass(frozen=True, slots=True)
class Projection:
    """How a table's partitions lie in S3.

    prefix:  what every object's URL begins with.
    pattern: takes a URL apart; its groups are the partition columns.
    checks:  partition column → whether a value is projected; what is not projected is not seen, as in Athena.
    """

    prefix: str
    pattern: re.Pattern[str]
    checks: Mapping[str, Check]

    @classmethod
    def of(cls, table: Mapping[str, Any], today: datetime.date) -> Projection | None:
        """A Glue table's projection; None when it has none. QueryError when it is incomplete."""
        parameters = table.get("Parameters", {})
        if parameters.get("projection.enabled", "").lower() != "true":
            return None
        columns = [key["Name"] for key in table.get("PartitionKeys", [])]
        location = table["StorageDescriptor"]["Location"].rstrip("/")
        template = parameters.get("storage.location.template")
        template = template or "/".join([location, *(f"{name}=${{{name}}}" for name in columns)])
        checks = {name: _check(name, parameters, today) for name in columns}
        unplaced = sorted(set(columns) - set(_PLACE.findall(template)))
        if unplaced:
            raise QueryError(f"storage.location.template has no place for {', '.join(unplaced)}")
        return cls(template[: template.index("${")], _pattern(template), checks)

    def partition(self, url: str) -> dict[str, str] | None:
        """The partition values of an object's URL; None when the table does not hold it."""
        match = self.pattern.match(url)
        if match is None:
            return None
        values = match.groupdict()
        return values if all(check(values[name]) for name, check in self.checks.items()) else None


def _pattern(template: str) -> re.Pattern[str]:
    parts = _PLACE.split(template.rstrip("/") + "/")
    seen: set[str] = set()
    written = []
    for number, part in enumerate(parts):
        if number % 2 == 0:
            written.append(re.escape(part))
        else:
            written.append(f"(?P={part})" if part in seen else f"(?P<{part}>[^/]+)")
            seen.add(part)
    return re.compile("".join(written))


def _check(name: str, parameters: Mapping[str, str], today: datetime.date) -> Check:
    kind = parameters.get(f"projection.{name}.type", "")
    if kind == "enum":
        allowed = {value.strip() for value in parameters[f"projection.{name}.values"].split(",")}
        return allowed.__contains__
    if kind == "date":
        return _date_check(name, parameters, today)
    if kind == "integer":
        low, high = (int(bound) for bound in parameters[f"projection.{name}.range"].split(","))
        return lambda value: value.lstrip("-").isdigit() and low <= int(value) <= high
    raise Unsupported(f"projection.{name}.type {kind or 'missing'}")


def _date_check(name: str, parameters: Mapping[str, str], today: datetime.date) -> Check:
    java = parameters.get(f"projection.{name}.format", "")
    if java not in _JAVA_DATES:
        raise Unsupported(f"projection.{name}.format {java!r} (one of {', '.join(_JAVA_DATES)})")
    pattern = _JAVA_DATES[java]
    low, high = (_bound(bound.strip(), pattern, today) for bound in parameters[f"projection.{name}.range"].split(","))

    def check(value: str) -> bool:
        try:
            return low <= _day(value, pattern) <= high
        except ValueError:
            return False

    return check


def _day(text: str, pattern: str) -> datetime.date:
    return datetime.datetime.strptime(text, pattern).replace(tzinfo=datetime.UTC).date()


def _bound(text: str, pattern: str, today: datetime.date) -> datetime.date:
    match = _NOW.fullmatch(text)
    if match is None:
        return _day(text, pattern)
    sign, count, unit = match.groups()
    days = int(count or 0) * _UNIT_DAYS[unit or "DAY"]
    return today + datetime.timedelta(days=-days if sign == "-" else days)
