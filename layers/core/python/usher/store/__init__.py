"""The DynamoDB state table: one module per stored entity, with its key, shape, reads and writes."""
