"""CloudWatch's live half: metrics embedded in logs become data, and alarms are evaluated and act.

`alarms.Alarms(context)` has `start()` and `stop()`; the rest happens where logs and data arrive.
"""
