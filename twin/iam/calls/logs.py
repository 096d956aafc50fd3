"""Amazon CloudWatch Logs. A request about a group is checked on `log-group:<name>:log-stream:`, one about a stream on
`log-group:<name>:log-stream:<stream>`, as AWS's messages show; `log-group:<name>:*` in a policy matches both. Tags are
checked on the group's ARN without an end:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/iam-access-control-overview-cwl.html
"""

from __future__ import annotations

from twin.iam.calls.tables import op, table

GROUP = "log-group:{logGroupName}:log-stream:"
STREAM = "log-group:{logGroupName}:log-stream:{logStreamName}"
#: The group by its name or, in place of it, by its ARN.
EITHER = "log-group:{logGroupName|logGroupIdentifier}:log-stream:"

TABLE = table(
    "logs",
    op("CreateLogGroup", GROUP, tags="tags"),
    op("CreateLogStream", STREAM),
    op("PutLogEvents", STREAM),
    op("GetLogEvents", STREAM),
    op("DeleteLogStream", STREAM),
    op("DescribeLogStreams", EITHER),
    op("FilterLogEvents", EITHER),
    op("DescribeLogGroups"),
    op("DeleteLogGroup", GROUP),
    op("PutRetentionPolicy", GROUP),
    op("DeleteRetentionPolicy", GROUP),
    op("PutMetricFilter", GROUP),
    op("DescribeMetricFilters", GROUP),
    op("PutSubscriptionFilter", GROUP),
    op("DescribeResourcePolicies"),
    op("PutResourcePolicy"),
    op("StartQuery", "log-group:{logGroupName|logGroupNames[]|logGroupIdentifiers[]}:log-stream:"),
    op("ListTagsForResource", "{resourceArn}"),
    op("TagResource", "{resourceArn}", tags="tags"),
    op("ListTagsLogGroup", GROUP),
)
