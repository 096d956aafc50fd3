"""The price list: every price that Usher computes with, from prices.json, with its source page and date.

The plan of a run, `usher cost`, the demo and the documents use this list and no other. Prices are USD in us-east-1.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from usher.errors import NoPrice

#: What an instance does: "job" is processing, training and tuning; "hosting" is an endpoint's variant.
Use = Literal["job", "hosting"]


@dataclass(frozen=True, slots=True)
class PriceList:
    """The content of prices.json.

    usd: price of one unit, by name. units, sources: the same names. hours: USD an hour by use and instance type.
    regions: factor by region. as_of: year and month. region: where the prices hold.
    """

    usd: Mapping[str, float]
    units: Mapping[str, str]
    sources: Mapping[str, str]
    hours: Mapping[Use, Mapping[str, float]]
    regions: Mapping[str, float]
    as_of: str
    region: str
    about: str

    def price(self, name: str) -> float:
        """USD of one unit, for example `lambda.request`; NoPrice when the list does not have it."""
        return _found(name, "item", self.usd)

    def hour(self, use: Use, instance_type: str) -> float:
        """USD of an instance's hour; NoPrice names the types that have a price."""
        return _found(instance_type, f"{use} instance type", self.hours[use])

    def factor(self, region: str) -> float:
        """A region's rough factor against the list; NoPrice names the regions that have one."""
        return _found(region, "region", self.regions)


def _found(name: str, kind: str, prices: Mapping[str, float]) -> float:
    try:
        return prices[name]
    except KeyError:
        raise NoPrice(
            f"no price is known for {kind} {name!r}, so its cost cannot be computed: choose one of {', '.join(prices)}"
        ) from None


@functools.cache
def price_list() -> PriceList:
    """The list, read once."""
    read: dict[str, Any] = json.loads(Path(__file__).with_name("prices.json").read_text(encoding="utf-8"))
    prices = read["prices"]
    return PriceList(
        usd={name: price["usd"] / price["per"] for name, price in prices.items()},
        units={name: price["unit"] for name, price in prices.items()},
        sources={name: price["source"] for name, price in prices.items()},
        hours={use: hours["usd"] for use, hours in read["instance_hours"].items()},
        regions=read["regions"],
        as_of=read["as_of"],
        region=read["region"],
        about=read["about"],
    )
