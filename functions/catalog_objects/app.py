"""Catalog: parsed objects become rows of the lake, many objects in one commit, each exactly once."""

from __future__ import annotations

import functools
import json
import os
from collections import defaultdict
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from usher.errors import InputError, NotAnEvent
from usher.ledger import Entry, Ledger
from usher.records.settings import Settings
from usher_lake.cataloging import catalog_objects, require
from usher_lake.tables import load_table, open_catalog

logger = Logger(service="catalog_objects")


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """One SQS batch of {"dataset", "digest"}; the messages whose objects were not committed are named."""
    messages = {record["messageId"]: record["body"] for record in event["Records"]}
    digests, failed = _read(messages)
    entries = _ledger().find_all(digests.values())
    groups: dict[str, list[str]] = defaultdict(list)
    for message, digest in digests.items():
        try:
            groups[require(entries, digest).dataset].append(message)
        except Exception:  # every record has its own verdict
            logger.exception("failed", message_id=message)
            failed.append(message)
    for dataset, group in groups.items():
        if not _commit(dataset, {digests[message]: entries[digests[message]] for message in group}):
            failed += group
    return {"batchItemFailures": [{"itemIdentifier": message} for message in failed]}


def _read(messages: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """The digest of each message, and the messages that have none."""
    digests, failed = {}, []
    for message, body in messages.items():
        try:
            digests[message] = _digest(body)
        except InputError as error:
            logger.error("refused", message_id=message, reason=str(error))
            failed.append(message)
    return digests, failed


def _digest(body: str) -> str:
    try:
        return str(json.loads(body)["digest"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise NotAnEvent(f"not a catalog message: {body[:200]!r}") from error


def _commit(dataset: str, entries: dict[str, Entry]) -> bool:
    settings = _settings()
    try:
        table = load_table(_catalog(), settings.database, dataset)
        held = catalog_objects(table, _ledger(), settings.lake_bucket, entries.values())
    except Exception:  # the other data sets of the batch go on
        logger.exception("failed", dataset=dataset, objects=len(entries))
        return False
    logger.info("committed", dataset=dataset, objects=len(held), snapshots=sorted(set(held.values())))
    return True


@functools.cache
def _settings() -> Settings:
    return Settings.read(os.environ, "lake_bucket", "database", "state_table")


@functools.cache
def _ledger() -> Ledger:
    return Ledger(boto3.resource("dynamodb"), _settings().state_table)


@functools.cache
def _catalog() -> Any:
    return open_catalog()
