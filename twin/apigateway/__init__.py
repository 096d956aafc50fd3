"""API Gateway's HTTP APIs: a local server for each, which checks signatures and calls functions as AWS's does."""
