"""Service Quotas for SageMaker's instances and Lambda's concurrency: values that suffice, or those of a new account."""
