"""Usher's rules and its access to AWS: what the Lambda functions share (standard library, Powertools, boto3)."""
