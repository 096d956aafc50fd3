"""Amazon Data Firehose. Creating a stream passes the roles that it delivers and transforms with."""

from __future__ import annotations

from twin.iam.calls.tables import op, passes, table

STREAM = "deliverystream/{DeliveryStreamName}"
SERVICE = "firehose.amazonaws.com"

TABLE = table(
    "firehose",
    op("PutRecord", STREAM),
    op("PutRecordBatch", STREAM),
    op("DescribeDeliveryStream", STREAM),
    op(
        "CreateDeliveryStream",
        STREAM,
        tags="Tags",
        also=(
            passes("ExtendedS3DestinationConfiguration.RoleARN", SERVICE),
            passes("S3DestinationConfiguration.RoleARN", SERVICE),
        ),
    ),
    op("UpdateDestination", STREAM, also=(passes("ExtendedS3DestinationUpdate.RoleARN", SERVICE),)),
    op("DeleteDeliveryStream", STREAM),
    op("StartDeliveryStreamEncryption", STREAM),
    op("StopDeliveryStreamEncryption", STREAM),
    op("TagDeliveryStream", STREAM, tags="Tags"),
    op("ListTagsForDeliveryStream", STREAM),
    op("ListDeliveryStreams"),
)
