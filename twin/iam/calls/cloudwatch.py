"""Amazon CloudWatch, which signs as `monitoring`. Reading and putting metrics takes no resource; a policy can name the
namespace: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/iam-cw-condition-keys-namespace.html
"""

from __future__ import annotations

from twin.iam.calls.tables import arn_base, op, table

ALARMS = "alarm:{AlarmNames[]}"
#: Dashboards belong to no region.
DASHBOARD = arn_base("cloudwatch", "") + "dashboard/"
ACTIONS = {"cloudwatch:AlarmActions": "AlarmActions[]"}

TABLE = table(
    "monitoring",
    op("PutMetricData", context={"cloudwatch:namespace": "Namespace"}),
    op("GetMetricData"),
    op("GetMetricStatistics"),
    op("ListMetrics"),
    op("PutMetricAlarm", "alarm:{AlarmName}", tags="Tags", context=ACTIONS),
    op("PutCompositeAlarm", "alarm:{AlarmName}", tags="Tags", context=ACTIONS),
    op("DescribeAlarms", "alarm:{AlarmNames[]=*}"),
    op("DescribeAlarmHistory", "alarm:{AlarmName=*}"),
    op("DescribeAlarmsForMetric"),
    op("DeleteAlarms", ALARMS),
    op("EnableAlarmActions", ALARMS),
    op("DisableAlarmActions", ALARMS),
    op("SetAlarmState", "alarm:{AlarmName}"),
    op("PutDashboard", DASHBOARD + "{DashboardName}"),
    op("GetDashboard", DASHBOARD + "{DashboardName}"),
    op("DeleteDashboards", DASHBOARD + "{DashboardNames[]}"),
    op("ListDashboards"),
    op("ListTagsForResource", "{ResourceARN}"),
    op("TagResource", "{ResourceARN}", tags="Tags"),
    prefix="cloudwatch",
    boto=("cloudwatch",),
    file="cloudwatch",
)
