"""EventBridge's live half: matched events reach their targets, schedules fire.

`schedules.Schedules(context)` has `start()` and `stop()`; deliveries happen where events arrive.
"""
