"""CPU time that judging a call adds on the twin's server: calls of a role beside the same calls of the operator.

    python -m benchmarks.authorization [--calls 2000]

The operator's calls are not judged. Client and server run in this process, so both figures contain the client's part.
The role has the statements of RecommendItemsRole in template.yaml.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.policies import documents
from twin import context, moto_patches
from twin.cloudformation import template
from twin.context import Context
from twin.iam import sessions
from twin.iam.documents import Kind

PROJECT = Path(__file__).parents[1]
REGION = "eu-west-1"
ROLE, TABLE = "RecommendItemsRole", "statetable"
BLOCKS = 10


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=2000)
    calls = parser.parse_args().calls // BLOCKS
    with tempfile.TemporaryDirectory() as folder:
        end = _serve(Path(folder))
        try:
            clients = {"operator, not judged": context.client("dynamodb"), "role, judged": _role_client()}
            costs: dict[str, list[float]] = {name: [] for name in clients}
            for client in clients.values():
                _cost(client, 50)  # connections, caches
            for _ in range(BLOCKS):
                for name, client in clients.items():
                    costs[name].append(_cost(client, calls))
        finally:
            end()
    medians = [statistics.median(each) for each in costs.values()]
    for name, median in zip(costs, medians, strict=True):
        print(f"{name:22} {median:6.3f} ms of CPU per GetItem")
    print(f"{'judging adds':22} {medians[1] - medians[0]:6.3f} ms")


def _serve(folder: Path) -> Any:
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - moto takes a second

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto_patches.apply()
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    context.enter(Context(f"http://127.0.0.1:{server.get_host_and_port()[1]}", REGION, folder))
    return server.stop


def _role_client() -> Any:
    """A client of a session of the role, whose documents name the table that is made here."""
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
    attributes = [{"AttributeName": each["AttributeName"], "AttributeType": "S"} for each in keys]
    context.client("dynamodb").create_table(
        TableName=TABLE, KeySchema=keys, AttributeDefinitions=attributes, BillingMode="PAY_PER_REQUEST"
    )
    found = documents(template.parse((PROJECT / "template.yaml").read_text()))
    of_role = {document.kind: json.dumps(document.content) for document in found if document.owner.startswith(ROLE)}
    table = f"arn:aws:dynamodb:{REGION}:{context.ACCOUNT}:table/{TABLE}"
    policy = of_role[Kind.IDENTITY].replace(f"arn:aws:dynamodb:{REGION}:{context.ACCOUNT}:{TABLE}", table)
    iam = context.client("iam")
    iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=of_role[Kind.TRUST])
    iam.put_role_policy(RoleName=ROLE, PolicyName="p", PolicyDocument=policy)
    return sessions.assume(f"arn:aws:iam::{context.ACCOUNT}:role/{ROLE}", sessions.LAMBDA, "f").client("dynamodb")


def _cost(client: Any, calls: int) -> float:
    """Milliseconds of CPU per call."""
    began = time.process_time()
    for _ in range(calls):
        client.get_item(TableName=TABLE, Key={"pk": {"S": "ROUTER"}, "sk": {"S": "ROUTER"}}, ConsistentRead=True)
    return (time.process_time() - began) / calls * 1000


if __name__ == "__main__":
    main()
