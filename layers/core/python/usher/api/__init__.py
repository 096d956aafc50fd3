"""What every operation of the HTTP API shares: the OpenAPI document, validation, problem documents, responses."""
