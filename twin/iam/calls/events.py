"""Amazon EventBridge. A rule of the default bus is `rule/<name>`, of another one `rule/<bus>/<name>`; putting targets
passes the roles that EventBridge uses for them:
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
"""

from __future__ import annotations

from collections.abc import Sequence

from twin.iam.calls.tables import Need, Operation, arn_base, need, op, passes, table
from twin.iam.calls.templates import MalformedCall, Members, Path
from twin.iam.request import Check

SERVICE = "events.amazonaws.com"
TARGETS = (passes("Targets[].RoleArn", SERVICE),)


def _on_rule(
    name: str, member: str = "Name", also: Sequence[Need] = (), keys: dict[str, str] | None = None, tags: str = ""
) -> Operation:
    own = need(f"events:{name}", context=keys, tags=tags)

    def derive(members: Members, region: str) -> list[Check]:
        rule, bus = members.get(member), members.get("EventBusName") or "default"
        if not isinstance(rule, str) or not rule or not isinstance(bus, str):
            raise MalformedCall(f"the request names no rule: {str(rule)[:80]!r}")
        bus = bus.rpartition("event-bus/")[2]  # a name or an ARN
        arn = arn_base("events", region) + (f"rule/{rule}" if bus == "default" else f"rule/{bus}/{rule}")
        (found,) = own.checks(members, "", lower=False)
        return [Check(found.action, arn, found.context), *(c for n in also for c in n.checks(members, "", lower=False))]

    reads = (Path.of(member), Path.of("EventBusName"), *own.paths(), *(path for n in also for path in n.paths()))
    return Operation(
        name,
        derive=derive,
        reads=reads,
        actions=(own.action, *(n.action for n in also)),
        keys=tuple(key for n in (own, *also) for key, _ in n.context),
    )


def _put_events(members: Members, region: str) -> list[Check]:
    """Each entry on its bus."""
    buses = {str(e.get("EventBusName") or "default").rpartition("event-bus/")[2] for e in members.get("Entries") or ()}
    if not buses:
        raise MalformedCall("PutEvents has no entries")
    return [Check("events:PutEvents", f"{arn_base('events', region)}event-bus/{bus}") for bus in sorted(buses)]


TABLE = table(
    "events",
    _on_rule("PutRule", also=(passes("RoleArn", SERVICE),), tags="Tags"),
    _on_rule("DescribeRule"),
    _on_rule("EnableRule"),
    _on_rule("DisableRule"),
    _on_rule("DeleteRule"),
    _on_rule("PutTargets", "Rule", TARGETS, {"events:TargetArn": "Targets[].Arn"}),
    _on_rule("RemoveTargets", "Rule"),
    _on_rule("ListTargetsByRule", "Rule"),
    op("ListRules"),
    op("ListRuleNamesByTarget"),
    op("ListEventBuses"),
    op("TestEventPattern"),
    Operation(
        "PutEvents",
        derive=_put_events,
        reads=(Path.of("Entries[].EventBusName"),),
        actions=("events:PutEvents",),
    ),
    op("CreateEventBus", "event-bus/{Name}", tags="Tags"),
    op("DescribeEventBus", "event-bus/{Name=default}"),
    op("DeleteEventBus", "event-bus/{Name}"),
    op("PutPermission"),
    op("ListTagsForResource", "{ResourceARN}"),
    op("TagResource", "{ResourceARN}", tags="Tags"),
)
