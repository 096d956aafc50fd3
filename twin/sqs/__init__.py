"""SQS as Lambda's event source: batches, windows, partial failures, visibility and redrive, as Lambda's pollers do it.

`sources.EventSources(context)` has `start()` and `stop()`; it follows every mapping that is made, changed or deleted.
"""
