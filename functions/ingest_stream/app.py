"""Ingest: checks the records of a delivery stream; good ones are delivered, bad ones go to quarantine."""

from __future__ import annotations

import os
from typing import Any

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from usher.clients import client
from usher.metrics import count
from usher.schema.settings import Settings
from usher_lake.firehose import CheckedBatch, FirehoseBatch, check_batch
from usher_lake.writers import Quarantine

SERVICE = "ingest_stream"
logger = Logger(service=SERVICE)


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Input: a batch of a Firehose data transformation. A delivery stream that is not Usher's is an error."""
    settings = Settings.read(os.environ, "lake_bucket", "stream_prefix")
    checked = check_batch(FirehoseBatch.of(event, settings.stream_prefix))
    stored = _quarantine(checked, settings.lake_bucket)
    rows_bad = len(checked.bad)
    rows = {"RowsIn": checked.rows_ok + rows_bad, "RowsAccepted": checked.rows_ok}
    rows["RowsQuarantined" if stored else "RowsNotQuarantined"] = rows_bad
    count(rows, service=SERVICE, dataset=checked.batch.dataset)
    return {"records": checked.results(bad_is_stored=stored)}


def _quarantine(checked: CheckedBatch, bucket: str) -> bool:
    """Write the bad lines to quarantine; whether that succeeded. A retry writes the same bytes to the same key."""
    batch = checked.batch
    try:
        quarantine = Quarantine(client("s3"), bucket, batch.digest, batch.arrived_at)
        quarantine.add(batch.dataset, checked.bad)
        quarantine.close()
    except (ClientError, BotoCoreError) as error:
        logger.exception("quarantine could not be written", extra={"digest": batch.digest, "reason": str(error)})
        return False
    return True
