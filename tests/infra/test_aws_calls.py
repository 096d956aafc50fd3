"""Every call to AWS in product code names an operation that exists, with parameters that botocore's model has.

moto and botocore check the calls that tests run; this reads the ones that no test happens to run.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name
from botocore.exceptions import UnknownServiceError

PROJECT = Path(__file__).parents[2]
PRODUCT = ("layers", "functions", "cli")

#: Receivers by their last name → the service. `client("s3")` is seen by itself.
RECEIVERS = {
    "s3": "s3",
    "glue": "glue",
    "athena": "athena",
    "sqs": "sqs",
    "sts": "sts",
    "cloudwatch": "cloudwatch",
    "cloudformation": "cloudformation",
    "events": "events",
    "dynamodb": "dynamodb",
    "stepfunctions": "stepfunctions",
    "sagemaker": "sagemaker",
    "lambda": "lambda",
    "firehose": "firehose",
    "service_quotas": "service-quotas",
}
#: Receivers that are boto3's Table resource: the table's name is known already.
TABLES = {"_table", "state_table"}
#: Whose methods share names with AWS's operations: PyIceberg's catalogue.
OTHERS = {"catalog", "_catalog"}
#: What a client has besides its operations.
NOT_OPERATIONS = {
    "get_paginator",
    "get_waiter",
    "can_paginate",
    "generate_presigned_url",
    "close",
    "upload_file",
    "upload_fileobj",
    "download_file",
    "download_fileobj",
    "Table",
    "client",
}


@dataclass(frozen=True)
class Call:
    """One call as the source has it. names: keyword arguments; open: `**more` follows. table: on a Table resource."""

    where: str
    service: str
    method: str
    names: frozenset[str]
    open: bool
    table: bool = False
    paginated: bool = False


@dataclass(frozen=True)
class Names:
    """What a module's imports and annotations say of its names: clients by service, Table resources, modules."""

    clients: dict[str, str]
    tables: frozenset[str]
    modules: frozenset[str]

    @classmethod
    def of(cls, tree: ast.AST) -> Names:
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        typed = {
            alias.name: node.module.removeprefix("mypy_boto3_").split(".")[0]
            for node in imports
            for alias in node.names
            if node.module and node.module.startswith("mypy_boto3_")
        }
        modules = {alias.asname or alias.name for node in imports for alias in node.names}
        clients, tables = {}, set()
        for node in ast.walk(tree):
            if isinstance(node, ast.arg) and isinstance(node.annotation, ast.Name) and node.annotation.id in typed:
                if node.annotation.id == "Table":
                    tables.add(node.arg)
                else:
                    clients[node.arg] = typed[node.annotation.id]
            if isinstance(node, ast.Assign):
                held = {last_name(target) for target in node.targets}
                if isinstance(node.value, ast.Call) and _attribute(node.value.func) == "Table":
                    tables |= held
                elif _attribute(node.value) == "client":  # `client = table.meta.client`
                    clients |= dict.fromkeys(held, "dynamodb")
        return cls(clients, frozenset(tables), frozenset(modules))


@functools.cache
def model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)


@functools.cache
def operations(service: str) -> dict[str, str]:
    """Python name → operation name."""
    return {xform_name(name): name for name in model(service).operation_names}


@functools.cache
def pageable(service: str) -> frozenset[str]:
    found = botocore.session.get_session().get_component("data_loader").load_service_model(service, "paginators-1")
    return frozenset(xform_name(name) for name in found["pagination"])


def last_name(node: ast.expr) -> str:
    """`self._s3` → `s3`, `context.client("s3")` → `s3`, else the last name, or nothing."""
    if isinstance(node, ast.Call) and last_name(node.func) in ("client", "resource") and node.args:
        first = node.args[0]
        return str(first.value) if isinstance(first, ast.Constant) else ""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _attribute(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else ""


def calls(source: str, where: str) -> Iterator[Call]:
    """The calls to AWS in a module."""
    tree = ast.parse(source)
    names_here = Names.of(tree)
    paginators = dict(_paginators(tree, names_here))
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        receiver, method = node.func.value, node.func.attr
        names = frozenset(word.arg for word in node.keywords if word.arg is not None)
        is_open = any(word.arg is None for word in node.keywords)
        spot = f"{where}:{node.lineno}"
        if method == "paginate":
            found = _paginator(receiver, names_here) or paginators.get(last_name(receiver))
            if found is None:
                raise AssertionError(f"{spot}: of which client is this paginator?")
            yield Call(spot, *found, names - {"PaginationConfig"}, is_open, paginated=True)
        elif last_name(receiver) in TABLES | names_here.tables:
            yield Call(spot, "dynamodb", method, names, is_open, table=True)
        elif service := service_of(receiver, names_here):
            yield Call(spot, service, method, names, is_open)


def _paginators(tree: ast.AST, names: Names) -> Iterator[tuple[str, tuple[str, str]]]:
    """Variables that hold a paginator."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found = _paginator(node.value, names)
            if found is not None:
                yield node.targets[0].id, found


def _paginator(node: ast.expr, names: Names) -> tuple[str, str] | None:
    """(service, operation) of `client.get_paginator("operation")`."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get_paginator"):
        return None
    service, first = service_of(node.func.value, names), node.args[0]
    return (service, str(first.value)) if service and isinstance(first, ast.Constant) else None


def service_of(receiver: ast.expr, names: Names) -> str | None:
    name = last_name(receiver)
    if isinstance(receiver, ast.Attribute) and name == "client" and last_name(receiver.value) == "meta":
        return "dynamodb"  # `table.meta.client`: the only resources that we use are DynamoDB's
    if isinstance(receiver, ast.Call):
        return name if name and _exists(name) else None
    if isinstance(receiver, ast.Name) and name in names.modules:
        return None
    return names.clients.get(name) or RECEIVERS.get(name.lstrip("_"))


@functools.cache
def _exists(service: str) -> bool:
    try:
        model(service)
    except UnknownServiceError:
        return False
    return True


def fault(call: Call) -> str | None:
    """What botocore's model says against a call."""
    if call.method in NOT_OPERATIONS:
        return None
    known = operations(call.service)
    if call.method not in known:
        return f"{call.where}: {call.service} has no {call.method}"
    if call.paginated and call.method not in pageable(call.service):
        return f"{call.where}: {call.service}'s {call.method} has no pages"
    shape = model(call.service).operation_model(known[call.method]).input_shape
    members = set(shape.members) if shape else set()
    unknown = call.names - members
    if unknown:
        return f"{call.where}: {call.method} has no parameter {', '.join(sorted(unknown))}"
    required = set(shape.required_members if shape else ()) - ({"TableName"} if call.table else set())
    missing = required - call.names
    return f"{call.where}: {call.method} needs {', '.join(sorted(missing))}" if missing and not call.open else None


def product_files() -> list[Path]:
    return [
        path for folder in PRODUCT for path in sorted((PROJECT / folder).rglob("*.py")) if "build" not in path.parts
    ]


def unattributed(source: str, where: str) -> Iterator[str]:
    """Calls that look like an operation of AWS on a receiver that this test does not know."""
    seen = {call.where for call in calls(source, where)}
    likely = {name for service in ("s3", "dynamodb", "glue", "athena", "sqs") for name in operations(service)}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name, spot = node.func.attr, f"{where}:{node.lineno}"
            if last_name(node.func.value) in OTHERS:
                continue
            if name in likely and "_" in name and spot not in seen and any(word.arg for word in node.keywords):
                yield f"{spot}: of which service is {name}?"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ('client("s3").put_objects(Bucket="b")', "has no put_objects"),
        ('self._s3.put_object(Bucket="b", Kee="k")', "has no parameter Kee"),
        ('s3.put_object(Bucket="b")', "needs Key"),
        ("self._table.put_item(Itm={})", "has no parameter Itm"),
        ('s3.get_paginator("put_object").paginate(Bucket="b", Key="k")', "has no pages"),
        ('pages = s3.get_paginator("list_objects_v2")\npages.paginate(Buckt="b")', "has no parameter Buckt"),
    ],
)
def test_a_wrong_call_is_found(source: str, words: str) -> None:
    (found,) = [text for call in calls(source, "x.py") if (text := fault(call))]
    assert words in found


def test_a_call_on_an_unknown_receiver_is_found() -> None:
    assert list(unattributed('strange.put_object(Bucket="b", Key="k")', "x.py"))


@pytest.mark.parametrize("source", ['s3.put_object(Bucket="b", **more)', "self._table.get_item(Key={})"])
def test_a_right_call_passes(source: str) -> None:
    assert [fault(call) for call in calls(source, "x.py")] == [None]


def test_every_call_of_product_code_fits_botocores_model() -> None:
    found = [call for path in product_files() for call in calls(path.read_text(), str(path.relative_to(PROJECT)))]
    assert len(found) > 30, "the scan sees too little"
    assert [text for call in found if (text := fault(call))] == []


def test_no_call_of_product_code_escapes_the_scan() -> None:
    assert [
        text for path in product_files() for text in unattributed(path.read_text(), str(path.relative_to(PROJECT)))
    ] == []
