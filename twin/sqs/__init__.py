"""SQS as an event source of Lambda: batches, windows, partial failures, visibility and redrive.

`event_sources.EventSources(context)` has `start()` and `stop()`; it follows every change of a mapping.
"""
