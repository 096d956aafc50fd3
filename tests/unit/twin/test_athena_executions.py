"""How a query execution of the twin's Athena is stopped."""

from __future__ import annotations

import threading
from pathlib import Path

import duckdb

from twin.athena.executions import Execution, Request

ENDLESS = "SELECT sum(a.i * b.i) FROM range(10000000) a(i) CROSS JOIN range(10000000) b(i)"


def test_a_stop_between_two_statements_ends_the_next_one(tmp_path: Path) -> None:
    request = Request(query=ENDLESS, database="d", workgroup="w", output="s3://b/p")
    execution = Execution(request, tmp_path)
    attached, stopped = threading.Event(), threading.Event()

    def compute(execution: Execution) -> None:
        session = duckdb.connect()
        execution.attach(session)
        try:
            session.sql("SELECT 1").fetchall()
            attached.set()
            stopped.wait()
            session.sql(ENDLESS).fetchall()
        finally:
            execution.detach()
            session.close()

    thread = threading.Thread(target=execution.run, args=(threading.Semaphore(1), compute), daemon=True)
    thread.start()
    attached.wait()
    execution.stop()
    stopped.set()
    thread.join(60)
    assert (execution.state, execution.reason) == ("CANCELLED", "Query was cancelled by user")
