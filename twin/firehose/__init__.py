"""Firehose as AWS runs it: buffers by size and time, a transforming function, delivery to S3, and what goes wrong."""
