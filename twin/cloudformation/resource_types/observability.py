"""CloudWatch: log groups and streams, alarms and dashboards."""

from __future__ import annotations

from twin.cloudformation.resource_types.base import ApiResourceType, ExtraCall, arn

RESOURCE_TYPES = (
    ApiResourceType(
        "AWS::Logs::LogGroup",
        "logs",
        "create_log_group",
        delete_by="delete_log_group",
        name="LogGroupName",
        name_limit=512,
        ref=lambda properties, _: str(properties["LogGroupName"]),
        attributes=lambda group, *_: {"Arn": arn("logs", f"log-group:{group}:*")},
        identify=lambda group, _: {"logGroupName": group},
        extras={
            "RetentionInDays": ExtraCall(
                "put_retention_policy", lambda group, days: {"logGroupName": group, "retentionInDays": days}
            )
        },
    ),
    ApiResourceType(
        "AWS::Logs::LogStream",
        "logs",
        "create_log_stream",
        delete_by="delete_log_stream",
        name="LogStreamName",
        name_limit=512,
        ref=lambda properties, _: str(properties["LogStreamName"]),
        identify=lambda stream, properties: {"logGroupName": properties["LogGroupName"], "logStreamName": stream},
    ),
    ApiResourceType(
        "AWS::CloudWatch::Alarm",
        "cloudwatch",
        "put_metric_alarm",
        delete_by="delete_alarms",
        update_by="put_metric_alarm",
        name="AlarmName",
        name_limit=255,
        ref=lambda properties, _: str(properties["AlarmName"]),
        attributes=lambda alarm, *_: {"Arn": arn("cloudwatch", f"alarm:{alarm}")},
        identify=lambda alarm, _: {"AlarmNames": [alarm]},
        update_keys=lambda alarm, _: {"AlarmName": alarm},
    ),
    ApiResourceType(
        "AWS::CloudWatch::Dashboard",
        "cloudwatch",
        "put_dashboard",
        delete_by="delete_dashboards",
        update_by="put_dashboard",
        name="DashboardName",
        name_limit=255,
        ref=lambda properties, _: str(properties["DashboardName"]),
        identify=lambda dashboard, _: {"DashboardNames": [dashboard]},
        update_keys=lambda dashboard, _: {"DashboardName": dashboard},
    ),
)
