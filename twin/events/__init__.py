"""EventBridge's delivery: matched events reach their targets, scheduled rules fire.

`schedules.Schedules(context)` has `start()` and `stop()`; events are delivered when they arrive.
"""
