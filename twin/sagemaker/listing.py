"""List calls: filters, order and pages, the same for every kind of resource."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from twin.sagemaker.account import Request, Resource
from twin.sagemaker.errors import invalid

PAGE_DEFAULT = 10
PAGE_MAX = 100

Summary = dict[str, Any]


def page(  # noqa: PLR0913 - each of them differs from call to call
    key: str,
    items: Mapping[str, Resource],
    summary: Callable[[Any], Summary],
    request: Request,
    status: str = "",
    *,
    descending: bool = True,
    sorts: dict[str, Callable[[Any], Any]] | None = None,
) -> dict[str, Any]:
    """One page of `key`, with NextToken when there are more.

    status:     the summary's field that StatusEquals looks at.
    descending: the order when the request names none.
    sorts:      further values of SortBy.
    """
    found = [item for item in list(items.values()) if _matches(item, summary(item), request, status)]
    orders: dict[str, Callable[[Any], Any]] = {
        "Name": lambda item: item.name,
        "CreationTime": lambda item: item.created,
        "Status": lambda item: str(summary(item).get(status)),
        **(sorts or {}),
    }
    order = request.get("SortOrder", "Descending" if descending else "Ascending")
    found.sort(key=orders[request.get("SortBy", "CreationTime")], reverse=order == "Descending")
    start, size = _start(request.get("NextToken")), min(int(request.get("MaxResults", PAGE_DEFAULT)), PAGE_MAX)
    answer: dict[str, Any] = {key: [summary(item) for item in found[start : start + size]]}
    if start + size < len(found):
        answer["NextToken"] = base64.urlsafe_b64encode(str(start + size).encode()).decode()
    return answer


def fields(names: str) -> Callable[[Resource], Summary]:
    """A summary of these fields (separated by blanks) of a resource's description."""

    def summary(item: Resource) -> Summary:
        described = item.describe()
        return {name: described.get(name) for name in names.split()}

    return summary


def _matches(item: Resource, shown: Summary, request: Request, status: str) -> bool:
    if request.get("NameContains", "") not in item.name:
        return False
    if request.get("StatusEquals") and shown.get(status) != request["StatusEquals"]:
        return False
    created, modified = item.created.timestamp(), item.modified.timestamp()
    made = _within(created, request, "CreationTime")
    return made and _within(modified, request, "LastModifiedTime")


def _within(moment: float, request: Request, field: str) -> bool:
    return bool(request.get(f"{field}After", moment) <= moment <= request.get(f"{field}Before", moment))


def _start(token: str | None) -> int:
    if not token:
        return 0
    try:
        return max(0, int(base64.urlsafe_b64decode(token)))
    except (ValueError, binascii.Error) as error:
        raise invalid("The NextToken is not valid.") from error
